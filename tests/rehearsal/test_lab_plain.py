"""`rota lab` without a terminal: the script, told in plain lines, and its findings."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.rehearsal.children import all_gone, command_line, descendants

from rota.rehearsal.folder import Folder
from rota.timeline import Timeline
from rota.timeline.events import read_events

if TYPE_CHECKING:
    from tests.rehearsal.conftest import Script

LAB = [sys.executable, "-m", "rota", "lab"]


class Run(NamedTuple):
    """One run of the whole script."""

    code: int
    findings: dict[str, Any]
    story: str
    directory: Path


@pytest.fixture(scope="module")
def run(script: Script) -> Run:
    """The script as anyone runs it, once for all tests of this module."""
    output, story = script.finish()
    assert output, story
    return Run(script.process.returncode, json.loads(output), story, script.directory)


def test_nothing_is_lost_and_the_exit_code_says_so(run: Run) -> None:
    assert run.code == 0
    assert run.findings["verdict"] == "passed"
    assert run.findings["lost"] == run.findings["waiting"] == 0
    assert run.findings["produced"] == run.findings["processed"] > 500


def test_a_killed_consumers_partition_pauses_until_its_session_ends(run: Run) -> None:
    killed = [pause for pause in run.findings["pauses"] if "consumer-2 was killed" in pause["cause"]]
    longest = max(killed, key=lambda pause: pause["duration_ms"])  # catching up may pause once more, briefly
    # Silence counts from its last heartbeat, up to 2 s before the kill; how soon others join is the machine's.
    assert longest["duration_ms"] >= 4_000
    assert longest["end_ms"] is not None
    assert longest["partition"] == "web-events-partitioned-1"


def test_its_partitions_move_to_the_survivors_and_back(run: Run) -> None:
    moves = [
        (move["from_consumer"], move["to_consumer"])
        for move in run.findings["moves"]
        if move["partition"] == "web-events-partitioned-1"
    ]
    assert moves[0][0] == "consumer-2"
    assert moves[1][1] == "consumer-2"


def test_the_coordinator_gives_a_reason_for_every_rebalance(run: Run) -> None:
    words = [item["words"] for item in run.findings["rebalances"]]
    assert any("consumer-2 was silent" in text for text in words), words
    assert any(text == "consumer-3 left" for text in words), words
    assert all(item["rebalance"]["reason"] for item in run.findings["rebalances"])


def test_what_comes_twice_is_little_and_explained(run: Run) -> None:
    # A kill repeats at most what was done since the last commit (0.5 s at 10 records a second, and slack).
    assert run.findings["processed_again"] <= 40
    assert all(item["cause"] for item in run.findings["duplicates"])


def test_says_what_it_changed_and_what_happens(run: Run) -> None:
    assert "session.timeout.ms 6000 (Kafka's default: 45000)" in run.story
    assert "kill -9 consumer-2" in run.story
    assert re.search(r"consumer-2 comes back as process \d+", run.story)
    assert re.search(r"Generation \d+: consumer-2 reads partitions 0, 1 and 2\.", run.story)
    assert "has not answered" not in run.story


def test_the_recording_gives_the_same_findings(run: Run) -> None:
    with (run.directory / "lab.jsonl").open() as lines:
        summary = Timeline.of(read_events(lines), "web-events-group").summary()
    assert summary.to_dict() == {key: run.findings[key] for key in summary.to_dict()}


def test_draws_the_picture(run: Run) -> None:
    assert (run.directory / "lab.svg").read_text().startswith("<svg")


def test_leaves_no_temporary_files(run: Run) -> None:
    assert sorted(path.name for path in run.directory.iterdir()) == ["lab.jsonl", "lab.svg"]


def begun(directory: str) -> subprocess.Popen[str]:
    """A lab whose group has come together, with its temporary files in this directory."""
    lab = subprocess.Popen(LAB, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": directory})
    assert lab.stdout is not None
    for line in lab.stdout:
        if "Generation" in line:
            break
    return lab


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_when_asked_to(number: signal.Signals) -> None:
    with tempfile.TemporaryDirectory() as directory:
        lab = begun(directory)
        with lab:
            assert lab.stdout is not None
            children = descendants(lab.pid)
            assert len(children) == 5, "a broker, a producer, three consumers"
            lab.send_signal(number)
            rest = lab.stdout.read()
        assert "The producer stops" in rest
        assert "Nothing was lost" in rest or "Nothing was produced" in rest
        assert lab.returncode == (0 if "Nothing was lost" in rest else 1)
        assert all_gone(children)
        assert list(Path(directory).iterdir()) == []


def test_actors_end_when_their_director_is_killed_and_the_next_lab_cleans_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        lab = begun(directory)
        with lab:
            assert lab.stdout is not None
            children = descendants(lab.pid)
            monkeypatch.setattr(tempfile, "tempdir", directory)
            Folder().remove()  # what another lab does, at its start and at its end
            (left,) = Path(directory).iterdir()
            assert any(left.iterdir()), "the first lab still runs and needs its files"
            lab.kill()
        assert all_gone(children)
        Folder().remove()
        assert not left.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody wakes it")
def test_a_frozen_consumer_does_not_outlive_its_director() -> None:
    with tempfile.TemporaryDirectory() as directory:
        lab = begun(directory)
        with lab:
            assert lab.stdout is not None
            children = descendants(lab.pid)
            for pid in children:
                if "actors.consumer" in command_line(pid):
                    os.kill(pid, signal.SIGSTOP)
            lab.kill()
        assert all_gone(children)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--svg", "/nowhere/lab.svg"], "cannot write /nowhere/lab.svg"),
        (["--command-config", "x"], "--command-config is for the Kafka of --bootstrap-server"),
        (["--consumers", "10"], "10"),
        (["--rate", "nan"], "'nan' is not a finite number"),
        (["--handler", "nan"], "'nan' is not a finite number"),
        (["--skew", "inf"], "'inf' is not a finite number"),
        (["--duration", "inf"], "'inf' is not a finite number"),
        (["--group", ""], "--group wants a name, not ''"),
        (["--topic", ""], "--topic wants a name, not ''"),
        (["--max-poll-interval", "5000"], "is less than --session-timeout 6000: the client refuses that"),
        (["--topic", "a/b"], "could not create topic a/b"),
        (["--kind", "rota", "--commit", "auto"], "--commit auto is for --kind loop"),
    ],
)
def test_says_in_one_line_what_is_wrong(arguments: list[str], words: str) -> None:
    done = subprocess.run([*LAB, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--kind", "loop"], ["--commit", "auto"]])
def test_poll_loops_beside_the_runtime(words: list[str]) -> None:
    command = [*LAB, *words, "--json", "--duration", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["produced"] == found["processed"] > 30


def test_a_cluster_that_is_not_there_is_no_wrong_usage() -> None:
    done = subprocess.run(
        [*LAB, "-b", "127.0.0.1:1"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_lab_whose_producer_dies_says_so_ends_and_fails() -> None:
    with subprocess.Popen([*LAB, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as lab:
        assert lab.stderr is not None
        for line in lab.stderr:
            if "Generation" in line:
                break
        (producer,) = (pid for pid in descendants(lab.pid) if "actors.producer" in command_line(pid))
        os.kill(producer, signal.SIGKILL)
        output, story = lab.communicate(timeout=PATIENCE_S)
    assert lab.returncode == 1
    assert "The producer ended by itself: exit code -9." in story
    assert story.splitlines()[-1] == "error: the producer ended by itself: exit code -9"
    found = json.loads(output)
    assert (found["verdict"], found["lost"], found["waiting"]) == ("failed", 0, 0)
    assert found["trouble"] == "the producer ended by itself: exit code -9"


def test_a_lab_that_produced_nothing_has_shown_nothing() -> None:
    command = [*LAB, "--rate", "0", "--duration", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: nothing was produced: the rate is 0\n"


def test_a_reader_that_is_gone_is_noticed_though_nothing_is_printed(tmp_path: Path) -> None:
    """With --json nothing comes before the end."""
    story = tmp_path / "story"
    with story.open("wb") as sink:
        lab = subprocess.Popen(
            [sys.executable, "-m", "rota", "lab", "--json", "--rate", "5"],
            stdout=subprocess.PIPE,
            stderr=sink,
        )
    try:
        wait_until("the group reads", lambda: "Generation 1:" in story.read_text())
        children = descendants(lab.pid)
        assert lab.stdout is not None
        lab.stdout.close()
        assert lab.wait(PATIENCE_S) == 0
    finally:
        lab.kill()
        lab.wait()
    assert all_gone(children)
    assert "Traceback" not in story.read_text()
    assert "Everybody but" not in story.read_text(), "the script was not played to its end"
