"""Deadlines by key, on one timer of the event loop.

The coordinator and the fetch handler name their deadlines by a key and move them often, seldom letting one
pass: setting one costs a dictionary entry and a heap entry, and entries that were moved are skipped when due.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.broker.loop import Loop, TimerHandle

__all__ = ["Timers"]


log = logging.getLogger(__name__)


class Timers:
    """Calls back once a deadline has passed. Deadlines are in milliseconds of ``now_ms``."""

    def __init__(self, loop: Loop, now_ms: Callable[[], int]) -> None:
        self._loop = loop
        self._now_ms = now_ms
        self._deadlines: dict[Hashable, tuple[int, Callable[[], None]]] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._sequence = 0
        self._handle: TimerHandle | None = None
        self._handle_ms = 0

    def set(self, key: Hashable, deadline_ms: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` at ``deadline_ms``; replaces the deadline that ``key`` had."""
        self._deadlines[key] = (deadline_ms, callback)
        self._sequence += 1
        heapq.heappush(self._heap, (deadline_ms, self._sequence, key))
        self._tidy()
        if self._handle is None or deadline_ms < self._handle_ms:
            self._arm()

    def cancel(self, key: Hashable) -> None:
        """Forget the deadline of ``key``, if it has one."""
        self._deadlines.pop(key, None)
        self._tidy()

    def run_due(self) -> None:
        """Call back everything whose deadline has passed; tests with a clock of their own call this."""
        self._handle = None
        now_ms = self._now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            entry = heapq.heappop(self._heap)
            if self._is_current(entry):
                _, callback = self._deadlines.pop(entry[2])
                try:
                    callback()
                except Exception:
                    # The deadlines behind it are not to suffer.
                    log.exception("bug: what was due for %r failed", entry[2])
        self._arm()

    def close(self) -> None:
        """Call nothing back any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._deadlines.clear()
        self._heap.clear()

    def _tidy(self) -> None:
        """Drop the entries of moved and cancelled deadlines once they are most of the heap."""
        if len(self._heap) > 1024 and len(self._heap) > 4 * len(self._deadlines):
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)

    def _is_current(self, entry: tuple[int, int, Hashable]) -> bool:
        current = self._deadlines.get(entry[2])
        return current is not None and current[0] == entry[0]

    def _arm(self) -> None:
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._handle_ms = self._heap[0][0]
            delay_s = max(0, self._handle_ms - self._now_ms()) / 1000
            self._handle = self._loop.call_later(delay_s, self.run_due)
