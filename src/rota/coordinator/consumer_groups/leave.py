"""Members that go: by their own word, because they were silent, or because they would not give up what they had to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.coordinator.consumer_groups.checks import check_instance
from rota.coordinator.consumer_groups.downgrade import downgrade, is_to_be_classic, rebalance_downgraded
from rota.coordinator.consumer_groups.member import STATIC_LEAVE_EPOCH, MemberState
from rota.coordinator.consumer_groups.records import (
    current_record,
    epoch_record,
    member_tombstones,
    regex_record,
)
from rota.coordinator.consumer_groups.sessions import JOIN, SYNC
from rota.coordinator.consumer_groups.telling import tell_held
from rota.coordinator.consumer_groups.topics_seen import metadata_hash, see_topics
from rota.timeline.events import MemberLeft, RebalanceCompleted, RebalanceReason, RebalanceStarted
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.step import Step
    from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

__all__ = [
    "Departure",
    "leave",
    "on_request_timer",
    "on_revocation_timer",
    "on_session_timer",
    "remove_member",
    "remove_members",
]

_LATE = {JOIN: RebalanceReason.JOIN_TIMEOUT, SYNC: RebalanceReason.SYNC_TIMEOUT}


class Departure(NamedTuple):
    """Who goes, and why."""

    member: ConsumerMember
    reason: RebalanceReason
    detail: str


def leave(place: Place, request: ConsumerGroupHeartbeatRequest, step: Step) -> ConsumerGroupHeartbeatResponse:
    """A heartbeat with epoch -1, or -2 from a static member that will be back.

    Raises:
        GroupError: GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID
    """
    group = place.existing(request.group_id)
    if request.instance_id is None:
        member = group.member(request.member_id)
    else:
        member = check_instance(
            group.static_member(request.instance_id), request.instance_id, request.member_id
        )
    if request.member_epoch == STATIC_LEAVE_EPOCH:
        away = member.gone_for_a_while()
        step.records.append(current_record(group.group_id, away))
        place.sessions.owes_nothing(group.group_id, member.member_id, step)
        tell_held(place, group.group_id, member, away, step)
    else:
        remove_member(place, group, member, RebalanceReason.MEMBER_LEFT, "", step)
    return ConsumerGroupHeartbeatResponse(member_id=member.member_id, member_epoch=request.member_epoch)


def remove_member(
    place: Place,
    group: ConsumerGroup,
    member: ConsumerMember,
    reason: RebalanceReason,
    detail: str,
    step: Step,
) -> None:
    """Take a member out; the others share out what it held, from their next heartbeats on."""
    remove_members(place, group, [Departure(member, reason, detail)], step)


def remove_members(place: Place, group: ConsumerGroup, gone: Sequence[Departure], step: Step) -> None:
    """Take members out, at once: the group epoch rises by one, or the group becomes a classic one."""
    group_id = group.group_id
    ids = {each.member.member_id for each in gone}
    for member, reason, detail in gone:
        step.events.append(MemberLeft(step.now_ms, group_id, member.member_id, reason, detail))
    first, reason, detail = gone[0]
    if len(gone) > 1:
        detail = f"{len(gone)} members left" + (f": {detail}" if detail else "")
    if is_to_be_classic(place, group, ids):
        rebalance_downgraded(downgrade(place, group, ids, step), reason, first.member_id, detail, step)
        return
    others = [each for each in group.members.values() if each.member_id not in ids]
    for member_id in dict.fromkeys(each.member.member_id for each in gone):
        step.records += member_tombstones(group_id, member_id)
        place.sessions.end(group_id, member_id, step)
    for regex in sorted(group.regexes.keys() - {each.regex for each in others}):
        step.records.append(regex_record(group_id, regex, None, 0, 0))
    digest = metadata_hash(see_topics(place.topics, group.subscribed(others)))
    step.records.append(epoch_record(group_id, group.epoch + 1, digest))
    step.events.append(RebalanceStarted(step.now_ms, group_id, group.epoch, reason, first.member_id, detail))
    if not others:
        step.events.append(RebalanceCompleted(step.now_ms, group_id, group.epoch + 1, None, None, {}))


def on_session_timer(place: Place, group_id: str, member_id: str, step: Step) -> None:
    """A session's timer fired: the session is over, or its deadline has moved meanwhile."""
    if not place.sessions.is_over(group_id, member_id, step):
        return
    group = place.groups.get(group_id)
    if group is not None and member_id in group.members:
        member = group.members[member_id]
        detail = f"session timeout {place.session_timeout_of(group_id, member)} ms"
        if member.is_away:
            detail = f"the static member {member.instance_id} did not come back; {detail}"
        remove_member(place, group, member, RebalanceReason.SESSION_EXPIRED, detail, step)


def on_revocation_timer(place: Place, group_id: str, member_id: str, step: Step) -> None:
    """A member had its rebalance timeout to give up partitions; it is out if it is still in the same epoch."""
    late_epoch = place.sessions.late_epoch(group_id, member_id, step)
    group = place.groups.get(group_id)
    member = None if group is None else group.members.get(member_id)
    if group is None or member is None or member.member_epoch != late_epoch:
        return
    if member.state is MemberState.UNREVOKED_PARTITIONS:
        detail = f"rebalance timeout {member.rebalance_timeout_ms} ms"
        remove_member(place, group, member, RebalanceReason.REVOCATION_TIMEOUT, detail, step)


def on_request_timer(place: Place, kind: str, group_id: str, member_id: str, step: Step) -> None:
    """A classic member had its rebalance timeout to join again, or to fetch its assignment: it is out."""
    group = place.groups.get(group_id)
    if not place.sessions.is_late(kind, group_id, member_id, step) or group is None:
        return
    member = group.members.get(member_id)
    if member is not None:
        remove_member(place, group, member, _LATE[kind], "", step)
