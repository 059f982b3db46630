"""DeleteShareGroupOffsets: API 92, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, string, uuid

__all__ = [
    "DeleteShareGroupOffsetsRequest",
    "DeleteShareGroupOffsetsRequestTopic",
    "DeleteShareGroupOffsetsResponse",
    "DeleteShareGroupOffsetsResponseTopic",
]


class DeleteShareGroupOffsetsRequestTopic(Struct):
    topic_name: str = string(default="")


class DeleteShareGroupOffsetsRequest(Message, api_key=92, versions="0", flexible="0+"):
    group_id: str = string(default="")
    topics: list[DeleteShareGroupOffsetsRequestTopic] = array(DeleteShareGroupOffsetsRequestTopic, default=[])


class DeleteShareGroupOffsetsResponseTopic(Struct):
    topic_name: str = string(default="")
    topic_id: bytes = uuid(default=bytes(16))
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)


class DeleteShareGroupOffsetsResponse(Message, api_key=92, versions="0", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    responses: list[DeleteShareGroupOffsetsResponseTopic] = array(
        DeleteShareGroupOffsetsResponseTopic, default=[]
    )
