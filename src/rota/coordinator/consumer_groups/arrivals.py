"""How somebody becomes a member: a new id, and the place of a static member that it takes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.member import JOIN_EPOCH
from rota.coordinator.consumer_groups.records import (
    current_record,
    member_record,
    member_tombstones,
    target_record,
)
from rota.plain import replace

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.step import Step

__all__ = ["in_place_of", "make_id", "record_replacement"]


def make_id(step: Step) -> str:
    """An id as Kafka makes them: a random UUID in 22 characters of base64."""
    import uuid

    made = step.new_id()
    try:
        return base64.urlsafe_b64encode(uuid.UUID(made).bytes).decode().rstrip("=")
    except ValueError:
        return made


def in_place_of(former: ConsumerMember, member_id: str) -> ConsumerMember:
    """The static member ``former`` under a new id, with all it holds; it has yet to be told its epoch."""
    return replace(former, member_id=member_id, member_epoch=JOIN_EPOCH, previous_epoch=JOIN_EPOCH)


def record_replacement(
    group: ConsumerGroup, former: ConsumerMember, member: ConsumerMember, step: Step
) -> None:
    """``member`` takes the place of ``former`` and inherits what that one was meant to hold."""
    group_id = group.group_id
    step.records += member_tombstones(group_id, former.member_id)
    step.records += [
        member_record(group_id, member),
        target_record(group_id, member.member_id, group.target.get(former.member_id, {})),
        current_record(group_id, member),
    ]
