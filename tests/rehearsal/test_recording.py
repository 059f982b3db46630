"""Recordings that survive kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from rota.rehearsal.recording import EventLog, EventTail
from rota.timeline.events import ConsumerStopped, Processed, to_json

if TYPE_CHECKING:
    from pathlib import Path


def processed(offset: int) -> Processed:
    return Processed(1_000 + offset, "consumer-1", "orders", 0, offset, offset)


def test_reads_what_is_added_each_time(tmp_path: Path) -> None:
    tail = EventTail(tmp_path / "c.jsonl")
    assert tail.read() == []
    with EventLog(tmp_path / "c.jsonl") as log:
        log.write(processed(0), processed(1))
        assert tail.read() == [processed(0), processed(1)]
        assert tail.read() == []
        log.write(processed(2))
    with EventLog(tmp_path / "c.jsonl") as log:  # it comes back: the same file goes on
        log.write(ConsumerStopped(9_000, "consumer-1", "SIGTERM"))
    assert tail.read() == [processed(2), ConsumerStopped(9_000, "consumer-1", "SIGTERM")]


def test_waits_for_the_rest_of_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    line = to_json(processed(0)) + "\n"
    path.write_text(line[:20])
    tail = EventTail(path)
    assert tail.read() == []
    with path.open("a") as file:
        file.write(line[20:])
    assert tail.read() == [processed(0)]


def test_what_was_written_outlives_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from rota.rehearsal.recording import EventLog\n"
        "from rota.timeline.events import Processed\n"
        "log = EventLog(sys.argv[1])\n"
        "log.write(*(Processed(1_000 + n, 'consumer-1', 'orders', 0, n, n) for n in range(500)))\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "c.jsonl")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        os.kill(child.pid, signal.SIGKILL)
    assert EventTail(tmp_path / "c.jsonl").read() == [processed(n) for n in range(500)]
