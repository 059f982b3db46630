"""What every contestant shares: its orders, and the meter that its handler ticks. Imports nothing but Python's own.

A contestant is started as ``python -m bench.consumer.contestants.NAME ORDERS`` (JSON) and prints one line of JSON:
what it measured from the first record handled to the last, and the versions of what it is made of. It ends after
``count`` records, without ceremony; or, where ``count`` is 0, on SIGTERM, in its own best way.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

__all__ = ["Meter", "Orders", "begin"]

HANDLED = struct.Struct("=dIq")
"""One record in a log: when (monotonic seconds, one clock for all processes), partition, offset."""


@dataclass(frozen=True)
class Orders:
    """What to do. ``way``: which of the program's ways; ``client``: settings under librdkafka's names."""

    bootstrap: str
    topic: str
    group: str
    way: str
    count: int = 0
    wait_ms: float = 0.0
    lanes: int = 64
    client: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    scratch: str = ""
    stuck: str = ""
    """The key whose first record hangs until the end ("" for none)."""


class Meter:
    """Counts records that were handled, and looks whether a key was handled twice at once or out of order."""

    def __init__(self, orders: Orders, packages: tuple[str, ...]) -> None:
        self._orders = orders
        self._packages = packages
        self._next = itertools.count(1).__next__
        self._marks = frozenset((1, orders.count))
        self._lock = threading.Lock()
        self._many = 0
        self._before = 0
        self._start = self._start_cpu = 0.0
        self._wait_s = orders.wait_ms / 1000
        self._running: dict[bytes, int] = {}
        self._last: dict[bytes, int] = {}
        self._overlaps: list[int] = []
        self._disorder: list[int] = []
        self._log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if orders.log else -1

    @property
    def plain(self) -> bool:
        """Whether the handler does nothing: `tick` is all there is to call."""
        return not self._wait_s and self._log < 0

    # A handler that does nothing.

    def tick(self) -> None:
        """One record was handled."""
        if (number := self._next()) in self._marks:
            self._mark(number)

    def ticks(self, count: int) -> None:
        """A batch was."""
        with self._lock:
            first = not self._many
            self._many += count
            if first:
                self._mark(count)
            if self._many >= self._orders.count > 0:
                self._report(self._many)

    # A handler that waits, or writes down what it has handled.

    def handle(self, key: bytes | None, partition: int, offset: int) -> None:
        self._begin(key or b"", offset)
        if self._wait_s:
            time.sleep(self._wait_s)
        self._end(key or b"", partition, offset)

    async def handle_async(self, key: bytes | None, partition: int, offset: int) -> None:
        self._begin(key or b"", offset)
        if self._wait_s:
            await asyncio.sleep(self._wait_s)
        self._end(key or b"", partition, offset)

    def _begin(self, key: bytes, offset: int) -> None:
        if self._running.setdefault(key, offset) != offset:
            self._overlaps.append(offset)
        if self._last.get(key, -1) > offset:
            self._disorder.append(offset)
        else:
            self._last[key] = offset

    def _end(self, key: bytes, partition: int, offset: int) -> None:
        if self._running.get(key) == offset:
            del self._running[key]
        if self._log >= 0:
            os.write(self._log, HANDLED.pack(time.monotonic(), partition, offset))
        self.tick()

    def _mark(self, number: int) -> None:
        if not self._start:
            self._before = number
            self._start, self._start_cpu = time.monotonic(), time.process_time()
        elif number == self._orders.count:
            self._report(number)

    def _report(self, number: int) -> None:
        seconds = time.monotonic() - self._start
        said = {
            "records": number - self._before,
            "seconds": seconds,
            "cpu_s": time.process_time() - self._start_cpu,
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "overlaps": len(self._overlaps),
            "disorder": len(self._disorder),
            "versions": {name: version(name) for name in self._packages},
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        os._exit(0)


def begin(*packages: str) -> tuple[Orders, Meter]:
    """The orders on the command line, and a meter for them."""
    orders = Orders(**json.loads(sys.argv[1]))
    return orders, Meter(orders, packages)
