"""Cold start and footprint of one broker process, measured from outside: seconds, MiB, per cent of one core."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from bench import first_record, first_record_raw

IDLE_S = 20.0
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One start of one broker.

    `first_record_s`: from the start of the process (in a directory that is empty, or formatted where the
    broker needs that) until a group has consumed a record with librdkafka; `raw_record_s`: the same in a
    start of its own, with a client that has no timers; `format_s`: what formatting took before; `rss_mib`:
    resident memory at the first record; `cpu_s`: processor time until then; `idle_percent`: of one core, with
    no client, over 20 s.
    """

    first_record_s: float
    raw_record_s: float
    format_s: float
    rss_mib: float
    cpu_s: float
    idle_percent: float


class Server(Protocol):
    """A broker that can be prepared and spawned without waiting; RotaBroker and RealKafka are such."""

    bootstrap_servers: str

    @property
    def pid(self) -> int: ...
    def __enter__(self) -> Self: ...
    def stop(self) -> None: ...


def measure(start: Callable[[], tuple[Server, float, float]]) -> Sample:
    """Run one broker through two starts, each in a directory of its own, and its idle time. `start` returns
    it, when it was spawned, and how long formatting took.
    """
    server, spawned_at, _ = start()
    try:
        first_record_raw.consume_first_record(server.bootstrap_servers)
        raw_record_s = time.monotonic() - spawned_at
    finally:
        server.stop()
    server, spawned_at, format_s = start()
    try:
        first_record.consume_first_record(server.bootstrap_servers)
        first_record_s = time.monotonic() - spawned_at
        rss_mib, cpu_s = _resident_mib(server.pid), _cpu_s(server.pid)
        time.sleep(1.0)  # the client's connections close
        before, began = _cpu_s(server.pid), time.monotonic()
        time.sleep(IDLE_S)
        idle_percent = 100 * (_cpu_s(server.pid) - before) / (time.monotonic() - began)
    finally:
        server.stop()
    return Sample(first_record_s, raw_record_s, format_s, rss_mib, cpu_s, idle_percent)


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / _MIB


def _cpu_s(pid: int) -> float:
    """User and system time of the process, its ended children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
