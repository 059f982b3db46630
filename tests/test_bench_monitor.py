"""`make bench-monitor`: that a contest runs and what it writes; what it measures is for a quiet machine."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import need_kafka

_ROOT = Path(__file__).parents[1]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.monitor", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_an_unknown_contest_is_refused() -> None:
    done = _bench("--only", "looks,everything")
    assert done.returncode == 1
    assert "no contest is called everything; there are looks, " in done.stderr


def test_a_quick_look_beside_kafka_s_tool(tmp_path: Path) -> None:
    need_kafka()
    file = tmp_path / "bench.json"
    done = _bench("--quick", "--broker", "rota", "--only", "looks", "--json", str(file))
    assert done.returncode == 0, done.stderr
    content = json.loads(file.read_text())
    assert content["figures"][0]["name"].startswith(
        "50 groups x 100 on Rota's broker: a look : kafka-consumer-groups"
    )
    assert content["figures"][0]["ratio"] > 0
    (samples,) = content["samples"].values()
    assert {len(taken) for taken in samples.values()} == {1, 3}
    assert "machine" in content
