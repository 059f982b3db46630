"""The records of ``__consumer_offsets``: keys and values."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, bytes_, int8, int32, int64, string, struct, uuid

__all__ = [
    "ClassicMemberMetadata",
    "ClassicProtocol",
    "ConsumerGroupCurrentMemberAssignmentKey",
    "ConsumerGroupCurrentMemberAssignmentValue",
    "ConsumerGroupMemberMetadataKey",
    "ConsumerGroupMemberMetadataValue",
    "ConsumerGroupMetadataKey",
    "ConsumerGroupMetadataValue",
    "ConsumerGroupPartitionMetadataKey",
    "ConsumerGroupPartitionMetadataValue",
    "ConsumerGroupRegularExpressionKey",
    "ConsumerGroupRegularExpressionValue",
    "ConsumerGroupTargetAssignmentMemberKey",
    "ConsumerGroupTargetAssignmentMemberValue",
    "ConsumerGroupTargetAssignmentMetadataKey",
    "ConsumerGroupTargetAssignmentMetadataValue",
    "GroupMetadataKey",
    "GroupMetadataValue",
    "MemberMetadata",
    "OffsetCommitKey",
    "OffsetCommitValue",
    "PartitionMetadata",
    "TopicMetadata",
    "TopicPartition",
    "TopicPartitions",
]


class OffsetCommitKey(Message, versions="0", flexible="none"):
    group: str = string("0", default="")
    topic: str = string("0", default="")
    partition: int = int32("0", default=0)


class OffsetCommitValue(Message, versions="0-4", flexible="4+"):
    offset: int = int64(default=0)
    leader_epoch: int = int32("3+", default=-1)
    metadata: str = string(default="")
    commit_timestamp: int = int64(default=0)
    expire_timestamp: int = int64("1", default=-1)
    topic_id: bytes = uuid("4+", default=bytes(16), tag=0, tagged="4+")


class GroupMetadataKey(Message, versions="0", flexible="none"):
    group: str = string("0", default="")


class MemberMetadata(Struct):
    member_id: str = string(default="")
    group_instance_id: str | None = string("3+", nullable="3+", default=None)
    client_id: str = string(default="")
    client_host: str = string(default="")
    rebalance_timeout: int = int32("1+", default=-1)
    session_timeout: int = int32(default=0)
    subscription: bytes = bytes_(default=b"")
    assignment: bytes = bytes_(default=b"")


class GroupMetadataValue(Message, versions="0-4", flexible="4+"):
    protocol_type: str = string(default="")
    generation: int = int32(default=0)
    protocol: str | None = string(nullable="0+", default="")
    leader: str | None = string(nullable="0+", default="")
    current_state_timestamp: int = int64("2+", default=-1)
    members: list[MemberMetadata] = array(MemberMetadata, default=[])


class ConsumerGroupMetadataKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")


class ConsumerGroupMetadataValue(Message, versions="0", flexible="0+"):
    epoch: int = int32(default=0)
    metadata_hash: int = int64(default=0, tag=0, tagged="0+")


class ConsumerGroupPartitionMetadataKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")


class PartitionMetadata(Struct):
    partition: int = int32(default=0)
    racks: list[str] = array("string", default=[])


class TopicMetadata(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    topic_name: str = string(default="")
    num_partitions: int = int32(default=0)
    partition_metadata: list[PartitionMetadata] = array(PartitionMetadata, default=[])


class ConsumerGroupPartitionMetadataValue(Message, versions="0", flexible="0+"):
    topics: list[TopicMetadata] = array(TopicMetadata, default=[])


class ConsumerGroupMemberMetadataKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")
    member_id: str = string("0", default="")


class ClassicProtocol(Struct):
    name: str = string(default="")
    metadata: bytes = bytes_(default=b"")


class ClassicMemberMetadata(Struct):
    session_timeout_ms: int = int32(default=0)
    supported_protocols: list[ClassicProtocol] = array(ClassicProtocol, default=[])


class ConsumerGroupMemberMetadataValue(Message, versions="0", flexible="0+"):
    instance_id: str | None = string(nullable="0+", default="")
    rack_id: str | None = string(nullable="0+", default="")
    client_id: str = string(default="")
    client_host: str = string(default="")
    subscribed_topic_names: list[str] = array("string", default=[])
    subscribed_topic_regex: str | None = string(nullable="0+", default="")
    rebalance_timeout_ms: int = int32(default=-1)
    server_assignor: str | None = string(nullable="0+", default="")
    classic_member_metadata: ClassicMemberMetadata | None = struct(
        ClassicMemberMetadata, nullable="0+", default=None, tag=0, tagged="0+"
    )


class ConsumerGroupTargetAssignmentMetadataKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")


class ConsumerGroupTargetAssignmentMetadataValue(Message, versions="0", flexible="0+"):
    assignment_epoch: int = int32(default=0)


class ConsumerGroupTargetAssignmentMemberKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")
    member_id: str = string("0", default="")


class TopicPartition(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[int] = array("int32", default=[])


class ConsumerGroupTargetAssignmentMemberValue(Message, versions="0", flexible="0+"):
    topic_partitions: list[TopicPartition] = array(TopicPartition, default=[])


class ConsumerGroupCurrentMemberAssignmentKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")
    member_id: str = string("0", default="")


class TopicPartitions(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[int] = array("int32", default=[])


class ConsumerGroupCurrentMemberAssignmentValue(Message, versions="0", flexible="0+"):
    member_epoch: int = int32(default=0)
    previous_member_epoch: int = int32(default=0)
    state: int = int8(default=0)
    assigned_partitions: list[TopicPartitions] = array(TopicPartitions, default=[])
    partitions_pending_revocation: list[TopicPartitions] = array(TopicPartitions, default=[])


class ConsumerGroupRegularExpressionKey(Message, versions="0", flexible="none"):
    group_id: str = string("0", default="")
    regular_expression: str = string("0", default="")


class ConsumerGroupRegularExpressionValue(Message, versions="0", flexible="0+"):
    topics: list[str] = array("string", default=[])
    version: int = int64(default=0)
    timestamp: int = int64(default=0)
