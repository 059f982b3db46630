"""``roundrobin``: all partitions of all topics in order, dealt to the members in turn like cards.

A member that does not subscribe to the card's topic is passed over. Static members come first, sorted by
``group.instance.id`` (KIP-345).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain
from typing import TYPE_CHECKING

from rota.coordinator.assignors.order import java_sorted
from rota.coordinator.assignors.subscription import MemberSubscription, partitions_of, subscribed_counts
from rota.coordinator.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.model import TopicPartition

__all__ = ["assign_roundrobin", "in_turn", "subscriptions_equal"]


def in_turn(members: Mapping[str, MemberSubscription]) -> list[str]:
    """Member ids in the order of both strategies: static ones by instance id, then others by id."""
    static = {
        subscription.instance_id: member
        for member, subscription in members.items()
        if subscription.instance_id is not None
    }
    dynamic = java_sorted(member for member, each in members.items() if each.instance_id is None)
    return [static[instance_id] for instance_id in java_sorted(static)] + dynamic


def subscriptions_equal(members: Mapping[str, MemberSubscription]) -> bool:
    """True if every member names the same topics, in whatever order."""
    subscriptions = iter(members.values())
    first = next(subscriptions, None)
    if first is None:
        return True
    topics = frozenset(first.topics)
    return all(each.topics == first.topics or topics == frozenset(each.topics) for each in subscriptions)


@collector_paused
def assign_roundrobin(
    members: Mapping[str, MemberSubscription], partitions: Mapping[str, int]
) -> dict[str, list[TopicPartition]]:
    """Assign in turn; a member's list is in the order of topic and number."""
    counts = subscribed_counts(members.values(), partitions)
    topics = java_sorted(counts)
    order = in_turn(members)
    if subscriptions_equal(members):
        cards = list(chain.from_iterable(partitions_of(topic, counts[topic]) for topic in topics))
        dealt = {member: cards[place :: len(order)] for place, member in enumerate(order)}
        return {member: dealt[member] for member in members}
    places: dict[str, list[int]] = {topic: [] for topic in topics}
    for place, member in enumerate(order):
        for topic in members[member].topics:
            if topic in places:
                places[topic].append(place)
    assignment: dict[str, list[TopicPartition]] = {member: [] for member in members}
    turn = 0  # the place of the member whose turn it is
    for topic in topics:
        cards = partitions_of(topic, counts[topic])
        takers = places[topic]
        first = bisect_left(takers, turn) % len(takers)
        for step in range(min(len(takers), len(cards))):
            taker = takers[(first + step) % len(takers)]
            assignment[order[taker]] += cards[step :: len(takers)]
        turn = takers[(first + len(cards) - 1) % len(takers)] + 1
    return assignment
