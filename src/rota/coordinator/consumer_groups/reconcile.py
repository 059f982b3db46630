"""The next step of one member towards the target assignment: first revoke, then assign.

A partition is given to a member only when nobody holds it: its former owner has said, by no longer listing it, that it
let go, or is out of the group. That is the whole of KIP-848's safety, and it is in this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.coordinator.consumer_groups.assignment import (
    Assigned,
    count,
    intersection,
    minus,
    overlaps,
    union,
)
from rota.coordinator.consumer_groups.member import MemberState
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.coordinator.consumer_groups.member import ConsumerMember

__all__ = ["Target", "reconcile"]


class Target(NamedTuple):
    """What a member is meant to hold, in which epoch."""

    epoch: int
    assigned: Assigned


def reconcile(
    member: ConsumerMember,
    target: Target,
    owned: Assigned | None,
    is_free: Callable[[bytes, int], bool],
) -> ConsumerMember:
    """The member after this heartbeat: itself if it has nothing to do or to wait for.

    ``owned`` is what it says that it holds, None if it did not say; ``is_free`` tells whether nobody holds a partition.

    Raises:
        GroupError: FENCED_MEMBER_EPOCH for a member of unknown state that holds something.
    """
    match member.state:
        case MemberState.STABLE:
            if member.member_epoch == target.epoch:
                return member
            return _next(member, member.member_epoch, target, owned, is_free)
        case MemberState.UNREVOKED_PARTITIONS:
            if _still_holds(owned, member.revoking):
                return member
            return _next(member, member.member_epoch + 1, target, owned, is_free)
        case MemberState.UNRELEASED_PARTITIONS:
            return _next(member, member.member_epoch, target, owned, is_free)
        case MemberState.UNKNOWN:
            if owned is None or owned:
                raise GroupError(
                    ErrorCode.FENCED_MEMBER_EPOCH,
                    f"what {member.member_id} holds is not known any more: let go of all partitions and join again",
                )
            return _next(member, target.epoch, target, owned, is_free)


def _still_holds(owned: Assigned | None, revoked: Assigned) -> bool:
    """Whether the member may still be consuming what it was asked to give up; silence means yes."""
    return owned is None or overlaps(owned, revoked)


def _next(
    member: ConsumerMember,
    epoch: int,
    target: Target,
    owned: Assigned | None,
    is_free: Callable[[bytes, int], bool],
) -> ConsumerMember:
    kept = intersection(member.assigned, target.assigned)
    revoking = minus(member.assigned, kept)
    if revoking and _still_holds(owned, revoking):
        return _moved(member, MemberState.UNREVOKED_PARTITIONS, epoch, kept, revoking)
    missing = minus(target.assigned, kept)
    free: dict[bytes, frozenset[int]] = {}
    for topic_id, partitions in missing.items():
        available = frozenset(each for each in partitions if is_free(topic_id, each))
        if available:
            free[topic_id] = available
    is_complete = count(free) == count(missing)
    state = MemberState.STABLE if is_complete else MemberState.UNRELEASED_PARTITIONS
    return _moved(member, state, target.epoch, union(kept, free), {})


def _moved(
    member: ConsumerMember, state: MemberState, epoch: int, assigned: Assigned, revoking: Assigned
) -> ConsumerMember:
    """The member moved on; itself if that would only repeat its epoch."""
    moved = member.moved_to(state, epoch, assigned, revoking)
    same = (member.state, member.member_epoch, member.assigned, member.revoking)
    if same == (state, epoch, assigned, revoking) and member.previous_epoch == moved.previous_epoch:
        return member
    return moved
