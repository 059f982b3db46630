"""The assignors of consumer groups (KIP-848): the coordinator itself shares out the partitions.

``uniform`` gives everybody as much as everybody else and moves as little as it can; ``range`` gives each member a run
of each topic's partitions, so that topics with equally many partitions can be joined. Topics are named by id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush, heapreplace
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
        takers = _takers(members, held)
        _fill_least_loaded(held, takers, unassigned)
        _balance(members, held, takers)
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


class _Takers:
    """The members that subscribe to a topic, and perhaps to others with it; found quickly: who of them holds least.

    The heap has (load, place in the order of members, member id). An entry whose load has grown since is put right
    when it comes to the top; one whose load has shrunk has a newer one above it.
    """

    __slots__ = ("_heap", "_held", "count")

    def __init__(self, heap: list[tuple[int, int, str]], held: _Held) -> None:
        heapify(heap)
        self.count = len(heap)
        self._heap = heap
        self._held = held

    def least(self) -> str:
        """The member that holds least, the first among equals."""
        while True:
            load, place, member_id = self._heap[0]
            now = len(self._held[member_id])
            if load == now:
                return member_id
            if load < now:
                heapreplace(self._heap, (now, place, member_id))
            else:
                heappop(self._heap)

    def note(self, place: int, member_id: str) -> None:
        """A member holds less than before."""
        heappush(self._heap, (len(self._held[member_id]), place, member_id))


def _takers(members: Mapping[str, ServerMember], held: _Held) -> dict[bytes, _Takers]:
    """By topic; those with the same subscribers have the same."""
    subscribers: dict[bytes, list[int]] = {}
    for place, member in enumerate(members.values()):
        for topic in member.topics:
            subscribers.setdefault(topic, []).append(place)
    names = list(members)
    made: dict[tuple[int, ...], _Takers] = {}
    found: dict[bytes, _Takers] = {}
    for topic, places in subscribers.items():
        key = tuple(places)
        if key not in made:
            made[key] = _Takers([(len(held[names[place]]), place, names[place]) for place in places], held)
        found[topic] = made[key]
    return found


def _fill_least_loaded(
    held: _Held, takers: Mapping[bytes, _Takers], unassigned: list[tuple[bytes, int]]
) -> None:
    """What few may have is given out first, each to the one with the least."""
    for partition in sorted(unassigned, key=lambda each: (takers[each[0]].count, each)):
        held[takers[partition[0]].least()].add(partition)


def _balance(members: Mapping[str, ServerMember], held: _Held, takers: Mapping[bytes, _Takers]) -> None:
    """Move partitions, one at a time, from who has two more than another who may have them.

    Each move makes the sum of the squared shares smaller, so this ends.
    """
    movable: dict[str, dict[_Takers, list[tuple[bytes, int]]]] = {}
    for member_id, partitions in held.items():
        mine = movable[member_id] = {}
        for partition in sorted(partitions, reverse=True):
            mine.setdefault(takers[partition[0]], []).append(partition)
    places = {member_id: place for place, member_id in enumerate(members)}
    moved = True
    while moved:
        moved = False
        for giver in sorted(held, key=lambda each: -len(held[each])):
            for those, offered in movable[giver].items():
                while offered and len(held[giver]) - len(held[taker := those.least()]) > 1:
                    partition = offered.pop()
                    held[giver].remove(partition)
                    held[taker].add(partition)
                    movable[taker].setdefault(those, []).append(partition)
                    for each in {takers[topic] for topic in members[giver].topics}:
                        each.note(places[giver], giver)
                    moved = True


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
