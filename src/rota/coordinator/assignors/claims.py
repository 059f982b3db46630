"""Who says it holds what: the members' memories, checked against each other.

Two members may claim one partition: a member that fell out of the group and came back still remembers. The
one with the newer generation keeps it; at equal generations nobody does, and the partition counts as claimed
twice (KIP-341, and KIP-792 for the reason why the generation travels with the claim).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.coordinator.assignors.order import bucket_order
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.coordinator.assignors.subscription import MemberSubscription

__all__ = ["Claims", "Memory", "settle_claims"]

Memory = tuple[list[TopicPartition], int]  # what a member remembers to hold, and since which generation


@dataclass(slots=True)
class Claims:
    """The settled claims: per member, in Java's order of walking members, what it may be said to hold."""

    owned: dict[str, list[TopicPartition]]
    claimed_twice: set[TopicPartition] = field(default_factory=set)


def settle_claims(
    members: Mapping[str, MemberSubscription], memories: Mapping[str, Memory], counts: Mapping[str, int]
) -> Claims:
    """Settle the members' claims to partitions that exist (``counts``: topic to number of partitions)."""
    walk = bucket_order(members) if any(memory[0] for memory in memories.values()) else list(members)
    owned: dict[str, list[TopicPartition]] = {}
    claims = 0
    owner: dict[TopicPartition, str] = {}
    for member in walk:
        remembered = memories[member][0]
        mine = [each for each in remembered if each[1] < counts.get(each[0], 0)]
        owned[member] = mine
        claims += len(mine)
        owner.update(dict.fromkeys(mine, member))
    if len(owner) == claims:
        return Claims(owned)
    return _settle_conflicts(members, memories, owned)


def _settle_conflicts(
    members: Mapping[str, MemberSubscription],
    memories: Mapping[str, Memory],
    claimed: Mapping[str, list[TopicPartition]],
) -> Claims:
    """As above, claim by claim.

    As in the Java client the newcomer's generation is the one it remembers, the earlier claimant's the one in
    its subscription: for ``sticky`` they come from different places and may differ.
    """
    claims = Claims({})
    owner: dict[TopicPartition, str] = {}
    for member, partitions in claimed.items():
        mine = claims.owned.setdefault(member, [])
        generation = memories[member][1]
        for partition in partitions:
            other = owner.get(partition)
            if other is not None:
                others_generation = members[other].generation
                if generation < others_generation:
                    continue
                theirs = claims.owned[other]
                if partition in theirs:
                    theirs.remove(partition)
                if generation == others_generation:
                    claims.claimed_twice.add(partition)
                    owner[partition] = member
                    continue
            mine.append(partition)
            owner[partition] = member
    return claims
