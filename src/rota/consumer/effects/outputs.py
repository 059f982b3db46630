"""What exactly-once handlers have produced, from the end of the handler to the commit of the record's offset."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.core.offset_metadata import decode_done
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.consumer.clients.client import Message, Offset

__all__ = ["LARGEST_OUTPUT", "Covered", "Output", "Outputs", "check_output"]

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


def check_output(output: Output) -> None:
    """Raises RotaError for what the producer would not take: there it would end a transaction with the outputs of many
    records, here it is a failure of the one that produced it.
    """
    topic, value, key, headers, partition, timestamp_ms = output
    if not isinstance(topic, str) or not topic or "\0" in topic or not _is_utf8(topic):
        raise RotaError(f"{topic!r} is no name of a topic")
    for what, given in (("value", value), ("key", key)):
        if given is not None and not _is_text(given):
            raise RotaError(f"the {what} for {topic} is {_named(given)}: bytes, str or None is wanted")
    for name, given in headers:
        if not _is_text(name) or not (given is None or _is_text(given)):
            raise RotaError(
                f"a header for {topic} is {_named(name)} with {_named(given)}: a name (str) with bytes, str or None "
                "is wanted"
            )
    if partition is not None and not _is_number(partition, _MOST_PARTITION):
        raise RotaError(f"partition={partition!r} for {topic}: a whole number, 0 or more, is wanted")
    if timestamp_ms is not None and not _is_number(timestamp_ms, _LATEST_MS):
        raise RotaError(
            f"timestamp_ms={timestamp_ms!r} for {topic}: a whole number of milliseconds is wanted"
        )


_MOST_PARTITION = 2**31 - 1
_LATEST_MS = 2**63 - 1


def _is_text(given: object) -> bool:
    return isinstance(given, bytes) or (isinstance(given, str) and _is_utf8(given))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(given: object, most: int) -> bool:
    try:
        return 0 <= operator.index(given) <= most  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return False


def _named(given: object) -> str:
    return "a str that is no UTF-8" if isinstance(given, str) else f"of type {type(given).__name__}"


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
        # By offset: a partition may have come back, and a record been handled again, while the handler that had it
        # before still ran. Each has produced something, and only one of them is to count.
        self._kept: dict[TopicPartition, dict[int, list[tuple[Message, Sequence[Output]]]]] = {}

    def done(self, message: Message, outputs: Sequence[Output]) -> None:
        """A record is done. These replace what it produced before, should it have been handled twice."""
        self._arrived.append((message, outputs))

    def drop(self, message: Message) -> None:
        """It was handled after its partition had gone: nothing comes of that. What it produced since then, handed out
        again, stays.
        """
        self._sort()
        kept = self._kept.get(TopicPartition(message.topic(), message.partition()), {})
        others = [each for each in kept.get(message.offset(), ()) if each[0] is not message]
        if others:
            kept[message.offset()] = others
        else:
            kept.pop(message.offset(), None)

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
        somebody else has written its outputs. But if these commits go back, the log begins anew, and what was
        covered were other records.
        """
        self._sort()
        found = []
        for where, offset in offsets.items():
            kept = self._kept.get(where, {})
            if not kept:
                continue
            known = before(where)
            anew = known is not None and offset.offset < known.offset
            now, past = _Cover(offset), _Cover(None if anew else known)
            for at in sorted(kept):
                if past.has(at):
                    del kept[at]
                elif now.has(at) and (outputs := kept[at][-1][1]):
                    found.append(Covered(where, at, outputs))
        return found

    def committed(self, covered: Iterable[Covered]) -> None:
        """These are committed: not to be written again."""
        for where, offset, outputs in covered:
            kept = self._kept.get(where, {})
            if any(each[1] is outputs for each in kept.get(offset, ())):
                del kept[offset]

    def _sort(self) -> None:
        while self._arrived:
            message, outputs = self._arrived.popleft()
            kept = self._kept.setdefault(TopicPartition(message.topic(), message.partition()), {})
            before = kept.get(message.offset())
            if before is not None:
                kept[message.offset()] = [each for each in before if each[0] is not message]
                kept[message.offset()].append((message, outputs))
            elif outputs:
                kept[message.offset()] = [(message, outputs)]


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
