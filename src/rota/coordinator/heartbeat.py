"""Heartbeat (key 12, versions 0-4): a member is alive, and learns whether to join again.

The most frequent request of all: nothing is collected, no member but one is touched, and as a rule no timer
is asked for (see ``Member``); then ``beat`` is all of it. Version notes: v3 adds ``group.instance.id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.outcome import Outcome, Reply, Timer
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError
from rota.wire.messages.heartbeat import HeartbeatResponse

if TYPE_CHECKING:
    from rota.coordinator.members import Member
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Groups
    from rota.wire.messages.heartbeat import HeartbeatRequest

__all__ = ["beat", "handle_heartbeat"]

_PREPARING = GroupState.PREPARING_REBALANCE
_FINE = ErrorCode.NONE
_REBALANCING = ErrorCode.REBALANCE_IN_PROGRESS


def beat(groups: Groups, request: HeartbeatRequest, now_ms: int) -> ErrorCode | None:
    """What to answer if nothing is to be done but to extend the session; else None, and nothing is done."""
    group = groups.get(request.group_id)
    if group is None or request.group_instance_id is not None or request.generation_id != group.generation:
        return None
    member = group.members.get(request.member_id)
    if member is None or member.armed_ms is None:
        return None
    deadline_ms = now_ms + member.session_timeout_ms
    if deadline_ms < member.armed_ms:
        return None
    member.deadline_ms = deadline_ms
    return _REBALANCING if group.state is _PREPARING else _FINE


def handle_heartbeat(groups: Groups, request: HeartbeatRequest, context: Context) -> Outcome:
    """Extend the member's session; REBALANCE_IN_PROGRESS while the group is at the barrier."""
    try:
        member, code = _check(groups, request)
    except GroupError as error:
        return Outcome(replies=(Reply(context.token, HeartbeatResponse(error_code=error.code)),))
    member.deadline_ms = deadline_ms = context.now_ms + member.session_timeout_ms
    timers: tuple[Timer, ...] = ()
    if member.armed_ms is None or deadline_ms < member.armed_ms:
        member.armed_ms = deadline_ms
        timers = (Timer(("session", request.group_id, request.member_id), deadline_ms),)
    return Outcome((), (Reply(context.token, HeartbeatResponse(error_code=code)),), timers, ())


def _check(groups: Groups, request: HeartbeatRequest) -> tuple[Member, ErrorCode]:
    group = groups.get(request.group_id)
    if group is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID if request.group_id else ErrorCode.INVALID_GROUP_ID)
    member = group.check_member(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation:
        raise GroupError(ErrorCode.ILLEGAL_GENERATION)
    return member, ErrorCode.REBALANCE_IN_PROGRESS if group.state is _PREPARING else ErrorCode.NONE
