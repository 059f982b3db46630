"""What members tell each other inside JoinGroup and SyncGroup."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, bytes_, int32, string

__all__ = [
    "ConsumerProtocolAssignment",
    "ConsumerProtocolAssignmentTopicPartition",
    "ConsumerProtocolSubscription",
    "TopicPartition",
]


class TopicPartition(Struct):
    topic: str = string("1+", default="")
    partitions: list[int] = array("int32", "1+", default=[])


class ConsumerProtocolSubscription(Message, versions="0-3", flexible="none"):
    topics: list[str] = array("string", default=[])
    user_data: bytes | None = bytes_(nullable="0+", default=None)
    owned_partitions: list[TopicPartition] = array(TopicPartition, "1+", default=[])
    generation_id: int = int32("2+", default=-1)
    rack_id: str | None = string("3+", nullable="3+", default=None)


class ConsumerProtocolAssignmentTopicPartition(Struct):
    topic: str = string(default="")
    partitions: list[int] = array("int32", default=[])


class ConsumerProtocolAssignment(Message, versions="0-3", flexible="none"):
    assigned_partitions: list[ConsumerProtocolAssignmentTopicPartition] = array(
        ConsumerProtocolAssignmentTopicPartition, default=[]
    )
    user_data: bytes | None = bytes_(nullable="0+", default=None)
