"""Appends to a data directory for ever and prints every acknowledged offset; a test kills it."""

from __future__ import annotations

import sys

from rota.model import TopicPartition
from rota.storage import LogConfig, LogDirectory
from rota.wire.records import build_batch


def main() -> None:
    """``appender.py DIRECTORY``."""
    directory = LogDirectory.open(sys.argv[1])
    config = LogConfig(segment_bytes=4_000, index_interval_bytes=300)
    logs = [
        directory.open_log(TopicPartition("t", number), bytes(16), config, now_ms=1_000)
        for number in range(3)
    ]
    out = sys.stdout
    number = 0
    while True:
        partition = number % 3
        log = logs[partition]
        value = b"%d" % log.log_end_offset
        info = log.append(
            build_batch([(b"k", value * (1 + number % 40), 1_000 + number, ())]), 1_000 + number
        )
        out.write(f"{partition} {info.last_offset}\n")
        out.flush()
        number += 1


if __name__ == "__main__":
    main()
