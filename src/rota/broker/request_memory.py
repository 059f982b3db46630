"""How much memory the requests that are still arriving may take, all together: ``queued.max.request.bytes``.

A frame of up to ``FREE`` bytes takes what it needs. A larger one is promised room for all of it before more of it
is read; if there is none, it waits in the socket until another large one has been served. Kafka's default is no limit;
then there is one of our own.
"""

from __future__ import annotations

__all__ = ["FREE", "RequestMemory"]

FREE = 1024 * 1024
_OWN_LIMIT = 512 * 1024 * 1024


class RequestMemory:
    """``limit``: bytes, or what is not positive for our own limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit if limit > 0 else _OWN_LIMIT
        self._promised = 0

    def promise(self, size: int) -> bool:
        """Whether there is room for a frame now; a single one always has it."""
        if self._promised and self._promised + size > self._limit:
            return False
        self._promised += size
        return True

    def give_back(self, size: int) -> None:
        """A frame has been served, or its connection has ended."""
        self._promised -= size
