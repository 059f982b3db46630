"""What Kafka's consumers write into the opaque bytes of the group protocol (``protocol_type`` "consumer").

The coordinator passes these bytes through; it reads them only to know which topics a group subscribes to (a
subscribed topic's offsets do not expire and cannot be deleted) and to tell people what happened. So reading
never fails: bytes that are not what they should be mean "not known". Apache Kafka 4.1 intends the same, but
some malformed metadata makes its rebalance never end; that is not copied.

Reading takes the fields of version 0, which all versions begin with, and skips what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from rota.model import TopicPartition
from rota.wire import WireError
from rota.wire.codec import decoder
from rota.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rota.wire.schema import Message

_M = TypeVar("_M", bound="Message")

__all__ = ["Held", "assigned_partitions", "owned_partitions", "subscribed_topics"]

_OLDEST, _WITH_OWNED = 0, 1
_VERSION_SIZE = 2


def subscribed_topics(metadata: bytes) -> tuple[str, ...] | None:
    """The topics of a consumer's subscription, or None if ``metadata`` is not one."""
    read = _read(ConsumerProtocolSubscription, _OLDEST, metadata)
    return None if read is None else tuple(read.topics)


def owned_partitions(metadata: bytes) -> frozenset[TopicPartition] | None:
    """The partitions that a cooperative consumer says it holds; None if it has no field for them."""
    if int.from_bytes(metadata[:_VERSION_SIZE], "big", signed=True) < _WITH_OWNED:
        return None
    read = _read(ConsumerProtocolSubscription, _WITH_OWNED, metadata)
    if read is None:
        return None
    return frozenset(
        TopicPartition(owned.topic, partition)
        for owned in read.owned_partitions
        for partition in owned.partitions
    )


def assigned_partitions(assignment: bytes) -> tuple[TopicPartition, ...]:
    """The partitions of a member's assignment; none if it is empty or cannot be read."""
    read = _read(ConsumerProtocolAssignment, _OLDEST, assignment)
    if read is None:
        return ()
    return tuple(
        TopicPartition(entry.topic, partition)
        for entry in read.assigned_partitions
        for partition in entry.partitions
    )


class Held(Mapping[str, tuple[TopicPartition, ...]]):
    """What each of ``members`` holds by its assignment, which is read when somebody asks."""

    __slots__ = ("_assignments", "_members")

    def __init__(self, members: Iterable[str], assignments: Mapping[str, bytes]) -> None:
        self._members = dict.fromkeys(members)
        self._assignments = assignments

    def __getitem__(self, member_id: str) -> tuple[TopicPartition, ...]:
        if member_id not in self._members:
            raise KeyError(member_id)
        return assigned_partitions(self._assignments.get(member_id, b""))

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return repr(dict(self))


def _read(cls: type[_M], version: int, data: bytes) -> _M | None:
    if len(data) < _VERSION_SIZE:
        return None
    try:
        message: _M = decoder(cls, version)(data, _VERSION_SIZE)[0]
    except WireError:
        return None
    return message
