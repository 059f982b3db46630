"""The assignors of consumer groups (KIP-848): the coordinator itself shares out the partitions.

``uniform`` gives everybody as much as everybody else and moves as little as it can; ``range`` gives each member a run
of each topic's partitions, so that topics with equally many partitions can be joined. Topics are named by id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

__all__ = ["SERVER_ASSIGNORS", "ServerMember", "range_shares", "uniform_shares"]

Shares = dict[str, Mapping[bytes, frozenset[int]]]
_Held = dict[str, set[tuple[bytes, int]]]


class ServerMember(NamedTuple):
    """What an assignor knows of a member."""

    topics: frozenset[bytes]
    """The topics that it subscribes to and that exist."""
    assigned: Mapping[bytes, frozenset[int]]
    """What it was meant to hold until now."""
    instance_id: str | None = None


def uniform_shares(members: Mapping[str, ServerMember], counts: Mapping[bytes, int]) -> Shares:
    """An equal number of partitions for everybody who may have them; what can stay stays."""
    if not members:
        return {}
    held, unassigned = _kept(members, counts)
    if len({member.topics for member in members.values()}) == 1:
        _fill_quotas(held, unassigned)
    else:
        _fill_least_loaded(members, held, unassigned)
        _balance(members, held)
    return {member_id: _grouped(partitions) for member_id, partitions in held.items()}


def _kept(
    members: Mapping[str, ServerMember], counts: Mapping[bytes, int]
) -> tuple[_Held, list[tuple[bytes, int]]]:
    """What everybody may keep, and what then belongs to nobody."""
    subscribed = frozenset[bytes]().union(*(member.topics for member in members.values()))
    free = {(topic, index) for topic in subscribed for index in range(counts.get(topic, 0))}
    held: _Held = {}
    for member_id, member in members.items():
        mine = held[member_id] = set()
        for topic, partitions in member.assigned.items():
            if topic in member.topics:
                mine |= {(topic, index) for index in partitions} & free
        free -= mine
    return held, sorted(free)


def _fill_quotas(held: _Held, unassigned: list[tuple[bytes, int]]) -> None:
    """All subscribe to the same: who holds most may keep one more than the others, if the numbers do not come out."""
    total = sum(map(len, held.values())) + len(unassigned)
    quota, extra = divmod(total, len(held))
    open_places: list[tuple[str, int]] = []
    for member_id in sorted(held, key=lambda each: -len(held[each])):
        mine, allowed = held[member_id], quota + (extra > 0)
        extra -= extra > 0
        surplus = sorted(mine)[allowed:]
        mine.difference_update(surplus)
        unassigned += surplus
        if len(mine) < allowed:
            open_places.append((member_id, allowed - len(mine)))
    waiting = iter(sorted(unassigned))
    for member_id, places in open_places:
        held[member_id].update(partition for _, partition in zip(range(places), waiting, strict=False))


def _fill_least_loaded(
    members: Mapping[str, ServerMember], held: _Held, unassigned: list[tuple[bytes, int]]
) -> None:
    """What few may have is given out first, each to the one with the least."""
    subscribers = _subscribers(members)
    for partition in sorted(unassigned, key=lambda each: (len(subscribers[each[0]]), each)):
        taker = min(subscribers[partition[0]], key=lambda each: len(held[each]))
        held[taker].add(partition)


def _balance(members: Mapping[str, ServerMember], held: _Held) -> None:
    """Move partitions, one at a time, from who has two more than another who may have them.

    Each move makes the sum of the squared shares smaller, so this ends.
    """
    subscribers = _subscribers(members)
    moved = True
    while moved:
        moved = False
        for giver in sorted(held, key=lambda each: -len(held[each])):
            for partition in sorted(held[giver]):
                taker = min(subscribers[partition[0]], key=lambda each: len(held[each]))
                if len(held[giver]) - len(held[taker]) > 1:
                    held[giver].remove(partition)
                    held[taker].add(partition)
                    moved = True


def _subscribers(members: Mapping[str, ServerMember]) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for member_id, member in members.items():
        for topic in member.topics:
            found.setdefault(topic, []).append(member_id)
    return found


def _grouped(partitions: set[tuple[bytes, int]]) -> Mapping[bytes, frozenset[int]]:
    grouped: dict[bytes, set[int]] = {}
    for topic, index in sorted(partitions):
        grouped.setdefault(topic, set()).add(index)
    return {topic: frozenset(indexes) for topic, indexes in grouped.items()}


def range_shares(members: Mapping[str, ServerMember], counts: Mapping[bytes, int]) -> Shares:
    """Runs of each topic's partitions: static members first, by instance id, then the others by member id."""
    ordered = sorted(
        members, key=lambda each: (members[each].instance_id is None, members[each].instance_id or each)
    )
    shares: dict[str, dict[bytes, frozenset[int]]] = {member_id: {} for member_id in members}
    for topic in sorted(frozenset[bytes]().union(*(member.topics for member in members.values()))):
        takers = [member_id for member_id in ordered if topic in members[member_id].topics]
        quota, extra = divmod(counts.get(topic, 0), len(takers))
        start = 0
        for position, member_id in enumerate(takers):
            end = start + quota + (position < extra)
            if start < end:
                shares[member_id][topic] = frozenset(range(start, end))
            start = end
    return dict(shares)


SERVER_ASSIGNORS: Final[Mapping[str, Callable[[Mapping[str, ServerMember], Mapping[bytes, int]], Shares]]] = {
    "uniform": uniform_shares,
    "range": range_shares,
}
"""By the names of ``group.consumer.assignors``."""
