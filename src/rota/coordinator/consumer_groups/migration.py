"""A classic group becomes a consumer group, because somebody who uses the consumer protocol joins it (KIP-848).

One that nobody is in only makes way. One with members is *upgraded online*: its members stay what they are and go on
with JoinGroup, SyncGroup and Heartbeat, which `classic_join` and `classic_members` answer from now on. The generation
becomes the epoch, and the last assignment what everybody holds.

A member that is in the middle of a cooperative rebalance may hold more than it was assigned last: it gives up at its
own pace what another is to have next. What it said that it holds counts as its own, too, as long as nobody else was
given it, so that nobody is given it too soon. (Apache Kafka goes by the assignment alone.)

The way back is in `downgrade`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.coordinator.answers import join_error, sync_error
from rota.coordinator.consumer_groups.assignment import EMPTY, Assigned, minus, union
from rota.coordinator.consumer_groups.classic_metadata import (
    ClassicMetadata,
    by_id,
    read_assignment,
    read_subscription,
)
from rota.coordinator.consumer_groups.group import ConsumerGroup
from rota.coordinator.consumer_groups.member import ConsumerMember
from rota.coordinator.consumer_groups.records import (
    current_record,
    epoch_record,
    member_record,
    target_epoch_record,
    target_record,
)
from rota.coordinator.consumer_groups.topics_seen import metadata_hash, see_topics
from rota.coordinator.records import group_tombstone
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError
from rota.timeline.events import MemberReconciled

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.group import Group
    from rota.coordinator.step import Step
    from rota.wire.messages.consumer_protocol import ConsumerProtocolSubscription

__all__ = ["UPGRADED", "let_go_of_classic", "undo_upgrade", "upgraded"]

UPGRADED: Final = "with the consumer protocol: the group is a consumer group now"
"""What to say of the member that brought it about."""


def upgraded(place: Place, group_id: str, step: Step) -> ConsumerGroup:
    """The consumer group that a member joins: it exists, is new, or is what a classic group becomes.

    Nothing but records comes of it yet; see `let_go_of_classic`.

    Raises:
        GroupError: GROUP_ID_NOT_FOUND if a classic group has members and cannot become a consumer group.
    """
    group = place.groups.get(group_id)
    if group is not None:
        return group
    classic = place.classic.get(group_id)
    group = ConsumerGroup(group_id)
    if classic is None:
        return group
    members = [] if classic.state is GroupState.EMPTY else _members(place, classic)
    step.records.append(group_tombstone(group_id))
    if classic.state is not GroupState.EMPTY:
        _convert(place, group, classic, members, step)
    return group


def _members(place: Place, classic: Group) -> list[ConsumerMember]:
    """The members of a classic group as those of a consumer group."""
    if not place.config.online_upgrade:
        raise _cannot(classic, "group.consumer.migration.policy does not allow it while it has members")
    if not classic.uses_consumer_protocol:
        raise _cannot(classic, f"its members are no consumers but of type {classic.protocol_type}")
    if len(classic.members) > place.config.consumer_max_size:
        raise _cannot(classic, f"group.consumer.max.size is {place.config.consumer_max_size}")
    subscriptions = {}
    for member_id, member in classic.members.items():
        subscription = read_subscription(member.protocols[0][1])
        if subscription is None:
            raise _cannot(classic, f"the subscription of {member_id} is malformed")
        subscriptions[member_id] = subscription
    held = _held(place, classic, subscriptions)
    return [
        ConsumerMember(
            member_id,
            member_epoch=classic.generation,
            previous_epoch=classic.generation,
            instance_id=member.instance_id,
            rack_id=subscriptions[member_id].rack_id or None,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            topics=tuple(sorted(set(subscriptions[member_id].topics))),
            assigned=held[member_id],
            classic=ClassicMetadata(member.session_timeout_ms, member.protocols),
        )
        for member_id, member in classic.members.items()
    ]


def _held(
    place: Place, classic: Group, subscriptions: dict[str, ConsumerProtocolSubscription]
) -> dict[str, Assigned]:
    """What each member was assigned last, and what it said that it holds as far as that is nobody else's."""
    held: dict[str, Assigned] = {}
    taken: Assigned = EMPTY
    for member_id, member in classic.members.items():
        given = read_assignment(member.assignment)
        if given is None:
            raise _cannot(classic, f"the assignment of {member_id} is malformed")
        if given.user_data:
            raise _cannot(classic, "its assignor gives its members data of its own, which would be lost")
        held[member_id] = minus(by_id(place.topics, given.assigned_partitions), taken)
        taken = union(taken, held[member_id])
    newest_first = sorted(subscriptions, key=lambda each: -subscriptions[each].generation_id)
    for member_id in newest_first:
        more = minus(by_id(place.topics, subscriptions[member_id].owned_partitions), taken)
        held[member_id] = union(held[member_id], more)
        taken = union(taken, more)
    return held


