"""Which records wait for each other: those of one key, of one partition, or none.

An ordering says two things of a record. Its *lane* (a small number): records of one lane run one after the other.
Its *order key*: when a record fails or takes long, only those with the same order key go on waiting for it,
and the rest of the lane goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from rota.consumer.core.batches import by_partition
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from rota.consumer.clients.client import Message

__all__ = ["ByKey", "ByPartition", "InBatches", "NullKey", "Order", "Ordering", "Unordered", "ordering_for"]

Order = Literal["key", "partition", "none"]
NullKey = Literal["partition", "none"]


class Ordering(Protocol):
    """See the module. ``in_order``: whether the records of a lane must be done in their order."""

    @property
    def in_order(self) -> bool: ...
    @property
    def one_partition(self) -> bool:
        """Whether a lane has records of one partition only."""
        ...

    def lane(self, message: Message) -> int: ...
    def order_key(self, message: Message) -> Hashable: ...
    def split(self, messages: Sequence[Message]) -> Iterable[tuple[int, list[Message]]]:
        """The lanes that get some of the messages, which there must be, and those, in their order."""
        ...


class ByKey:
    """One key, one record at a time. Records without a key wait for each other in their partition, or not
    at all.
    """

    in_order = True
    one_partition = False

    def __init__(self, lanes: int, null_key: NullKey = "partition") -> None:
        self._lanes = 1 << max(0, lanes - 1).bit_length()
        self._mask = self._lanes - 1
        self._null_in_order = null_key == "partition"

    def lane(self, message: Message) -> int:
        stand_in = message.partition() if self._null_in_order else message.offset()
        return hash(message.key() or stand_in) & self._mask

    def order_key(self, message: Message) -> Hashable:
        key = message.key()
        if key or self._null_in_order:
            return message.topic(), message.partition(), key or None
        return message.topic(), message.partition(), message.offset()

    def split(self, messages: Sequence[Message]) -> Iterable[tuple[int, list[Message]]]:
        # The hot loop of `order="key"`: two calls, a hash and an append a record.
        mask = self._mask
        lists: list[list[Message]] = [[] for _ in range(self._lanes)]
        if self._null_in_order:
            for message in messages:
                lists[hash(message.key() or message.partition()) & mask].append(message)
        else:
            for message in messages:
                lists[hash(message.key() or message.offset()) & mask].append(message)
        return [(lane, chosen) for lane, chosen in enumerate(lists) if chosen]


class ByPartition:
    """One partition, one record at a time. Each partition has a lane for as long as the process lives.
    ``one_topic``: there is no other.
    """

    in_order = True
    one_partition = True

    def __init__(self, *, one_topic: bool = False) -> None:
        self._one_topic = one_topic
        self._lane_of: dict[tuple[str, int], int] = {}

    def lane(self, message: Message) -> int:
        return self._lane_of.setdefault((message.topic(), message.partition()), len(self._lane_of))

    def order_key(self, message: Message) -> Hashable:
        return TopicPartition(message.topic(), message.partition())

    def split(self, messages: Sequence[Message]) -> Iterable[tuple[int, list[Message]]]:
        found = by_partition(messages, one_topic=self._one_topic)
        return [(self.lane(chosen[0]), chosen) for _, chosen in found]


class Unordered:
    """Every record by itself."""

    in_order = False
    one_partition = False

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._next = 0

    def lane(self, message: Message) -> int:
        return message.offset() % self._lanes

    def order_key(self, message: Message) -> Hashable:
        return message.topic(), message.partition(), message.offset()

    def split(self, messages: Sequence[Message]) -> Iterable[tuple[int, list[Message]]]:
        lanes = self._lanes
        first, self._next = self._next, (self._next + len(messages)) % lanes
        return [((first + at) % lanes, list(messages[at::lanes])) for at in range(min(lanes, len(messages)))]


class InBatches:
    """Another ordering, for handlers of batches: what a batch waits for is the lane, not each of its keys."""

    def __init__(self, inner: Ordering) -> None:
        self.in_order = inner.in_order
        self.one_partition = inner.one_partition
        self.lane = inner.lane
        self.split = inner.split
        self._inner = inner

    def order_key(self, message: Message) -> Hashable:
        if not self.in_order:
            return self._inner.order_key(message)
        return message.topic(), message.partition(), self.lane(message)


def ordering_for(order: Order, lanes: int, null_key: NullKey, *, one_topic: bool = False) -> Ordering:
    """The ordering that a handler asked for by name. ``one_topic``: it reads no other."""
    if order == "key":
        return ByKey(lanes, null_key)
    if order == "partition":
        return ByPartition(one_topic=one_topic)
    return Unordered(lanes)
