"""How much memory the requests that are still arriving may take, all together: ``queued.max.request.bytes``.

A frame of up to ``FREE`` bytes takes what it needs. A larger one is given room as it comes, a multiple of what has
come: who only announces much takes no room from others. If there is none left, it waits in the socket until another
large one has been served; the eldest always goes on. One that has been arriving for longer than clients wait for an
answer loses its place, and its connection, to one that needs the room. Kafka's default is no limit; then there is one
of our own.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["FREE", "PATIENCE_S", "RequestMemory"]

FREE = 1024 * 1024
PATIENCE_S = 60.0
_OWN_LIMIT = 512 * 1024 * 1024


class _Holder(Protocol):
    """A connection."""

    def close(self, reason: str) -> None:
        """End it, and say why."""


class RequestMemory:
    """``limit``: bytes, or what is not positive for our own limit. Times are seconds of one clock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit if limit > 0 else _OWN_LIMIT
        self._given: dict[_Holder, tuple[int, float]] = {}  # the oldest first: how much, and since when
        self._sum = 0

    def give(self, holder: _Holder, size: int, now: float) -> bool:
        """Whether there is room for so many bytes of its frame, those that it has been given included."""
        had, since = self._given.get(holder, (0, now))
        while self._given and self._sum - had + size > self._limit:
            oldest, (its_size, its_since) = next(iter(self._given.items()))
            if oldest is holder:
                break
            if now - its_since < PATIENCE_S:
                return False
            self.give_back(oldest)
            oldest.close(
                f"a request has not come whole in {PATIENCE_S:g} s, and others need its {its_size} bytes"
                " (queued.max.request.bytes)"
            )
        self._given[holder] = size, since
        self._sum += size - had
        return True

    def give_back(self, holder: _Holder) -> None:
        """Its frame has been served, or its connection has ended."""
        size, _ = self._given.pop(holder, (0, 0.0))
        self._sum -= size
