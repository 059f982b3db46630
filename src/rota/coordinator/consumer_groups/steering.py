"""Calls that are no requests: after the start, when a deadline has passed, and from tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.downgrade import undo_downgrade
from rota.coordinator.consumer_groups.leave import on_request_timer, on_revocation_timer, on_session_timer
from rota.coordinator.consumer_groups.member import MemberState
from rota.coordinator.consumer_groups.records import epoch_record
from rota.coordinator.consumer_groups.sessions import JOIN, REVOCATION, SESSION, SYNC
from rota.timeline.events import RebalanceReason, RebalanceStarted
from rota.wire.messages.group_log import GroupMetadataKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.outcome import LogRecord, TimerKey
    from rota.coordinator.step import Step

__all__ = ["arm_again", "arm_deadlines", "begin_rebalance", "on_consumer_timer"]


def arm_deadlines(place: Place, step: Step) -> None:
    """After the start: every member has a whole session, and a whole rebalance timeout for what it owes."""
    for group in place.groups.values():
        _arm(place, group, step)


def arm_again(place: Place, records: Sequence[LogRecord], step: Step) -> None:
    """What a step decided could not be recorded: nobody has come or left, and nobody was asked or has let go.

    And the groups are of the kind that they were.
    """
    for group_id in dict.fromkeys(record.group for record in records):
        undo_downgrade(place, group_id, step)
        _arm_again(place, group_id, step)
    for key, value in records:
        if isinstance(key, GroupMetadataKey) and value is None and key.group in place.classic:
            from rota.coordinator.consumer_groups.migration import undo_upgrade

            undo_upgrade(place.classic[key.group], step)


def _arm_again(place: Place, group_id: str, step: Step) -> None:
    group = place.groups.get(group_id)
    members = {} if group is None else group.members
    for member_id in place.sessions.members(group_id):
        if member_id not in members:
            place.sessions.end(group_id, member_id, step)
        else:
            place.sessions.owes_nothing(group_id, member_id, step)
    if group is not None:
        _arm(place, group, step)


def _arm(place: Place, group: ConsumerGroup, step: Step) -> None:
    for member_id, member in group.members.items():
        timeout_ms = place.session_timeout_of(group.group_id, member)
        place.sessions.extend(group.group_id, member_id, timeout_ms, step)
        # One that is away keeps its state, and has let go of everything; a classic one will hear that it is to join.
        if member.state is MemberState.UNREVOKED_PARTITIONS and not member.is_away and member.classic is None:
            place.sessions.await_revocation(group.group_id, member, step)


def on_consumer_timer(place: Place, key: TimerKey, step: Step) -> bool:
    """Deal with a deadline of a member of a consumer group; False if it is not one."""
    if key[0] == SESSION:
        on_session_timer(place, key[1], key[2], step)
    elif key[0] == REVOCATION:
        on_revocation_timer(place, key[1], key[2], step)
    elif key[0] in (JOIN, SYNC):
        on_request_timer(place, key[0], key[1], key[2], step)
    else:
        return False
    return True


def begin_rebalance(group: ConsumerGroup, reason_text: str, step: Step) -> None:
    """Raise the group epoch, so that the partitions are shared out anew."""
    if not group.members:
        return
    step.records.append(epoch_record(group.group_id, group.epoch + 1, group.metadata_hash))
    step.events.append(
        RebalanceStarted(step.now_ms, group.group_id, group.epoch, RebalanceReason.OPERATOR, "", reason_text)
    )
