"""ConsumerGroupHeartbeat (key 68, versions 0-1): the one request by which members join, live, reconcile and leave.

Three things in turn: the member is made or changed, which may raise the group epoch; the target assignment is made
anew if it is older than the group; the member takes its next step towards it. Version notes: v1 makes clients bring a
member id of their own and may subscribe by regular expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.arrivals import in_place_of, make_id, record_replacement
from rota.coordinator.consumer_groups.assignment import Assigned, assigned_from
from rota.coordinator.consumer_groups.checks import (
    check_epoch,
    check_instance,
    check_released,
    check_request,
    check_room,
)
from rota.coordinator.consumer_groups.group import ConsumerGroup
from rota.coordinator.consumer_groups.leave import leave
from rota.coordinator.consumer_groups.member import JOIN_EPOCH, ConsumerMember, MemberState
from rota.coordinator.consumer_groups.migration import UPGRADED, let_go_of_classic, upgraded
from rota.coordinator.consumer_groups.reconcile import reconcile
from rota.coordinator.consumer_groups.records import current_record
from rota.coordinator.consumer_groups.regexes import check_regex
from rota.coordinator.consumer_groups.sessions import JOIN, SYNC
from rota.coordinator.consumer_groups.target import Change, next_target
from rota.coordinator.consumer_groups.telling import maybe_tell_complete, tell_held, tell_members
from rota.model import GroupError
from rota.plain import replace
from rota.wire.messages.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatResponse,
    ConsumerGroupHeartbeatResponseTopicPartitions,
)

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Step
    from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

__all__ = ["handle_heartbeat"]


def handle_heartbeat(
    place: Place, request: ConsumerGroupHeartbeatRequest, context: Context, step: Step
) -> None:
    """Answer a heartbeat."""
    try:
        check_request(request, context.version, place.config)
        response = (
            leave(place, request, step) if request.member_epoch < 0 else _beat(place, request, context, step)
        )
    except GroupError as error:
        step.forget()
        response = ConsumerGroupHeartbeatResponse(
            error_code=error.code, error_message=error.message or None, member_epoch=0
        )
    step.reply(context.token, response)


def _beat(
    place: Place, request: ConsumerGroupHeartbeatRequest, context: Context, step: Step
) -> ConsumerGroupHeartbeatResponse:
    is_join = request.member_epoch == JOIN_EPOCH
    classic = place.classic.get(request.group_id)
    group = upgraded(place, request.group_id, step) if is_join else place.existing(request.group_id)
    check_room(group, request.member_id, place.config.consumer_max_size)
    owned = None if request.topic_partitions is None else assigned_from(request.topic_partitions)
    member_id = request.member_id or make_id(step)
    member, replaced = _find(group, request, member_id, owned, step)
    wanted = _updated(member, request, context)
    because = UPGRADED if classic is not None and classic.members else ""
    change = Change(group, member, wanted, replaced, because)
    tell_members(change, step)
    target = next_target(place, change, step)
    now = reconcile(wanted, target, owned, change.is_free)
    if classic is not None:
        let_go_of_classic(place, classic, step)
    if now != wanted:
        step.records.append(current_record(group.group_id, now))
    tell_held(place, group.group_id, member, now, step)
    maybe_tell_complete(place, change, now, target.epoch, step)
    _set_deadlines(place, change, now, step)
    is_full = (
        request.rebalance_timeout_ms != -1
        and owned is not None
        and (request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None)
    )
    shown = is_join or is_full or member.assigned != now.assigned
    return ConsumerGroupHeartbeatResponse(
        member_id=member_id,
        member_epoch=now.member_epoch,
        heartbeat_interval_ms=place.heartbeat_interval_ms(group.group_id),
        assignment=_assignment(now.assigned) if shown else None,
    )


def _find(
    group: ConsumerGroup,
    request: ConsumerGroupHeartbeatRequest,
    member_id: str,
    owned: Assigned | None,
    step: Step,
) -> tuple[ConsumerMember, ConsumerMember | None]:
    """Who speaks, as it was before, and the static member whose place it takes."""
    is_join = request.member_epoch == JOIN_EPOCH
    if request.instance_id is not None and is_join:
        return _join_static(group, member_id, request.instance_id, step)
    if request.instance_id is not None:
        member = check_instance(group.static_member(request.instance_id), request.instance_id, member_id)
    elif is_join:
        member = group.members.get(member_id) or ConsumerMember(member_id)
    else:
        member = group.member(member_id)
    check_epoch(member, request.member_epoch, owned)
    return member, None


def _set_deadlines(place: Place, change: Change, now: ConsumerMember, step: Step) -> None:
    """The member was heard from, and may have partitions to give up from now on."""
    group_id, member_id, sessions = change.group.group_id, now.member_id, place.sessions
    if now != change.updated:
        if now.state is MemberState.UNREVOKED_PARTITIONS:
            sessions.await_revocation(group_id, now, step)
        else:
            sessions.revoked(group_id, member_id, step)
    if change.replaced is not None:
        sessions.end(group_id, change.replaced.member_id, step)
    # It may have used the classic protocol until now.
    sessions.came(JOIN, group_id, member_id, step)
    sessions.came(SYNC, group_id, member_id, step)
    sessions.extend(group_id, member_id, place.session_timeout_ms(group_id), step)


def _join_static(
    group: ConsumerGroup, member_id: str, instance_id: str, step: Step
) -> tuple[ConsumerMember, ConsumerMember | None]:
    """A static member joins: it is new, or it takes the place of its former self."""
    former = group.static_member(instance_id)
    if former is None:
        return group.members.get(member_id) or ConsumerMember(member_id), None
    if former.classic is None:
        # A classic one does not say that it will be back: whoever comes is its next self.
        check_released(former, instance_id, member_id)
    member = in_place_of(former, member_id)
    record_replacement(group, former, member, step)
    return member, former


def _updated(
    member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, context: Context
) -> ConsumerMember:
    """The member as it describes itself now; what it leaves out stays."""
    topics, regex = request.subscribed_topic_names, request.subscribed_topic_regex
    timeout_ms = request.rebalance_timeout_ms
    if regex:
        check_regex(regex)
    return replace(
        member,
        instance_id=member.instance_id if request.instance_id is None else request.instance_id,
        rack_id=member.rack_id if request.rack_id is None else request.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        assignor=member.assignor if request.server_assignor is None else request.server_assignor,
        topics=member.topics if topics is None else tuple(sorted(set(topics))),
        regex=member.regex if regex is None else regex,
        client_id=context.client_id,
        client_host=context.client_host,
        classic=None,
    )


def _assignment(assigned: Assigned) -> Assignment:
    return Assignment(
        topic_partitions=[
            ConsumerGroupHeartbeatResponseTopicPartitions(topic_id=topic_id, partitions=sorted(partitions))
            for topic_id, partitions in sorted(assigned.items())
        ]
    )
