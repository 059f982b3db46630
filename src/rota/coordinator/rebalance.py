"""The rebalance itself: the barrier that all members join, and the generation that comes of it.

A rebalance begins with ``prepare``, ends its first half with ``complete_join`` and its second half when the
leader's assignment is recorded (`rota.coordinator.sync`). Joins, leaves, expiries and timeouts call in here;
nothing in here knows what a request looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.answers import join_error, join_success, sync_error
from rota.coordinator.records import group_record
from rota.coordinator.states import GroupState
from rota.model import ErrorCode
from rota.timeline.events import MemberLeft, RebalanceCompleted, RebalanceReason, RebalanceStarted

if TYPE_CHECKING:
    from rota.coordinator.group import Group
    from rota.coordinator.members import Member
    from rota.coordinator.step import Step

__all__ = [
    "complete_join",
    "maybe_complete_join",
    "member_gone",
    "on_join_timer",
    "on_session_timer",
    "on_sync_timer",
    "prepare",
    "prepare_or_complete",
    "remove_member",
]

_EMPTY = GroupState.EMPTY
_PREPARING = GroupState.PREPARING_REBALANCE
_COMPLETING = GroupState.COMPLETING_REBALANCE
_STABLE = GroupState.STABLE


# --- the beginning ------------------------------------------------------------------------------------------


def prepare(group: Group, reason: RebalanceReason, member_id: str, detail: str, step: Step) -> None:
    """Put up the barrier. The first rebalance of an empty group waits a little for more members."""
    if group.state is _COMPLETING:
        _give_up_sync(group, ErrorCode.REBALANCE_IN_PROGRESS, step)
    group.pending_sync.clear()
    if group.sync_deadline_ms is not None:
        group.sync_deadline_ms = None
        step.cancel_timer(("sync", group.group_id))
    is_initial = group.state is _EMPTY
    if is_initial:
        delay_ms = step.config.initial_rebalance_delay_ms
        group.initial_delay = (delay_ms, max(group.rebalance_timeout_ms - delay_ms, 0))
        _await_join(group, delay_ms, step)
    group.become(_PREPARING, step.now_ms)
    step.events.append(
        RebalanceStarted(step.now_ms, group.group_id, group.generation, reason, member_id, detail)
    )
    if not is_initial:
        if group.has_all_joined:
            complete_join(group, step)
        else:
            _await_join(group, group.rebalance_timeout_ms, step)


def prepare_or_complete(
    group: Group, reason: RebalanceReason, member_id: str, detail: str, step: Step
) -> None:
    """The members must come together: begin a rebalance, or see whether the barrier is full."""
    if group.state is _PREPARING:
        maybe_complete_join(group, step)
    else:
        prepare(group, reason, member_id, detail, step)


def maybe_complete_join(group: Group, step: Step) -> None:
    """Go on if nobody is missing at the barrier; the initial delay is always waited for."""
    if group.state is _PREPARING and group.previous_state is not _EMPTY and group.has_all_joined:
        complete_join(group, step)


def _await_join(group: Group, timeout_ms: int, step: Step) -> None:
    group.join_deadline_ms = step.now_ms + timeout_ms
    step.set_timer(("join", group.group_id), group.join_deadline_ms)


def _give_up_sync(group: Group, code: ErrorCode, step: Step) -> None:
    """Nobody gets an assignment of this generation any more; whoever waits for it is told to join again."""
    for member in group.members.values():
        member.assignment = b""
        if member.sync_token is not None:
            step.reply(member.sync_token, sync_error(code))
            member.sync_token = None
            step.extend_session(group, member)


# --- the end of the barrier ---------------------------------------------------------------------------------


def complete_join(group: Group, step: Step) -> None:
    """The barrier opens: who did not come is out, the others are a generation and learn of it.

    Static members who did not come stay until their session ends (KIP-345). If nobody came, wait again: the
    sessions of the silent will end.
    """
    if group.join_deadline_ms is not None:
        group.join_deadline_ms = None
        step.cancel_timer(("join", group.group_id))
    group.initial_delay = None
    if group.awaiting_join < len(group.members):
        for member in [m for m in group.members.values() if m.join is None and m.instance_id is None]:
            group.remove(member.member_id)
            step.end_session(group, member.member_id)
            _tell_left(group, member, RebalanceReason.JOIN_TIMEOUT, "", step)
    if not group.members:
        # `Group.load` makes the group Empty when this is recorded.
        step.records.append(group_record(group, step.now_ms, emptied=True))
        step.events.append(
            RebalanceCompleted(step.now_ms, group.group_id, group.generation + 1, None, None, {})
        )
    elif not group.elect_leader():
        _await_join(group, group.rebalance_timeout_ms, step)
    else:
        group.next_generation(step.now_ms)
        _answer_joins(group, step)
        group.sync_deadline_ms = step.now_ms + group.rebalance_timeout_ms
        step.set_timer(("sync", group.group_id), group.sync_deadline_ms)


def _answer_joins(group: Group, step: Step) -> None:
    reply, extend = step.reply, step.extend_session
    for member_id, member in group.members.items():
        parked = member.join
        if parked is not None:
            reply(parked.token, join_success(group, member_id))
            member.join = None
        extend(group, member)
        member.is_new = False
    group.awaiting_join = 0


# --- members that go ----------------------------------------------------------------------------------------


def remove_member(group: Group, member: Member, reason: RebalanceReason, detail: str, step: Step) -> None:
    """Take a member out. Its parked requests are answered UNKNOWN_MEMBER_ID, so that it may join anew."""
    if member.join is not None:
        step.reply(member.join.token, join_error(ErrorCode.UNKNOWN_MEMBER_ID, member.join.version))
        member.join = None
        group.awaiting_join -= 1
    if member.sync_token is not None:
        # Apache Kafka forgets this request; its client waits until it times out.
        step.reply(member.sync_token, sync_error(ErrorCode.UNKNOWN_MEMBER_ID))
        member.sync_token = None
    group.remove(member.member_id)
    step.end_session(group, member.member_id)
    _tell_left(group, member, reason, detail, step)


def member_gone(group: Group, reason: RebalanceReason, member_id: str, detail: str, step: Step) -> None:
    """After a member was removed for its silence: the others share out its partitions."""
    if group.state is _STABLE or group.state is _COMPLETING:
        prepare(group, reason, member_id, detail, step)
    elif group.state is _PREPARING and group.has_all_joined:
        complete_join(group, step)


def _tell_left(group: Group, member: Member, reason: RebalanceReason, detail: str, step: Step) -> None:
    step.events.append(MemberLeft(step.now_ms, group.group_id, member.member_id, reason, detail))


# --- deadlines ----------------------------------------------------------------------------------------------


def on_session_timer(group: Group, member_id: str, step: Step) -> None:
    """A session's timer fired: the session is over, or its deadline has moved meanwhile."""
    pending_ms = group.pending_joins.get(member_id)
    if pending_ms is not None:
        if step.now_ms < pending_ms:
            step.set_timer(("session", group.group_id, member_id), pending_ms)
            return
        group.remove(member_id)
        if group.state is _PREPARING and group.has_all_joined:
            complete_join(group, step)
        return
    member = group.members.get(member_id)
    if member is None:
        return
    member.armed_ms = None
    if member.is_waiting:
        # The parked request is the sign of life; its answer begins a new session.
        return
    if step.now_ms < member.deadline_ms:
        member.armed_ms = member.deadline_ms
        step.set_timer(("session", group.group_id, member_id), member.deadline_ms)
        return
    reason, detail = RebalanceReason.SESSION_EXPIRED, f"session timeout {member.session_timeout_ms} ms"
    if member.is_new:
        reason, detail = RebalanceReason.JOIN_TIMEOUT, "its first JoinGroup waited too long"
    remove_member(group, member, reason, detail, step)
    member_gone(group, reason, member_id, detail, step)


