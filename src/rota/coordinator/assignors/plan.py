"""Who would get what: an assignment worked out without a group, and what moves between two of them.

With five partitions one consumer gets all five, two get 3 + 2, three 2 + 2 + 1, five one each, and of six one
is idle. The planner asks the assignors that the clients use, so that it cannot disagree with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rota.coordinator.assignors import (
    ASSIGNORS,
    Assignor,
    MemberSubscription,
    encode_cooperative_user_data,
    encode_sticky_user_data,
)
from rota.coordinator.assignors.server_side import ServerMember, uniform_shares
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["STRATEGIES", "Move", "Plan", "plan"]

STRATEGIES = (*ASSIGNORS, "uniform")
"""Those of the clients, and the coordinator's own for ``group.protocol=consumer`` (its ``range`` deals as the clients'
does).
"""

_MOST_ROUNDS = 20  # members that want the same settle in two; this many would be our bug


@dataclass(frozen=True, slots=True)
class Move:
    """One partition that changes hands; ``None`` means nobody (it is new, or its topic is gone)."""

    partition: TopicPartition
    source: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What each member holds once the group is stable, and how it came from the plan before."""

    strategy: str
    assignment: Mapping[str, tuple[TopicPartition, ...]]  # in the order of the members' names
    moves: tuple[Move, ...] = ()
    rounds: int = 1  # rebalances until stable: a cooperative group hands partitions over in a second one

    @property
    def rows(self) -> list[tuple[str, tuple[TopicPartition, ...]]]:
        """One row per member: its name and its partitions, sorted."""
        return list(self.assignment.items())

    @property
    def idle(self) -> tuple[str, ...]:
        """The members that hold nothing."""
        return tuple(member for member, held in self.assignment.items() if not held)

    @property
    def sizes(self) -> list[int]:
        """How many partitions each member holds, largest first."""
        return sorted(map(len, self.assignment.values()), reverse=True)

    def moves_from(self, earlier: Plan) -> tuple[Move, ...]:
        """What changes hands between the earlier plan and this one, in order of partition."""
        before, now = earlier.owners(), self.owners()
        return tuple(
            Move(partition, before.get(partition), now.get(partition))
            for partition in sorted({*before, *now})
            if before.get(partition) != now.get(partition)
        )

    def owners(self) -> dict[TopicPartition, str]:
        """Each partition's holder."""
        return {partition: member for member, held in self.assignment.items() for partition in held}


def plan(
    strategy: str,
    members: int | Sequence[str],
    topics: Mapping[str, int],
    previous: Plan | None = None,
) -> Plan:
    """Plan a group of ``members`` (a number, or names) that all read ``topics`` (topic to number of
    partitions).

    With ``previous`` the members that are in it too remember what they held there, as running members would.
    Raises RotaError for an unknown strategy, no member, or names given twice.
    """
    if strategy not in STRATEGIES:
        raise RotaError(f"unknown assignment strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}")
    names = _names(members)
    if strategy == "uniform":
        assignment, rounds = _uniform(names, topics, previous), 1
    else:
        subscriptions = _subscriptions(strategy, names, topics, previous)
        assignment, rounds = _settle(strategy, ASSIGNORS[strategy], subscriptions, topics)
    made = Plan(strategy, {name: tuple(sorted(assignment[name])) for name in names}, (), rounds)
    return made if previous is None else replace(made, moves=made.moves_from(previous))


def _names(members: int | Sequence[str]) -> list[str]:
    if isinstance(members, int):
        width = len(str(members))  # so that names sort as numbers do
        names = [f"consumer-{number:0{width}}" for number in range(1, members + 1)]
    else:
        names = list(members)
    if not names:
        raise RotaError("a plan needs one consumer or more")
    if len(set(names)) < len(names):
        raise RotaError("a plan needs consumers of different names")
    return names


def _uniform(
    names: Sequence[str], topics: Mapping[str, int], previous: Plan | None
) -> dict[str, list[TopicPartition]]:
    """What the coordinator aims at: it knows by itself what everybody was meant to hold."""
    ids = {topic.encode(): topic for topic in topics}
    before = {} if previous is None else previous.assignment
    members = {}
    for name in names:
        held = {
            topic_id: frozenset(tp.partition for tp in before.get(name, ()) if tp.topic == topic)
            for topic_id, topic in ids.items()
        }
        members[name] = ServerMember(frozenset(ids), held)
    shares = uniform_shares(members, {topic_id: topics[topic] for topic_id, topic in ids.items()})
    return {
        name: [
            TopicPartition(ids[topic_id], number) for topic_id, numbers in share.items() for number in numbers
        ]
        for name, share in shares.items()
    }


def _subscriptions(
    strategy: str, names: Sequence[str], topics: Mapping[str, int], previous: Plan | None
) -> dict[str, MemberSubscription]:
    fresh = MemberSubscription(tuple(topics))
    held = {} if previous is None else previous.assignment
    return {name: remember(strategy, fresh, held[name], 1) if name in held else fresh for name in names}


def remember(
    strategy: str, member: MemberSubscription, held: Sequence[TopicPartition], generation: int
) -> MemberSubscription:
    """The subscription with which a member joins again that was given ``held`` in ``generation``."""
    if strategy == "sticky":
        return replace(member, generation=generation, user_data=encode_sticky_user_data(held, generation))
    if strategy == "cooperative-sticky":
        data = encode_cooperative_user_data(generation)
        return replace(member, generation=generation, user_data=data, owned_partitions=tuple(held))
    return member


def _settle(
    strategy: str, assign: Assignor, members: Mapping[str, MemberSubscription], topics: Mapping[str, int]
) -> tuple[dict[str, list[TopicPartition]], int]:
    """Rebalance until nobody has to give anything up; the assignment and the number of rebalances."""
    for round_number in range(1, _MOST_ROUNDS):
        assignment = assign(members, topics)
        given_up = any(
            not set(member.owned_partitions) <= set(assignment[name]) for name, member in members.items()
        )
        if not given_up:
            return assignment, round_number
        members = {
            name: remember(strategy, member, assignment[name], round_number + 1)
            for name, member in members.items()
        }
    raise AssertionError(f"{strategy} does not settle")
