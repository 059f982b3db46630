"""ShareAcknowledge: API 79, versions 1."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, int64, string, struct, uuid

__all__ = [
    "AcknowledgePartition",
    "AcknowledgeTopic",
    "AcknowledgementBatch",
    "LeaderIdAndEpoch",
    "NodeEndpoint",
    "PartitionData",
    "ShareAcknowledgeRequest",
    "ShareAcknowledgeResponse",
    "ShareAcknowledgeTopicResponse",
]


class AcknowledgementBatch(Struct):
    first_offset: int = int64(default=0)
    last_offset: int = int64(default=0)
    acknowledge_types: list[int] = array("int8", default=[])


class AcknowledgePartition(Struct):
    partition_index: int = int32(default=0)
    acknowledgement_batches: list[AcknowledgementBatch] = array(AcknowledgementBatch, default=[])


class AcknowledgeTopic(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[AcknowledgePartition] = array(AcknowledgePartition, default=[])


class ShareAcknowledgeRequest(Message, api_key=79, versions="1", flexible="0+"):
    group_id: str | None = string(nullable="0+", default=None)
    member_id: str | None = string(nullable="0+", default="")
    share_session_epoch: int = int32(default=0)
    topics: list[AcknowledgeTopic] = array(AcknowledgeTopic, default=[])


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32(default=0)
    leader_epoch: int = int32(default=0)


class PartitionData(Struct):
    partition_index: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch, default=LeaderIdAndEpoch())


class ShareAcknowledgeTopicResponse(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionData] = array(PartitionData, default=[])


class NodeEndpoint(Struct):
    node_id: int = int32(default=0)
    host: str = string(default="")
    port: int = int32(default=0)
    rack: str | None = string(nullable="0+", default=None)


class ShareAcknowledgeResponse(Message, api_key=79, versions="1", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    responses: list[ShareAcknowledgeTopicResponse] = array(ShareAcknowledgeTopicResponse, default=[])
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, default=[])
