"""What a consumer group remembers of a member that uses the classic protocol, and the bytes such a member understands.

Kafka's consumers of the classic protocol put their subscription, and what they hold, into the opaque metadata of
JoinGroup, and find what they are given in that of SyncGroup. In a consumer group the coordinator is the leader: it
reads the former and writes the latter, each in the version that the member itself uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rota.coordinator.consumer_groups.assignment import Assigned
from rota.plain import Plain
from rota.wire import WireError
from rota.wire.codec import decoder, encode_versioned
from rota.wire.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
)
from rota.wire.messages.group_log import ClassicMemberMetadata
from rota.wire.messages.group_log import ClassicProtocol as RecordedProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.coordinator.members import Protocols
    from rota.coordinator.outcome import TopicView
    from rota.model import TopicPartition
    from rota.wire.messages.consumer_protocol import TopicPartition as OwnedPartitions
    from rota.wire.schema import Message

    _Named = Sequence[OwnedPartitions] | Sequence[ConsumerProtocolAssignmentTopicPartition]

_M = TypeVar("_M", bound="Message")

__all__ = ["ClassicMetadata", "assignment_bytes", "by_id", "read_assignment", "read_subscription"]

_VERSION_SIZE = 2


class ClassicMetadata(Plain):
    """``ClassicMemberMetadata``: a consumer group's member has it if, and only if, it uses the classic protocol."""

    session_timeout_ms: int
    protocols: Protocols

    @classmethod
    def from_record(cls, value: ClassicMemberMetadata | None) -> ClassicMetadata | None:
        """As the log has it."""
        if value is None:
            return None
        protocols = tuple((each.name, bytes(each.metadata)) for each in value.supported_protocols)
        return cls(value.session_timeout_ms, protocols)

    def to_record(self) -> ClassicMemberMetadata:
        """For the log."""
        return ClassicMemberMetadata(
            session_timeout_ms=self.session_timeout_ms,
            supported_protocols=[
                RecordedProtocol(name=name, metadata=metadata) for name, metadata in self.protocols
            ],
        )

    @property
    def protocol(self) -> str:
        """The name that the member is told: its favourite. Nobody uses that assignor."""
        return self.protocols[0][0]

    @property
    def metadata(self) -> bytes:
        """What it says of itself; all its protocols say the same."""
        return self.protocols[0][1]


def read_subscription(metadata: bytes) -> ConsumerProtocolSubscription | None:
    """What a member subscribes to and holds; None if the bytes do not say."""
    return _read(ConsumerProtocolSubscription, metadata)


def read_assignment(data: bytes) -> ConsumerProtocolAssignment | None:
    """What a leader gave to a member; nothing if that is empty, None if the bytes do not say."""
    return _read(ConsumerProtocolAssignment, data) if data else ConsumerProtocolAssignment()


def assignment_bytes(partitions: Iterable[TopicPartition], metadata: bytes) -> bytes:
    """What a member that joined with ``metadata`` reads as its assignment."""
    by_topic: dict[str, list[int]] = {}
    for topic, partition in partitions:
        by_topic.setdefault(topic, []).append(partition)
    assignment = ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignmentTopicPartition(topic=topic, partitions=indexes)
            for topic, indexes in by_topic.items()
        ]
    )
    version = int.from_bytes(metadata[:_VERSION_SIZE], "big", signed=True)
    return encode_versioned(assignment, _known(ConsumerProtocolAssignment, version))


def by_id(topics: TopicView, named: _Named) -> Assigned:
    """Partitions by topic id; topics that do not exist are left out."""
    found: dict[bytes, frozenset[int]] = {}
    for entry in named:
        topic_id = topics.topic_id(entry.topic)
        if topic_id is not None and entry.partitions:
            found[topic_id] = found.get(topic_id, frozenset()) | frozenset(entry.partitions)
    return found


def _read(cls: type[_M], data: bytes) -> _M | None:
    version = int.from_bytes(data[:_VERSION_SIZE], "big", signed=True)
    if len(data) < _VERSION_SIZE or version < 0:
        return None
    try:
        message: _M = decoder(cls, _known(cls, version))(memoryview(data), _VERSION_SIZE)[0]
    except WireError:
        return None
    return message


def _known(cls: type[Message], version: int) -> int:
    """Later versions begin as the last one that is known."""
    return min(max(version, 0), cls.versions.last)
