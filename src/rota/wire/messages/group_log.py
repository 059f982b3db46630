"""The records of ``__consumer_offsets``: keys and values."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, bytes_, int32, int64, string, uuid

__all__ = ["GroupMetadataKey", "GroupMetadataValue", "MemberMetadata", "OffsetCommitKey", "OffsetCommitValue"]


class OffsetCommitKey(Message, versions="0", flexible="none"):
    group: str = string("0", default="")
    topic: str = string("0", default="")
    partition: int = int32("0", default=0)


class OffsetCommitValue(Message, versions="0-4", flexible="4+"):
    offset: int = int64(default=0)
    leader_epoch: int = int32("3+", default=-1)
    metadata: str = string(default="")
    commit_timestamp: int = int64(default=0)
    expire_timestamp: int = int64("1", default=-1)
    topic_id: bytes = uuid("4+", default=bytes(16), tag=0, tagged="4+")


class GroupMetadataKey(Message, versions="0", flexible="none"):
    group: str = string("0", default="")


class MemberMetadata(Struct):
    member_id: str = string(default="")
    group_instance_id: str | None = string("3+", nullable="3+", default=None)
    client_id: str = string(default="")
    client_host: str = string(default="")
    rebalance_timeout: int = int32("1+", default=-1)
    session_timeout: int = int32(default=0)
    subscription: bytes = bytes_(default=b"")
    assignment: bytes = bytes_(default=b"")


class GroupMetadataValue(Message, versions="0-4", flexible="4+"):
    protocol_type: str = string(default="")
    generation: int = int32(default=0)
    protocol: str | None = string(nullable="0+", default="")
    leader: str | None = string(nullable="0+", default="")
    current_state_timestamp: int = int64("2+", default=-1)
    members: list[MemberMetadata] = array(MemberMetadata, default=[])
