"""Deadlines by key, on one timer of the event loop.

The coordinator and the fetch handler name their deadlines by a key and move them often, seldom letting one pass.
A key has an entry in the heap, which stays where it is while the deadline moves to later, or is cancelled and set
again: when the entry is due, it is put back for the deadline that there is by then. So that costs a dictionary entry.
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
        # The deadline of the entry that counts for a key: its earliest.
        self._queued: dict[Hashable, int] = {}
        self._sequence = 0
        self._handle: TimerHandle | None = None
        self._handle_ms = 0

    def set(self, key: Hashable, deadline_ms: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` at ``deadline_ms``; replaces the deadline that ``key`` had."""
        self._deadlines[key] = (deadline_ms, callback)
        queued_ms = self._queued.get(key)
        if queued_ms is not None and queued_ms <= deadline_ms:
            return
        self._push(key, deadline_ms)
        self._tidy()
        if self._handle is None or deadline_ms < self._handle_ms:
            self._arm()

    def cancel(self, key: Hashable) -> None:
        """Forget the deadline of ``key``, if it has one."""
        self._deadlines.pop(key, None)

    def cancel_all(self, kind: str) -> None:
        """Forget the deadlines whose keys are tuples that begin with ``kind``."""
        for key in [key for key in self._deadlines if isinstance(key, tuple) and key[0] == kind]:
            del self._deadlines[key]

    def run_due(self) -> None:
        """Call back everything whose deadline has passed; tests with a clock of their own call this."""
        self._handle = None
        now_ms = self._now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            entry = heapq.heappop(self._heap)
            if self._is_due(entry):
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
        self._queued.clear()

    def _push(self, key: Hashable, deadline_ms: int) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (deadline_ms, self._sequence, key))
        self._queued[key] = deadline_ms

    def _is_due(self, entry: tuple[int, int, Hashable]) -> bool:
        """Whether the key of an entry that was taken from the heap is due with it; if it moved, it is put back."""
        queued_ms, _, key = entry
        if self._queued.get(key) != queued_ms:
            return False  # an earlier entry has taken its place
        del self._queued[key]
        current = self._deadlines.get(key)
        if current is not None and current[0] > queued_ms:
            self._push(key, current[0])
            return False
        return current is not None

    def _tidy(self) -> None:
        """Drop the entries of cancelled deadlines, and those that earlier ones replaced, once they are most."""
        if len(self._heap) > 1024 and len(self._heap) > 4 * len(self._deadlines):
            self._queued = {key: each for key, each in self._queued.items() if key in self._deadlines}
            self._heap = [entry for entry in self._heap if self._queued.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._handle_ms = self._heap[0][0]
            delay_s = max(0, self._handle_ms - self._now_ms()) / 1000
            self._handle = self._loop.call_later(delay_s, self.run_due)
