"""InitializeShareGroupState: API 83, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, int64, string, uuid

__all__ = [
    "InitializeShareGroupStateRequest",
    "InitializeShareGroupStateResponse",
    "InitializeStateData",
    "InitializeStateResult",
    "PartitionData",
    "PartitionResult",
]


class PartitionData(Struct):
    partition: int = int32(default=0)
    state_epoch: int = int32(default=0)
    start_offset: int = int64(default=0)


class InitializeStateData(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionData] = array(PartitionData, default=[])


class InitializeShareGroupStateRequest(Message, api_key=83, versions="0", flexible="0+"):
    group_id: str = string(default="")
    topics: list[InitializeStateData] = array(InitializeStateData, default=[])


class PartitionResult(Struct):
    partition: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)


class InitializeStateResult(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionResult] = array(PartitionResult, default=[])


class InitializeShareGroupStateResponse(Message, api_key=83, versions="0", flexible="0+"):
    results: list[InitializeStateResult] = array(InitializeStateResult, default=[])
