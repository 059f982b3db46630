"""JoinGroup of a member that uses the classic protocol, in a consumer group (KIP-848).

Nobody waits for anybody and nobody leads: the member is answered at once, with its epoch as the generation. What it
says that it holds is what a heartbeat of the consumer protocol would say; what it is given, and what it is to give up,
it learns from SyncGroup. `rota.coordinator.join` has the version notes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.answers import join_error
from rota.coordinator.consumer_groups.arrivals import in_place_of, make_id, record_replacement
from rota.coordinator.consumer_groups.assignment import EMPTY, Assigned
from rota.coordinator.consumer_groups.checks import check_instance, check_room
from rota.coordinator.consumer_groups.classic_metadata import ClassicMetadata, by_id, read_subscription
from rota.coordinator.consumer_groups.downgrade import (
    downgrade,
    has_come_to_rest,
    is_to_be_classic,
    rebalance_downgraded,
)
from rota.coordinator.consumer_groups.member import ConsumerMember
from rota.coordinator.consumer_groups.reconcile import Target, reconcile
from rota.coordinator.consumer_groups.records import current_record
from rota.coordinator.consumer_groups.sessions import JOIN
from rota.coordinator.consumer_groups.target import Change, next_target
from rota.coordinator.consumer_groups.telling import maybe_tell_complete, tell_held, tell_members
from rota.coordinator.group import CONSUMER_PROTOCOL
from rota.coordinator.join import MEMBER_ID_REQUIRED_VERSION, JoinRequest, check_join
from rota.coordinator.reasons import client_text
from rota.model import ErrorCode, GroupError
from rota.plain import replace
from rota.timeline.events import RebalanceReason
from rota.wire.messages.join_group import JoinGroupResponse

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Step
    from rota.wire.messages.consumer_protocol import ConsumerProtocolSubscription
    from rota.wire.messages.join_group import JoinGroupRequest

__all__ = ["join_consumer_group"]


def join_consumer_group(
    place: Place, group: ConsumerGroup, request: JoinGroupRequest, context: Context, step: Step
) -> None:
    """Answer a JoinGroup for a consumer group that has members."""
    try:
        code = check_join(request, step)
        if code is None:
            response = _join(place, group, JoinRequest.of(request, context), step)
        else:
            response = join_error(code, context.version, request.member_id)
    except GroupError as error:
        step.forget()
        response = join_error(error.code, context.version)
    step.reply(context.token, response)


def _join(place: Place, group: ConsumerGroup, join: JoinRequest, step: Step) -> JoinGroupResponse:
    member_id = join.member_id or make_id(step)
    check_room(group, member_id, place.config.consumer_max_size)
    _check_protocols(group, join)
    is_without_id = not join.member_id and join.instance_id is None
    if is_without_id and join.parked.version >= MEMBER_ID_REQUIRED_VERSION:
        return join_error(ErrorCode.MEMBER_ID_REQUIRED, join.parked.version, member_id)
    subscription = read_subscription(join.protocols[0][1])
    if subscription is None:
        raise GroupError(ErrorCode.UNKNOWN_SERVER_ERROR, "its subscription is malformed")
    owned = by_id(place.topics, subscription.owned_partitions)
    member, replaced = _find(group, join, member_id, owned)
    change = Change(
        group, member, _updated(member, join, subscription), replaced, because=client_text(join.reason)
    )
    tell_members(change, step)
    is_last = replaced is not None and replaced.classic is None
    if replaced is not None and is_last and is_to_be_classic(place, group, {replaced.member_id}, coming=1):
        epoch = _downgrade(place, change, replaced, owned, step)
    else:
        epoch = _reconcile(place, change, owned, step)
    return JoinGroupResponse(
        generation_id=epoch,
        protocol_type=CONSUMER_PROTOCOL,
        protocol_name=join.protocols[0][0],
        member_id=member_id,
    )


def _check_protocols(group: ConsumerGroup, join: JoinRequest) -> None:
    """Whether there is a protocol that this member and all classic members know, for the case of a downgrade.

    Raises:
        GroupError: INCONSISTENT_GROUP_PROTOCOL
    """
    common = {name for name, _ in join.protocols}
    for member in group.members.values():
        if member.classic is not None:
            common.intersection_update([name for name, _ in member.classic.protocols])
    if join.protocol_type != CONSUMER_PROTOCOL or not common:
        raise GroupError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _find(
    group: ConsumerGroup, join: JoinRequest, member_id: str, owned: Assigned
) -> tuple[ConsumerMember, ConsumerMember | None]:
    """The member, as it was before, and the static member whose place it takes.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID
    """
    known = group.members.get(member_id)
    if join.instance_id is None:
        if known is None and owned:
            # It was a member and is none any more; what it still holds may be somebody else's by now.
            raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
        return known or ConsumerMember(member_id), None
    former = group.static_member(join.instance_id)
    if join.member_id:
        return check_instance(former, join.instance_id, member_id), None
    if former is None:
        return ConsumerMember(member_id), None
    return in_place_of(former, member_id), former


def _updated(
    member: ConsumerMember, join: JoinRequest, subscription: ConsumerProtocolSubscription
) -> ConsumerMember:
    """The member as it describes itself now. There are no regular expressions in the classic protocol."""
    timeout_ms = join.rebalance_timeout_ms
    return replace(
        member,
        instance_id=member.instance_id if join.instance_id is None else join.instance_id,
        rack_id=subscription.rack_id or member.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        topics=tuple(sorted(set(subscription.topics))),
        regex="",
        client_id=join.client_id,
        client_host=join.client_host,
        classic=ClassicMetadata(join.session_timeout_ms, join.protocols),
    )


def _reconcile(place: Place, change: Change, owned: Assigned, step: Step) -> int:
    """The member's next step, as after a heartbeat; its epoch."""
    group, member, wanted, former = change.group, change.member, change.updated, change.replaced
    group_id, member_id = group.group_id, member.member_id
    if former is not None:
        record_replacement(group, former, member, step)
    target = next_target(place, change, step)
    now = reconcile(wanted, target, owned, change.is_free)
    if now != wanted:
        step.records.append(current_record(group_id, now))
    tell_held(place, group_id, member, now, step)
    maybe_tell_complete(place, change, now, target.epoch, step)
    if former is not None:
        place.sessions.end(group_id, former.member_id, step)
    place.sessions.revoked(group_id, member_id, step)
    place.sessions.came(JOIN, group_id, member_id, step)
    place.sessions.extend(group_id, member_id, place.session_timeout_of(group_id, now), step)
    place.sessions.await_sync(group_id, now, step)
    return now.member_epoch


def _downgrade(place: Place, change: Change, former: ConsumerMember, owned: Assigned, step: Step) -> int:
    """The last member of the consumer protocol is replaced by a classic one; the epoch that this one is told.

    Nobody else notices if the group is at rest and nothing else changes; Apache Kafka 4.1 takes it to be at rest.
    """
    group, wanted = change.group, change.updated
    is_as_before = (wanted.topics, wanted.regex) == (former.topics, former.regex)
    classic = downgrade(place, group, {former.member_id}, step, wanted)
    if not is_as_before or not has_come_to_rest(group):
        reason = RebalanceReason.STATIC_MEMBER_REPLACED
        rebalance_downgraded(classic, reason, wanted.member_id, change.because, step)
    if not is_as_before:
        return wanted.member_epoch
    target = Target(group.assignment_epoch, group.target.get(former.member_id, EMPTY))
    return reconcile(wanted, target, owned, change.is_free).member_epoch
