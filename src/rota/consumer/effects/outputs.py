"""What exactly-once handlers have produced, from the end of the handler to the commit of the record's offset."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.core.offset_metadata import decode_done
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.consumer.clients.client import Message, Offset

__all__ = ["LARGEST_OUTPUT", "Covered", "Output", "Outputs"]

LARGEST_OUTPUT = 1_000_000
"""Bytes of key, value and headers of an output, unless message.max.bytes says otherwise."""


class Output(NamedTuple):
    """A record to be written; strings are UTF-8."""

    topic: str
    value: bytes | str | None
    key: bytes | str | None = None
    headers: tuple[tuple[str, bytes | str | None], ...] = ()
    partition: int | None = None
    """None: as the key says."""
    timestamp_ms: int | None = None
    """None: now."""

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        parts = [self.key, self.value, *(part for header in self.headers for part in header)]
        return sum(len(part.encode() if isinstance(part, str) else part) for part in parts if part)


class Covered(NamedTuple):
    """A record whose offset a commit covers, and what it produced."""

    where: TopicPartition
    offset: int
    outputs: Sequence[Output]


class Outputs:
    """See `rota.consumer.core.state.Outputs`. `done` is called by workers; everything else by one thread, the owner's.

    Nothing is locked: a worker appends to a queue before it goes past its record, so whoever sees that a record is
    done finds its outputs in the queue.
    """

    def __init__(self) -> None:
        self._arrived: deque[tuple[Message, Sequence[Output]]] = deque()
        self._kept: dict[TopicPartition, dict[int, Sequence[Output]]] = {}

    def done(self, message: Message, outputs: Sequence[Output]) -> None:
        """A record is done. These replace what it produced before, should it have been handled twice."""
        self._arrived.append((message, outputs))

    def drop(self, message: Message) -> None:
        """It was handled after its partition had gone: nothing comes of that."""
        self._sort()
        self._kept.get(TopicPartition(message.topic(), message.partition()), {}).pop(message.offset(), None)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not ours any more."""
        self._sort()
        for partition in partitions:
            self._kept.pop(partition, None)

    @property
    def waiting(self) -> int:
        """Records whose outputs were not committed yet, about."""
        return len(self._arrived) + sum(map(len, self._kept.values()))

    def covered(
        self, offsets: Mapping[TopicPartition, Offset], before: Callable[[TopicPartition], Offset | None]
    ) -> list[Covered]:
        """The records that these commits cover, and those ``before`` did not, in the order of their offsets. They
        stay here until they are `committed`.

        What an earlier commit covers was handled by a handler that ran on after its partition had gone: by now
        somebody else has written its outputs.
        """
        self._sort()
        found = []
        for where, offset in offsets.items():
            kept = self._kept.get(where, {})
            if not kept:
                continue
            now, past = _Cover(offset), _Cover(before(where))
            for at in sorted(kept):
                if past.has(at):
                    del kept[at]
                elif now.has(at):
                    found.append(Covered(where, at, kept[at]))
        return found

    def committed(self, covered: Iterable[Covered]) -> None:
        """These are committed: not to be written again."""
        for where, offset, outputs in covered:
            kept = self._kept.get(where, {})
            if kept.get(offset) is outputs:
                del kept[offset]

    def _sort(self) -> None:
        while self._arrived:
            message, outputs = self._arrived.popleft()
            where = TopicPartition(message.topic(), message.partition())
            if outputs:
                self._kept.setdefault(where, {})[message.offset()] = outputs
            else:
                self._kept.get(where, {}).pop(message.offset(), None)


class _Cover:
    """What a commit says is done."""

    def __init__(self, offset: Offset | None) -> None:
        self._upto = 0 if offset is None else offset.offset
        beyond = () if offset is None else decode_done(offset.offset, offset.metadata)
        self._firsts = [first for first, _ in beyond]
        self._ends = [end for _, end in beyond]

    def has(self, at: int) -> bool:
        before = bisect_right(self._firsts, at)
        return at < self._upto or (before > 0 and at < self._ends[before - 1])
