"""``sticky`` and ``cooperative-sticky``: as balanced as can be, moving as little as can be.

Both compute the same target (KIP-54): by ``constrained`` if all members want the same topics, else by
``general``. They differ in where a member's memory is kept (``subscription``) and in what is done with a
partition that changes hands: ``sticky`` is eager, everybody has let go of everything, and hands it over at
once; ``cooperative-sticky`` leaves it with nobody, so that its holder revokes it and the group rebalances
once more to hand it over (KIP-429).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.assignors.claims import Memory, settle_claims
from rota.coordinator.assignors.constrained import assign_constrained
from rota.coordinator.assignors.general import assign_general
from rota.coordinator.assignors.roundrobin import subscriptions_equal
from rota.coordinator.assignors.subscription import (
    NO_GENERATION,
    MemberSubscription,
    decode_cooperative_user_data,
    decode_sticky_user_data,
    subscribed_counts,
)
from rota.coordinator.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.model import TopicPartition

__all__ = ["assign_cooperative_sticky", "assign_sticky"]


@collector_paused
def assign_sticky(
    members: Mapping[str, MemberSubscription], partitions: Mapping[str, int]
) -> dict[str, list[TopicPartition]]:
    """Assign stickily; what members held before is read from their user data."""
    if not members:
        return {}
    names = {topic.encode(): topic for topic in partitions}
    memories = {member: decode_sticky_user_data(each.user_data, names) for member, each in members.items()}
    assignment, _ = _target(members, memories, partitions)
    return assignment


@collector_paused
def assign_cooperative_sticky(
    members: Mapping[str, MemberSubscription], partitions: Mapping[str, int]
) -> dict[str, list[TopicPartition]]:
    """Assign stickily, leaving out each partition that a member must give up before another may have it."""
    if not members:
        return {}
    memories = {member: (list(each.owned_partitions), _generation(each)) for member, each in members.items()}
    assignment, transfers = _target(members, memories, partitions)
    if transfers is None:
        transfers = _transfers(members, assignment)
    for partition, member in transfers.items():
        assignment[member].remove(partition)
    return assignment


def _generation(member: MemberSubscription) -> int:
    if member.generation > NO_GENERATION:
        return member.generation
    return decode_cooperative_user_data(member.user_data)


def _target(
    members: Mapping[str, MemberSubscription], memories: Mapping[str, Memory], partitions: Mapping[str, int]
) -> tuple[dict[str, list[TopicPartition]], dict[TopicPartition, str] | None]:
    """The assignment to reach, and what changes hands if that is known already."""
    counts = subscribed_counts(members.values(), partitions)
    claims = settle_claims(members, memories, counts)
    if subscriptions_equal(members):
        return assign_constrained(claims, counts)
    return assign_general(members, memories, claims, counts), None


def _transfers(
    members: Mapping[str, MemberSubscription], assignment: Mapping[str, list[TopicPartition]]
) -> dict[TopicPartition, str]:
    """The partitions that one member owns and another is assigned, each with its new member."""
    added: dict[TopicPartition, str] = {}
    revoked: set[TopicPartition] = set()
    for member, assigned in assignment.items():
        owned, now = frozenset(members[member].owned_partitions), frozenset(assigned)
        added.update((partition, member) for partition in assigned if partition not in owned)
        revoked |= owned - now
    return {partition: member for partition, member in added.items() if partition in revoked}
