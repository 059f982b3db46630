"""A group changes its kind: a classic group without members becomes a consumer group, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.group import ConsumerGroup
from rota.coordinator.records import group_tombstone
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.step import Step

__all__ = ["upgraded"]


def upgraded(place: Place, group_id: str, step: Step) -> ConsumerGroup:
    """The consumer group that a member joins: it exists, is new, or was a classic group that nobody is in.

    Raises:
        GroupError: GROUP_ID_NOT_FOUND if a classic group has members.
    """
    group = place.groups.get(group_id)
    if group is not None:
        return group
    classic = place.classic.get(group_id)
    if classic is not None:
        if classic.state is not GroupState.EMPTY:
            raise GroupError(ErrorCode.GROUP_ID_NOT_FOUND, place.why_not_found(group_id))
        step.records.append(group_tombstone(group_id))
    return ConsumerGroup(group_id)
