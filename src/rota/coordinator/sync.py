"""SyncGroup (key 14, versions 0-5): the leader brings the assignment, everybody fetches theirs.

Version notes: v3 adds ``group.instance.id``, v5 makes the protocol's type and name mandatory (KIP-559).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.answers import sync_error, sync_success
from rota.coordinator.records import group_record
from rota.coordinator.states import GroupState
from rota.coordinator.subscriptions import Held
from rota.model import ErrorCode, GroupError
from rota.timeline.events import RebalanceCompleted

if TYPE_CHECKING:
    from rota.coordinator.group import Group
    from rota.coordinator.members import Member
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Groups, Step
    from rota.wire.messages.sync_group import SyncGroupRequest

__all__ = ["check_names", "differ", "handle_sync"]

_COMPLETING = GroupState.COMPLETING_REBALANCE
_NAMES_MANDATORY_VERSION = 5


def handle_sync(groups: Groups, request: SyncGroupRequest, context: Context, step: Step) -> None:
    """Answer a SyncGroup, or park it until the leader's comes."""
    try:
        group, member = _check(groups, request, context.version)
    except GroupError as error:
        step.reply(context.token, sync_error(error.code))
        return
    group.pending_sync.discard(member.member_id)
    if not group.pending_sync and group.sync_deadline_ms is not None:
        group.sync_deadline_ms = None
        step.cancel_timer(("sync", group.group_id))
    if group.state is not _COMPLETING:
        step.reply(context.token, sync_success(group, member.assignment))
        return
    if member.sync_token is not None:
        # The same member asks again on another connection; nobody waits for the first answer any more.
        step.reply(member.sync_token, sync_error(ErrorCode.REBALANCE_IN_PROGRESS))
    member.sync_token = context.token
    if group.leader == member.member_id:
        _stabilise(group, {entry.member_id: entry.assignment for entry in request.assignments}, step)


def check_names(request: SyncGroupRequest, version: int) -> None:
    """Whether the protocol is named where it has to be.

    Raises:
        GroupError: INCONSISTENT_GROUP_PROTOCOL
    """
    if version >= _NAMES_MANDATORY_VERSION and (
        request.protocol_type is None or request.protocol_name is None
    ):
        raise GroupError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _check(groups: Groups, request: SyncGroupRequest, version: int) -> tuple[Group, Member]:
    check_names(request, version)
    if not request.group_id:
        raise GroupError(ErrorCode.INVALID_GROUP_ID)
    group = groups.get(request.group_id)
    if group is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
    member = group.check_member(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation:
        raise GroupError(ErrorCode.ILLEGAL_GENERATION)
    if differ(request.protocol_type, group.protocol_type) or differ(request.protocol_name, group.protocol):
        raise GroupError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if group.state is GroupState.PREPARING_REBALANCE:
        raise GroupError(ErrorCode.REBALANCE_IN_PROGRESS)
    return group, member


def differ(theirs: str | None, ours: str | None) -> bool:
    """Whether two names, as far as they are given, are not the same."""
    return theirs is not None and ours is not None and theirs != ours


def _stabilise(group: Group, assignments: dict[str, bytes], step: Step) -> None:
    """Record the leader's assignment and hand it out; once recorded, ``Group.load`` makes the group Stable.

    Who is not mentioned gets nothing; who is mentioned and is not a member is ignored, as in Kafka.
    """
    step.records.append(group_record(group, step.now_ms, assignments=assignments))
    find, reply, extend = assignments.get, step.reply, step.extend_session
    for member_id, member in group.members.items():
        if member.sync_token is not None:
            reply(member.sync_token, sync_success(group, find(member_id, b"")))
            member.sync_token = None
            extend(group, member)
    held = Held(group.members, assignments if group.uses_consumer_protocol else {})
    step.events.append(
        RebalanceCompleted(step.now_ms, group.group_id, group.generation, group.protocol, group.leader, held)
    )
