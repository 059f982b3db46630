"""LeaveGroup (key 13, versions 0-5): members say goodbye, or an administrator removes them.

Version notes: up to v2 one member and one error; from v3 several, each with an error of its own, and static
members may be named by their instance id alone (KIP-345); v5 adds the reason (KIP-800).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator import reasons
from rota.coordinator.rebalance import maybe_complete_join, prepare, remove_member
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError
from rota.timeline.events import RebalanceReason
from rota.wire.messages.leave_group import LeaveGroupResponse, MemberIdentity, MemberResponse

if TYPE_CHECKING:
    from rota.coordinator.group import Group
    from rota.coordinator.members import Member
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Groups, Step
    from rota.wire.messages.leave_group import LeaveGroupRequest

__all__ = ["handle_leave"]

_BATCH_VERSION = 3
_Left = tuple[str, RebalanceReason, str]


def handle_leave(groups: Groups, request: LeaveGroupRequest, context: Context, step: Step) -> None:
    """Remove the members that are named, then let the others share out what they held."""
    identities = request.members
    if context.version < _BATCH_VERSION:
        identities = [MemberIdentity(member_id=request.member_id)]
    if not request.group_id:
        step.reply(context.token, LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID))
        return
    group = groups.get(request.group_id)
    left: list[_Left] = []
    answers = []
    for identity in identities:
        code = ErrorCode.UNKNOWN_MEMBER_ID if group is None else _remove(group, identity, left, step)
        answers.append(
            MemberResponse(
                member_id=identity.member_id, group_instance_id=identity.group_instance_id, error_code=code
            )
        )
    if group is not None and any(answer.error_code == ErrorCode.NONE for answer in answers):
        _rebalance(group, left, step)
    if context.version < _BATCH_VERSION:
        step.reply(context.token, LeaveGroupResponse(error_code=answers[0].error_code))
    else:
        step.reply(context.token, LeaveGroupResponse(members=answers))


def _remove(group: Group, identity: MemberIdentity, left: list[_Left], step: Step) -> ErrorCode:
    if identity.member_id in group.pending_joins:
        group.remove(identity.member_id)
        step.end_session(group, identity.member_id)
        return ErrorCode.NONE
    try:
        member = _find(group, identity)
    except GroupError as error:
        return error.code
    reason = reasons.of_leave(identity.reason, by_instance=not identity.member_id)
    if identity.reason is None and reason is RebalanceReason.MEMBER_LEFT:
        reasons.note_silent_leaver(group, member, step.now_ms)
    left.append((member.member_id, reason, identity.reason or ""))
    remove_member(group, member, reason, identity.reason or "", step)
    return ErrorCode.NONE


def _find(group: Group, identity: MemberIdentity) -> Member:
    """By member id; a static member also by its instance id alone."""
    if identity.member_id:
        return group.check_member(identity.member_id, identity.group_instance_id)
    member_id = group.static_members.get(identity.group_instance_id or "")
    if identity.group_instance_id is None or member_id is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
    return group.members[member_id]


def _rebalance(group: Group, left: list[_Left], step: Step) -> None:
    if group.state is GroupState.PREPARING_REBALANCE:
        maybe_complete_join(group, step)
    elif group.state is not GroupState.EMPTY:
        # Kafka rebalances even if only an unused id was given back.
        member_id, reason, detail = left[0] if left else ("", RebalanceReason.MEMBER_LEFT, "")
        if len(left) > 1:
            detail = f"{len(left)} members left" + (f": {detail}" if detail else "")
        prepare(group, reason, member_id, detail, step)
