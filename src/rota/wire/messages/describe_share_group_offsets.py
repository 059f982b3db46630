"""DescribeShareGroupOffsets: API 90, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, int64, string, uuid

__all__ = [
    "DescribeShareGroupOffsetsRequest",
    "DescribeShareGroupOffsetsRequestGroup",
    "DescribeShareGroupOffsetsRequestTopic",
    "DescribeShareGroupOffsetsResponse",
    "DescribeShareGroupOffsetsResponseGroup",
    "DescribeShareGroupOffsetsResponsePartition",
    "DescribeShareGroupOffsetsResponseTopic",
]


class DescribeShareGroupOffsetsRequestTopic(Struct):
    topic_name: str = string(default="")
    partitions: list[int] = array("int32", default=[])


class DescribeShareGroupOffsetsRequestGroup(Struct):
    group_id: str = string(default="")
    topics: list[DescribeShareGroupOffsetsRequestTopic] | None = array(
        DescribeShareGroupOffsetsRequestTopic, nullable="0+", default=[]
    )


class DescribeShareGroupOffsetsRequest(Message, api_key=90, versions="0", flexible="0+"):
    groups: list[DescribeShareGroupOffsetsRequestGroup] = array(
        DescribeShareGroupOffsetsRequestGroup, default=[]
    )


class DescribeShareGroupOffsetsResponsePartition(Struct):
    partition_index: int = int32(default=0)
    start_offset: int = int64(default=0)
    leader_epoch: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)


class DescribeShareGroupOffsetsResponseTopic(Struct):
    topic_name: str = string(default="")
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[DescribeShareGroupOffsetsResponsePartition] = array(
        DescribeShareGroupOffsetsResponsePartition, default=[]
    )


class DescribeShareGroupOffsetsResponseGroup(Struct):
    group_id: str = string(default="")
    topics: list[DescribeShareGroupOffsetsResponseTopic] = array(
        DescribeShareGroupOffsetsResponseTopic, default=[]
    )
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)


class DescribeShareGroupOffsetsResponse(Message, api_key=90, versions="0", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    groups: list[DescribeShareGroupOffsetsResponseGroup] = array(
        DescribeShareGroupOffsetsResponseGroup, default=[]
    )