def on_join_timer(group: Group, step: Step) -> None:
    """The rebalance timeout, or the initial delay, has passed."""
    if group.state is not _PREPARING or group.join_deadline_ms is None:
        return
    if step.now_ms < group.join_deadline_ms:
        step.set_timer(("join", group.group_id), group.join_deadline_ms)
        return
    if group.initial_delay is not None and group.newcomers and group.initial_delay[1] != 0:
        # Somebody came: wait once more for others, but not longer than the rebalance timeout in all.
        delay_ms, remaining_ms = group.initial_delay
        group.newcomers = False
        next_ms = min(step.config.initial_rebalance_delay_ms, remaining_ms)
        group.initial_delay = (next_ms, max(remaining_ms - delay_ms, 0))
        _await_join(group, next_ms, step)
        return
    group.join_deadline_ms = None
    complete_join(group, step)


def on_sync_timer(group: Group, step: Step) -> None:
    """The rebalance timeout has passed since the barrier opened: who sent no SyncGroup is out."""
    if group.sync_deadline_ms is None or group.state not in (_COMPLETING, _STABLE):
        return
    if step.now_ms < group.sync_deadline_ms:
        step.set_timer(("sync", group.group_id), group.sync_deadline_ms)
        return
    group.sync_deadline_ms = None
    if not group.pending_sync:
        return
    late = [member_id for member_id in group.members if member_id in group.pending_sync]
    for member_id in late:
        remove_member(group, group.members[member_id], RebalanceReason.SYNC_TIMEOUT, "", step)
    detail = "" if len(late) == 1 else f"{len(late)} members"
    prepare(group, RebalanceReason.SYNC_TIMEOUT, late[0] if len(late) == 1 else "", detail, step)
