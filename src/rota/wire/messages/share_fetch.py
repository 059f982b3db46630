"""ShareFetch: API 78, versions 1."""

from __future__ import annotations

from rota.wire.schema import (
    Message,
    Records,
    Struct,
    array,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)

__all__ = [
    "AcknowledgementBatch",
    "AcquiredRecords",
    "FetchPartition",
    "FetchTopic",
    "ForgottenTopic",
    "LeaderIdAndEpoch",
    "NodeEndpoint",
    "PartitionData",
    "ShareFetchRequest",
    "ShareFetchResponse",
    "ShareFetchableTopicResponse",
]


class AcknowledgementBatch(Struct):
    first_offset: int = int64(default=0)
    last_offset: int = int64(default=0)
    acknowledge_types: list[int] = array("int8", default=[])


class FetchPartition(Struct):
    partition_index: int = int32(default=0)
    partition_max_bytes: int = int32("0", default=0)
    acknowledgement_batches: list[AcknowledgementBatch] = array(AcknowledgementBatch, default=[])


class FetchTopic(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[FetchPartition] = array(FetchPartition, default=[])


class ForgottenTopic(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[int] = array("int32", default=[])


class ShareFetchRequest(Message, api_key=78, versions="1", flexible="0+"):
    group_id: str | None = string(nullable="0+", default=None)
    member_id: str | None = string(nullable="0+", default="")
    share_session_epoch: int = int32(default=0)
    max_wait_ms: int = int32(default=0)
    min_bytes: int = int32(default=0)
    max_bytes: int = int32(default=2147483647)
    max_records: int = int32("1+", default=0)
    batch_size: int = int32("1+", default=0)
    topics: list[FetchTopic] = array(FetchTopic, default=[])
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, default=[])


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32(default=0)
    leader_epoch: int = int32(default=0)


class AcquiredRecords(Struct):
    first_offset: int = int64(default=0)
    last_offset: int = int64(default=0)
    delivery_count: int = int16(default=0)


class PartitionData(Struct):
    partition_index: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    acknowledge_error_code: int = int16(default=0)
    acknowledge_error_message: str | None = string(nullable="0+", default=None)
    current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch, default=LeaderIdAndEpoch())
    records: Records = records(nullable="0")
    acquired_records: list[AcquiredRecords] = array(AcquiredRecords, default=[])


class ShareFetchableTopicResponse(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionData] = array(PartitionData, default=[])


class NodeEndpoint(Struct):
    node_id: int = int32(default=0)
    host: str = string(default="")
    port: int = int32(default=0)
    rack: str | None = string(nullable="0+", default=None)


class ShareFetchResponse(Message, api_key=78, versions="1", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    acquisition_lock_timeout_ms: int = int32("1+", default=0)
    responses: list[ShareFetchableTopicResponse] = array(ShareFetchableTopicResponse, default=[])
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, default=[])
