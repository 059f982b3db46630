"""kill -9: whatever was acknowledged is there afterwards, whenever it struck."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.storage.batches import read_all

from rota.model import TopicPartition
from rota.storage import LogConfig, LogDirectory

_KILLS = 8
_CONFIG = LogConfig(segment_bytes=4_000, index_interval_bytes=300)


def test_acknowledged_is_never_lost(tmp_path: Path, kills: Callable[[int], int]) -> None:
    moments = random.Random(20)
    acknowledged = [-1, -1, -1]
    appender = str(Path(__file__).with_name("appender.py"))
    for _ in range(kills(_KILLS)):
        lines_to_go = moments.randrange(1, 900)
        with subprocess.Popen(
            [sys.executable, appender, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _, line in zip(range(lines_to_go), process.stdout, strict=False):
                note(acknowledged, line)
            os.kill(process.pid, signal.SIGKILL)
            for line in process.stdout:
                if line.endswith("\n"):
                    note(acknowledged, line)
        directory = LogDirectory.open(tmp_path)
        assert not directory.was_clean
        for partition, last in enumerate(acknowledged):
            log = directory.open_log(TopicPartition("t", partition), bytes(16), _CONFIG, now_ms=1_000)
            assert log.log_end_offset > last
            records = read_all(log)
            assert [record.offset for record in records] == list(range(log.log_end_offset))
            for record in records:
                assert record.value is not None
                assert record.value.startswith(b"%d" % record.offset)
        # The next appender finds it as the crash left it.
        os.close(directory._lock)  # type: ignore[arg-type]


def note(acknowledged: list[int], line: str) -> None:
    """Take over one line of the appender's."""
    partition, offset = map(int, line.split())
    acknowledged[partition] = max(acknowledged[partition], offset)