def _cannot(classic: Group, why: str) -> GroupError:
    return GroupError(
        ErrorCode.GROUP_ID_NOT_FOUND, f"the classic group {classic.group_id} cannot be upgraded: {why}"
    )


def _convert(
    place: Place, group: ConsumerGroup, classic: Group, members: list[ConsumerMember], step: Step
) -> None:
    """Write the group down, and read it back into ``group``, so that this step can go on with it."""
    group_id, epoch = group.group_id, classic.generation
    # In the middle of a rebalance nobody has shared out what there is among these members: as if no topics had been
    # seen, the next heartbeat does, even that of a static member that takes the place of another.
    seen = frozenset[str]()
    if classic.state is GroupState.STABLE:
        seen = seen.union(*(member.topics for member in members))
    records = [member_record(group_id, member) for member in members]
    records.append(epoch_record(group_id, epoch, metadata_hash(see_topics(place.topics, seen))))
    records += [target_record(group_id, member.member_id, member.assigned) for member in members]
    records.append(target_epoch_record(group_id, epoch))
    records += [current_record(group_id, member) for member in members]
    for record in records:
        group.replay(record)
    step.records += records
    for member in members:
        held = place.named(member.assigned)
        step.events.append(MemberReconciled(step.now_ms, group_id, epoch, member.member_id, held))


def let_go_of_classic(place: Place, classic: Group, step: Step) -> None:
    """Who waits in the barrier of the classic group is told to join again, and to what remains time passes anew.

    Its deadlines stay known: if the upgrade cannot be recorded, they count again.
    """
    group_id = classic.group_id
    for member in classic.members.values():
        if member.join is not None:
            answer = join_error(ErrorCode.REBALANCE_IN_PROGRESS, member.join.version, member.member_id)
            step.reply(member.join.token, answer)
            member.join = None
        if member.sync_token is not None:
            step.reply(member.sync_token, sync_error(ErrorCode.REBALANCE_IN_PROGRESS))
            member.sync_token = None
        member.is_new = False
        member.armed_ms = None
        step.end_session(classic, member.member_id)
        place.sessions.extend(group_id, member.member_id, member.session_timeout_ms, step)
    classic.awaiting_join = 0
    for member_id in classic.pending_joins:
        step.end_session(classic, member_id)
    step.cancel_timer(("join", group_id))
    step.cancel_timer(("sync", group_id))


def undo_upgrade(classic: Group, step: Step) -> None:
    """The upgrade could not be recorded: the group is still what it was, and its deadlines count again."""
    for member in classic.members.values():
        step.extend_session(classic, member)
    for member_id, deadline_ms in classic.pending_joins.items():
        step.set_timer(("session", classic.group_id, member_id), deadline_ms)
    if classic.join_deadline_ms is not None:
        step.set_timer(("join", classic.group_id), classic.join_deadline_ms)
    if classic.sync_deadline_ms is not None:
        step.set_timer(("sync", classic.group_id), classic.sync_deadline_ms)
