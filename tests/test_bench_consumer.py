"""`make bench-consumer`: what it counts with, and that a contest runs; what it measures is for a quiet machine."""

import json
import subprocess
import sys
from pathlib import Path

from bench.consumer.logs import Handled, longest_silence, read_log, repeated, unhandled
from bench.consumer.topics import KEYS, occurrences

_ROOT = Path(__file__).parents[1]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.consumer", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_an_unknown_contest_is_refused() -> None:
    done = _bench("--only", "nothing,everything")
    assert done.returncode == 1
    assert "no contest is called everything; there are nothing, " in done.stderr


def test_a_quick_contest_between_rota_and_bare_loops(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = _bench("--quick", "--bare", "--only", "waiting", "--json", str(file))
    assert done.returncode == 0, done.stderr
    content = json.loads(file.read_text())
    assert {each["name"] for each in content["contestants"]} == {
        "Rota, 64 threads",
        "Rota, async, 64 at once",
        "hand-written pool, 64 lanes",
        "consume(500), serial",
    }
    figures = {each["name"]: each for each in content["figures"]}
    assert figures["5 ms, 64 threads: out of order"]["rota"] == 0
    assert figures["5 ms, 64 threads: a key twice at once"]["rota"] == 0
    assert figures["5 ms, 64 threads : 64 x serial"]["ratio"] > 0


def test_silence_lost_and_repeated_are_read_from_the_logs(tmp_path: Path) -> None:
    handled = [Handled(1.0, 0, 0), Handled(1.5, 0, 1), Handled(4.0, 0, 1), Handled(4.5, 0, 3)]
    assert longest_silence(handled, 1, 1.2, 5.0) == 2.5
    assert longest_silence(handled, 1, 4.2, 9.5) == 5.0
    assert longest_silence(handled, 2, 1.2, 5.0) == 3.8
    assert unhandled(handled, {0: 5, 1: 2}) == 4
    assert repeated(handled) == {(0, 1)}
    assert read_log(tmp_path / "none") == []


def test_every_record_of_a_filled_topic_has_a_key() -> None:
    step = 36_000
    assert sum(occurrences(number, 2 * step) for number in range(KEYS)) == 2 * step
