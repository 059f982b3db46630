"""A record that cannot go on, and those that wait for it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.work import Task

__all__ = ["Blocked"]


class Blocked:
    """A record that is not done, apart from the lanes, and those of its order key that wait ``behind`` it.

    It is running by itself (``task``), on its way to another topic (``sending``), or waits for its next
    attempt. A ``stale`` one ran when its partition went: nothing comes of it any more, but its successors
    must not overtake it. ``records``: the record, or a batch that is tried again as a whole.
    """

    __slots__ = (
        "aliases",
        "alone",
        "attempt",
        "behind",
        "order_key",
        "owed",
        "records",
        "sending",
        "stale",
        "task",
    )

    def __init__(self, records: Sequence[Message], order_key: Hashable, task: Task | None) -> None:
        self.records = records
        self.order_key = order_key
        self.aliases: Sequence[Hashable] = ()
        """Order keys that a stale one blocks besides."""
        self.task = task
        self.sending = False
        self.behind: deque[Message] = deque()
        self.alone = 0
        """So many of those behind it, the first ones, are tried one by one."""
        self.attempt = 0
        self.stale = False
        self.owed = 0
        """Of a stale one: how many of its records no worker will count."""

    @property
    def message(self) -> Message:
        """The record; of a batch, the first."""
        return self.records[0]

    @property
    def busy(self) -> bool:
        """Whether something is being done that has begun, and will end by itself."""
        return self.task is not None or self.sending

    def come_back(self, left: Sequence[Message], *, together: bool) -> None:
        """Its task has ended, these were not done. ``together``: they are tried again as a whole."""
        self.task = None
        if self.stale:
            self.owed = len(left)
        elif left:
            self.records = left if together else left[:1]
            self.behind.extendleft(reversed(left[len(self.records) :]))

    def single_out(self) -> None:
        """One by one from here on: the records of a batch that fails, nobody knows because of which."""
        self.alone = len(self.records) - 1
        self.behind.extendleft(reversed(self.records[1:]))
        self.records = self.records[:1]

    def disown(self) -> None:
        """Its partition is not ours any more."""
        self.stale = True
        self.alone = 0
        self.owed = len(self.records)
