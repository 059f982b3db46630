"""ShareGroupDescribe: API 77, versions 1."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, boolean, int16, int32, string, struct, uuid

__all__ = [
    "Assignment",
    "DescribedGroup",
    "Member",
    "ShareGroupDescribeRequest",
    "ShareGroupDescribeResponse",
    "TopicPartitions",
]


class ShareGroupDescribeRequest(Message, api_key=77, versions="1", flexible="0+"):
    group_ids: list[str] = array("string", default=[])
    include_authorized_operations: bool = boolean(default=False)


class TopicPartitions(Struct):
    topic_id: bytes = uuid(default=bytes(16))
    topic_name: str = string(default="")
    partitions: list[int] = array("int32", default=[])


class Assignment(Struct):
    topic_partitions: list[TopicPartitions] = array(TopicPartitions, default=[])


class Member(Struct):
    member_id: str = string(default="")
    rack_id: str | None = string(nullable="0+", default=None)
    member_epoch: int = int32(default=0)
    client_id: str = string(default="")
    client_host: str = string(default="")
    subscribed_topic_names: list[str] = array("string", default=[])
    assignment: Assignment = struct(Assignment, default=Assignment())


class DescribedGroup(Struct):
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    group_id: str = string(default="")
    group_state: str = string(default="")
    group_epoch: int = int32(default=0)
    assignment_epoch: int = int32(default=0)
    assignor_name: str = string(default="")
    members: list[Member] = array(Member, default=[])
    authorized_operations: int = int32(default=-2147483648)


class ShareGroupDescribeResponse(Message, api_key=77, versions="1", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    groups: list[DescribedGroup] = array(DescribedGroup, default=[])
