"""The states of a classic group and the transitions between them, as data.

``TRANSITIONS`` is the whole truth: ``Group.become`` asserts every change of state against it, and the diagram
in the documentation is drawn from it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRANSITIONS", "GroupState", "transitions_as_mermaid"]


class GroupState(Enum):
    """Where a classic group is between two generations. The values are the names Kafka shows.

    Members are compared by identity; each state says what the group does in it and what ends it.
    """

    EMPTY = "Empty"
    """No members, but perhaps committed offsets that have not expired.

    action: answer JoinGroup of new members by beginning a rebalance; accept commits without a generation;
        answer everything else about a member with UNKNOWN_MEMBER_ID.
    transition: a member joins -> PreparingRebalance;
        the offsets expire or the group is deleted -> Dead.
    """

    PREPARING_REBALANCE = "PreparingRebalance"
    """The barrier: every member must join again before the next generation exists.

    action: park JoinGroup requests; answer heartbeats and SyncGroup with REBALANCE_IN_PROGRESS; accept commits
        of the old generation, so that members can commit before they let go.
    transition: all members joined, or the rebalance timeout passed and some did ->
        CompletingRebalance;
        all members are gone -> Empty.
    """

    COMPLETING_REBALANCE = "CompletingRebalance"
    """The generation exists, its assignment does not: the leader is computing it.

    action: park SyncGroup of followers until the leader's arrives; answer commits with REBALANCE_IN_PROGRESS.
    transition: the leader's SyncGroup, recorded -> Stable;
        a new member, a changed one, one that left, died or sent no SyncGroup in time -> PreparingRebalance.
    """

    STABLE = "Stable"
    """Every member has, or can fetch, its assignment.

    action: answer SyncGroup with the assignment and heartbeats with no error; accept commits.
    transition: a new member, a changed one, the leader joining again, one that left or died ->
        PreparingRebalance.
    """

    DEAD = "Dead"
    """The group is gone; also the state that describes a group that never was.

    action: none.
    transition: none.
    """


_E, _P, _C, _S, _D = (
    GroupState.EMPTY,
    GroupState.PREPARING_REBALANCE,
    GroupState.COMPLETING_REBALANCE,
    GroupState.STABLE,
    GroupState.DEAD,
)

TRANSITIONS: Final[Mapping[GroupState, frozenset[GroupState]]] = {
    _E: frozenset({_P, _D}),
    _P: frozenset({_C, _E, _D}),
    _C: frozenset({_S, _P, _D}),
    _S: frozenset({_P, _D}),
    _D: frozenset(),
}
"""For each state, the states that may follow it."""


def transitions_as_mermaid() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {GroupState.EMPTY.value}"]
    for state, followers in TRANSITIONS.items():
        lines += [f"    {state.value} --> {after.value}" for after in GroupState if after in followers]
    lines.append(f"    {GroupState.DEAD.value} --> [*]")
    return "\n".join(lines) + "\n"
