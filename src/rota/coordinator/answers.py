"""The answers that several handlers give, built in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rota.wire.messages.join_group import JoinGroupResponse, JoinGroupResponseMember
from rota.wire.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from rota.coordinator.group import Group
    from rota.model import ErrorCode

__all__ = ["NULL_NAME_VERSION", "join_error", "join_success", "sync_error", "sync_success"]

# Fields in their order: a rebalance makes one for every member, and keywords would take as long again.
_joined: Callable[..., JoinGroupResponse] = JoinGroupResponse
_synced: Callable[..., SyncGroupResponse] = SyncGroupResponse

NULL_NAME_VERSION = 7
"""The first version of JoinGroup whose protocol name may be null; before it is empty instead."""


def join_error(code: ErrorCode, version: int, member_id: str = "") -> JoinGroupResponse:
    """A JoinGroup that did not get in: the protocol's name is null where ``version`` lets it be."""
    name = None if version >= NULL_NAME_VERSION else ""
    return JoinGroupResponse(error_code=code, member_id=member_id, protocol_name=name)


def join_success(
    group: Group, member_id: str, *, leader: str | None = None, skip_assignment: bool = False
) -> JoinGroupResponse:
    """The current generation. Only its leader gets the members: it is the one to assign partitions.

    ``leader`` is who the member is to believe leads, if not the one who does.
    """
    told = leader or group.leader
    assert told is not None
    members: list[JoinGroupResponseMember] = []
    if told == member_id:
        members = [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                metadata=member.metadata(group.protocol),
            )
            for member in group.members.values()
        ]
    return _joined(
        0,  # throttle time
        0,  # error code
        group.generation,
        group.protocol_type,
        group.protocol,
        told,
        skip_assignment,
        member_id,
        members,
    )


def sync_error(code: ErrorCode) -> SyncGroupResponse:
    """A SyncGroup that brings no assignment."""
    return SyncGroupResponse(error_code=code)


def sync_success(group: Group, assignment: bytes) -> SyncGroupResponse:
    """A member's assignment in the current generation."""
    return _synced(0, 0, group.protocol_type, group.protocol, assignment)  # no throttle time, no error
