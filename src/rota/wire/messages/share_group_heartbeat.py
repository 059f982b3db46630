"""ShareGroupHeartbeat: API 76, versions 1."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, string, struct, uuid

__all__ = ["Assignment", "ShareGroupHeartbeatRequest", "ShareGroupHeartbeatResponse", "TopicPartitions"]


class ShareGroupHeartbeatRequest(Message, api_key=76, versions="1", flexible="0+"):
    group_id: str = string(default="")
    member_id: str = string(default="")
    member_epoch: int = int32(default=0)
    rack_id: str | None = string(nullable="0+", default=None)
    subscribed_topic_names: list[str] | None = array("string", nullable="0+", default=None)


class TopicPartitions(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    partitions: list[int] = array("int32", default=[])


class Assignment(Struct):
    topic_partitions: list[TopicPartitions] = array(TopicPartitions, default=[])


class ShareGroupHeartbeatResponse(Message, api_key=76, versions="1", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    member_id: str | None = string(nullable="0+", default=None)
    member_epoch: int = int32(default=0)
    heartbeat_interval_ms: int = int32(default=0)
    assignment: Assignment | None = struct(Assignment, nullable="0+", default=None)
