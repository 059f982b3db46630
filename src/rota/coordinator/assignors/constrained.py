"""The sticky assignment when all members subscribe to the same topics.

Every member gets ``floor(partitions / members)`` partitions or one more. Members are walked once: each keeps
what it holds up to its share, and the first ones that hold enough keep one more, as long as there is one more
to keep. What is then free goes in order of topic and number, first in rounds over the members below the lower
share, in order of id, then one by one to members that may have one more. Nothing else moves.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from rota.coordinator.assignors.order import java_sorted
from rota.coordinator.assignors.subscription import partitions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.coordinator.assignors.claims import Claims
    from rota.model import TopicPartition

__all__ = ["assign_constrained"]

_by_number_and_topic = itemgetter(1, 0)


def assign_constrained(
    claims: Claims, counts: Mapping[str, int]
) -> tuple[dict[str, list[TopicPartition]], dict[TopicPartition, str]]:
    """Return the assignment, and the partitions that change hands, each with its new member."""
    everything = list(
        chain.from_iterable(partitions_of(topic, counts[topic]) for topic in java_sorted(counts))
    )
    if not any(claims.owned.values()):
        ordered = java_sorted(claims.owned)
        assignment = {member: everything[place :: len(ordered)] for place, member in enumerate(ordered)}
        return assignment, {
            each: member for member in ordered for each in assignment[member] if each in claims.claimed_twice
        } if claims.claimed_twice else {}
    return _Constrained(claims, everything).build()


class _Constrained:
    def __init__(self, claims: Claims, everything: list[TopicPartition]) -> None:
        self.claims = claims
        self.everything = everything
        self.share, self.extra_seats = divmod(len(everything), len(claims.owned))
        self.assignment: dict[str, list[TopicPartition]] = {}
        self.given_up: dict[TopicPartition, str] = {}
        self.below: list[str] = []  # members with less than their share
        self.level: list[str] = []  # members with just their share, who may get one more

    def build(self) -> tuple[dict[str, list[TopicPartition]], dict[TopicPartition, str]]:
        self.keep_owned()
        kept = set(chain.from_iterable(self.assignment.values()))
        free = [each for each in self.everything if each not in kept]
        return self.assignment, self.transfers(self.hand_out(free))

    def keep_owned(self) -> None:
        twice = self.claims.claimed_twice
        limit = self.share + (self.extra_seats > 0)
        seats = self.extra_seats
        for member, owned in self.claims.owned.items():
            owned = sorted(owned, key=_by_number_and_topic)
            if twice:
                owned = [each for each in owned if each not in twice]
            kept = self.share
            if len(owned) < self.share:
                self.below.append(member)
            elif len(owned) >= limit and seats:
                kept = limit
                seats -= 1
                if not seats:
                    self.level.clear()
            elif seats:
                self.level.append(member)
            self.assignment[member] = owned[:kept]
            self.given_up.update(dict.fromkeys(owned[kept:], member))

    def hand_out(self, free: list[TopicPartition]) -> Iterable[tuple[TopicPartition, str]]:
        """Give away ``free``; return each partition with its new member."""
        takers: list[str] = []
        below = java_sorted(self.below)
        level = deque(java_sorted(self.level))
        missing = {member: self.share - len(self.assignment[member]) for member in below}
        while below:
            takers += below
            still = []
            for member in below:
                missing[member] -= 1
                if missing[member]:
                    still.append(member)
                else:
                    level.append(member)
            below = still
        assert len(takers) <= len(free), "the members lack more than there is"
        while len(takers) < len(free):
            takers.append(level.popleft())
        pairs = list(zip(free, takers, strict=True))
        for partition, member in pairs:
            self.assignment[member].append(partition)
        return pairs

    def transfers(self, handed_out: Iterable[tuple[TopicPartition, str]]) -> dict[TopicPartition, str]:
        twice = self.claims.claimed_twice
        return {
            partition: member
            for partition, member in handed_out
            if self.given_up.get(partition, member) != member or partition in twice
        }
