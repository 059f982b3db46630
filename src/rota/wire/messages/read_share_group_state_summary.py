"""ReadShareGroupStateSummary: API 87, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, int64, string, uuid

__all__ = [
    "PartitionData",
    "PartitionResult",
    "ReadShareGroupStateSummaryRequest",
    "ReadShareGroupStateSummaryResponse",
    "ReadStateSummaryData",
    "ReadStateSummaryResult",
]


class PartitionData(Struct):
    partition: int = int32(default=0)
    leader_epoch: int = int32(default=0)


class ReadStateSummaryData(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionData] = array(PartitionData, default=[])


class ReadShareGroupStateSummaryRequest(Message, api_key=87, versions="0", flexible="0+"):
    group_id: str = string(default="")
    topics: list[ReadStateSummaryData] = array(ReadStateSummaryData, default=[])


class PartitionResult(Struct):
    partition: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    state_epoch: int = int32(default=0)
    leader_epoch: int = int32(default=0)
    start_offset: int = int64(default=0)


class ReadStateSummaryResult(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[PartitionResult] = array(PartitionResult, default=[])


class ReadShareGroupStateSummaryResponse(Message, api_key=87, versions="0", flexible="0+"):
    results: list[ReadStateSummaryResult] = array(ReadStateSummaryResult, default=[])
