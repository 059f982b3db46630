"""``range``: per topic, consecutive partitions to members in order; the first members get one more.

The same member number gets the same partition numbers of every topic with equal subscribers and equal count,
so that records with one key in co-partitioned topics meet in one member. Static members come first, sorted by
``group.instance.id``, so that a restarted one keeps its place although its member id is new (KIP-345).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.assignors.order import bucket_order
from rota.coordinator.assignors.roundrobin import in_turn
from rota.coordinator.assignors.subscription import MemberSubscription, partitions_of, subscribed_counts
from rota.coordinator.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.model import TopicPartition

__all__ = ["assign_range"]


@collector_paused
def assign_range(
    members: Mapping[str, MemberSubscription], partitions: Mapping[str, int]
) -> dict[str, list[TopicPartition]]:
    """Assign by range; a member's list goes topic by topic, as the Java client walks topics."""
    assignment: dict[str, list[TopicPartition]] = {member: [] for member in members}
    walk = bucket_order(members)
    counts = subscribed_counts((members[member] for member in walk), partitions)
    wanted = bucket_order(topic for member in walk for topic in members[member].topics)
    subscribers = _subscribers(members, counts)
    for topic in bucket_order(topic for topic in wanted if topic in counts):
        ordered = subscribers[topic]
        each, extra = divmod(counts[topic], len(ordered))
        numbered = partitions_of(topic, counts[topic])
        first = 0
        for member in ordered if each else ordered[:extra]:
            last = first + each + (extra > 0)
            assignment[member] += numbered[first:last]
            first, extra = last, extra - 1
    return assignment


def _subscribers(
    members: Mapping[str, MemberSubscription], topics: Mapping[str, int]
) -> dict[str, list[str]]:
    subscribers: dict[str, list[str]] = {topic: [] for topic in topics}
    for member in in_turn(members):
        for topic in members[member].topics:
            if topic in subscribers:
                subscribers[topic].append(member)
    return subscribers
