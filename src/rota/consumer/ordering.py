"""Which records wait for each other: those of one key, of one partition, or none.

An ordering says two things of a record. Its *lane* (a number): records of one lane run one after the other.
Its *order key*: when a record fails or takes long, only those with the same order key go on waiting for it,
and the rest of the lane goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from rota.consumer.client import Message

__all__ = ["ByKey", "ByPartition", "NullKey", "Order", "Ordering", "Unordered", "ordering_for"]

Order = Literal["key", "partition", "none"]
NullKey = Literal["partition", "none"]


class Ordering(Protocol):
    """See the module."""

    lanes: int

    def lane(self, message: Message) -> int: ...
    def order_key(self, message: Message) -> Hashable: ...
    def split(self, messages: Sequence[Message]) -> list[list[Message]]:
        """The messages of each lane, in their order."""
        ...


class ByKey:
    """One key, one record at a time. Records without a key wait for each other in their partition, or not
    at all.
    """

    def __init__(self, lanes: int, null_key: NullKey = "partition") -> None:
        self.lanes = 1 << max(0, lanes - 1).bit_length()
        self._mask = self.lanes - 1
        self._null_in_order = null_key == "partition"

    def lane(self, message: Message) -> int:
        stand_in = message.partition() if self._null_in_order else message.offset()
        return hash(message.key() or stand_in) & self._mask

    def order_key(self, message: Message) -> Hashable:
        key = message.key()
        if key or self._null_in_order:
            return message.topic(), message.partition(), key or None
        return message.topic(), message.partition(), message.offset()

    def split(self, messages: Sequence[Message]) -> list[list[Message]]:
        # The hot loop of `order="key"`: two calls, a hash and an append a record.
        mask = self._mask
        lists: list[list[Message]] = [[] for _ in range(self.lanes)]
        if self._null_in_order:
            for message in messages:
                lists[hash(message.key() or message.partition()) & mask].append(message)
        else:
            for message in messages:
                lists[hash(message.key() or message.offset()) & mask].append(message)
        return lists


class ByPartition:
    """One partition, one record at a time."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._lane_of: dict[tuple[str, int], int] = {}

    def lane(self, message: Message) -> int:
        where = (message.topic(), message.partition())
        lane = self._lane_of.get(where)
        if lane is None:  # partitions are dealt out in turn, for as long as the process lives
            lane = self._lane_of[where] = len(self._lane_of) % self.lanes
        return lane

    def order_key(self, message: Message) -> Hashable:
        return TopicPartition(message.topic(), message.partition())

    def split(self, messages: Sequence[Message]) -> list[list[Message]]:
        lists: list[list[Message]] = [[] for _ in range(self.lanes)]
        partition, topic, chosen = -1, "", lists[0]
        for message in messages:  # a fetch brings many of one partition behind each other
            if message.partition() != partition or message.topic() != topic:
                partition, topic = message.partition(), message.topic()
                chosen = lists[self.lane(message)]
            chosen.append(message)
        return lists


class Unordered:
    """Every record by itself."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._next = 0

    def lane(self, message: Message) -> int:
        return message.offset() % self.lanes

    def order_key(self, message: Message) -> Hashable:
        return message.topic(), message.partition(), message.offset()

    def split(self, messages: Sequence[Message]) -> list[list[Message]]:
        first, self._next = self._next, (self._next + len(messages)) % self.lanes
        return [list(messages[(lane - first) % self.lanes :: self.lanes]) for lane in range(self.lanes)]


def ordering_for(order: Order, lanes: int, null_key: NullKey) -> Ordering:
    """The ordering that a handler asked for by name."""
    if order == "key":
        return ByKey(lanes, null_key)
    if order == "partition":
        return ByPartition(lanes)
    return Unordered(lanes)
