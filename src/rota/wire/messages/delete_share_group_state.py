"""DeleteShareGroupState: API 86, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, string, uuid

__all__ = [
    "DeleteShareGroupStateRequest",
    "DeleteShareGroupStateResponse",
    "DeleteStateData",
    "DeleteStateResult",
    "PartitionData",
    "PartitionResult",
]


class PartitionData(Struct):
    partition: int = int32(default=0)


class DeleteStateData(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionData] = array(PartitionData, default=[])


class DeleteShareGroupStateRequest(Message, api_key=86, versions="0", flexible="0+"):
    group_id: str = string(default="")
    topics: list[DeleteStateData] = array(DeleteStateData, default=[])


class PartitionResult(Struct):
    partition: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)


class DeleteStateResult(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionResult] = array(PartitionResult, default=[])


class DeleteShareGroupStateResponse(Message, api_key=86, versions="0", flexible="0+"):
    results: list[DeleteStateResult] = array(DeleteStateResult, default=[])
