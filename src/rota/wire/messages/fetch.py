"""Fetch: API 1, versions 4-18."""

from __future__ import annotations

from rota.wire.schema import (
    Message,
    Records,
    Struct,
    array,
    int8,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)

__all__ = [
    "AbortedTransaction",
    "EpochEndOffset",
    "FetchPartition",
    "FetchRequest",
    "FetchResponse",
    "FetchTopic",
    "FetchableTopicResponse",
    "ForgottenTopic",
    "LeaderIdAndEpoch",
    "NodeEndpoint",
    "PartitionData",
    "ReplicaState",
    "SnapshotId",
]


class ReplicaState(Struct):
    replica_id: int = int32("15+", default=-1)
    replica_epoch: int = int64("15+", default=-1)


class FetchPartition(Struct):
    partition: int = int32(default=0)
    current_leader_epoch: int = int32("9+", default=-1)
    fetch_offset: int = int64(default=0)
    last_fetched_epoch: int = int32("12+", default=-1)
    log_start_offset: int = int64("5+", default=-1)
    partition_max_bytes: int = int32(default=0)
    replica_directory_id: bytes = uuid("17+", default=bytes(16), tag=0, tagged="17+")
    high_watermark: int = int64("18+", default=9223372036854775807, tag=1, tagged="18+")


class FetchTopic(Struct):
    topic: str = string("0-12", default="")
    topic_id: bytes = uuid("13+", default=bytes(16))
    partitions: list[FetchPartition] = array(FetchPartition, default=[])


class ForgottenTopic(Struct):
    topic: str = string("7-12", default="")
    topic_id: bytes = uuid("13+", default=bytes(16))
    partitions: list[int] = array("int32", "7+", default=[])


class FetchRequest(Message, api_key=1, versions="4-18", flexible="12+"):
    cluster_id: str | None = string("12+", nullable="12+", default=None, tag=0, tagged="12+")
    replica_id: int = int32("0-14", default=-1)
    replica_state: ReplicaState = struct(ReplicaState, "15+", default=ReplicaState(), tag=1, tagged="15+")
    max_wait_ms: int = int32(default=0)
    min_bytes: int = int32(default=0)
    max_bytes: int = int32("3+", default=2147483647)
    isolation_level: int = int8("4+", default=0)
    session_id: int = int32("7+", default=0)
    session_epoch: int = int32("7+", default=-1)
    topics: list[FetchTopic] = array(FetchTopic, default=[])
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, "7+", default=[])
    rack_id: str = string("11+", default="")


class EpochEndOffset(Struct):
    epoch: int = int32("12+", default=-1)
    end_offset: int = int64("12+", default=-1)


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32("12+", default=-1)
    leader_epoch: int = int32("12+", default=-1)


class SnapshotId(Struct):
    end_offset: int = int64(default=-1)
    epoch: int = int32(default=-1)


class AbortedTransaction(Struct):
    producer_id: int = int64("4+", default=0)
    first_offset: int = int64("4+", default=0)


class PartitionData(Struct):
    partition_index: int = int32(default=0)
    error_code: int = int16(default=0)
    high_watermark: int = int64(default=0)
    last_stable_offset: int = int64("4+", default=-1)
    log_start_offset: int = int64("5+", default=-1)
    diverging_epoch: EpochEndOffset = struct(
        EpochEndOffset, "12+", default=EpochEndOffset(), tag=0, tagged="12+"
    )
    current_leader: LeaderIdAndEpoch = struct(
        LeaderIdAndEpoch, "12+", default=LeaderIdAndEpoch(), tag=1, tagged="12+"
    )
    snapshot_id: SnapshotId = struct(SnapshotId, "12+", default=SnapshotId(), tag=2, tagged="12+")
    aborted_transactions: list[AbortedTransaction] | None = array(
        AbortedTransaction, "4+", nullable="4+", default=[]
    )
    preferred_read_replica: int = int32("11+", default=-1)
    records: Records = records(nullable="0+")


class FetchableTopicResponse(Struct):
    topic: str = string("0-12", default="")
    topic_id: bytes = uuid("13+", default=bytes(16))
    partitions: list[PartitionData] = array(PartitionData, default=[])


class NodeEndpoint(Struct):
    node_id: int = int32("16+", default=0)
    host: str = string("16+", default="")
    port: int = int32("16+", default=0)
    rack: str | None = string("16+", nullable="16+", default=None)


class FetchResponse(Message, api_key=1, versions="4-18", flexible="12+"):
    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16("7+", default=0)
    session_id: int = int32("7+", default=0)
    responses: list[FetchableTopicResponse] = array(FetchableTopicResponse, default=[])
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "16+", default=[], tag=0, tagged="16+")
