"""What is told of a heartbeat: who is a member, who holds what, and when all have reached the target assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.timeline.events import (
    MemberJoined,
    MemberLeft,
    MemberReconciled,
    RebalanceCompleted,
    RebalanceReason,
)

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.consumer_groups.target import Change
    from rota.coordinator.step import Step

__all__ = ["maybe_tell_complete", "tell_held", "tell_members"]


def tell_members(change: Change, step: Step) -> None:
    """Somebody new is a member, perhaps in another's place."""
    group_id, member, former = change.group.group_id, change.updated, change.replaced
    if former is not None:
        reason = RebalanceReason.STATIC_MEMBER_REPLACED
        detail = f"replaced by {member.member_id}"
        step.events.append(MemberLeft(step.now_ms, group_id, former.member_id, reason, detail))
    if member.member_id not in change.group.members or former is not None:
        step.events.append(
            MemberJoined(
                step.now_ms,
                group_id,
                member.member_id,
                member.client_id,
                member.client_host,
                member.instance_id,
            )
        )


def tell_held(place: Place, group_id: str, before: ConsumerMember, now: ConsumerMember, step: Step) -> None:
    """The member holds other partitions than before: it was given some, or has let go of some."""
    if now.held != before.held:
        epoch = now.previous_epoch if now.is_away else now.member_epoch
        step.events.append(
            MemberReconciled(step.now_ms, group_id, epoch, now.member_id, place.named(now.held))
        )


def maybe_tell_complete(
    place: Place, change: Change, now: ConsumerMember, target_epoch: int, step: Step
) -> None:
    """The last member that reaches the target completes the rebalance.

    One that had reached it, was away and is back completes nothing.
    """
    group, before = change.group, change.replaced or change.member
    if not now.has_reached(target_epoch) or before.has_reached(target_epoch):
        return
    members = {**change.members(), now.member_id: now}
    if all(each.has_reached(target_epoch) for each in members.values()):
        step.events.append(
            RebalanceCompleted(
                step.now_ms,
                group.group_id,
                target_epoch,
                group.assignor(place.config.consumer_assignors[0], members.values()),
                None,
                {member_id: place.named(each.assigned) for member_id, each in members.items()},
            )
        )
