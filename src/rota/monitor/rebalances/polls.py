"""Two looks at a group, and what changed between.

Kafka tells nobody why a group rebalances. Two descriptions of a group show who came and who went. What begins and ends
between two looks is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from rota.model import TopicPartition
from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

__all__ = ["SEEN", "differences"]

SEEN: Final = "seen by asking"


class _MemberSeen(Protocol):
    @property
    def member_id(self) -> str: ...
    @property
    def instance_id(self) -> str | None: ...
    @property
    def client_id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def assignment(self) -> Sequence[TopicPartition]: ...


class _GroupSeen(Protocol):
    """What both of a group's descriptions have, `GroupFacts` and that of `rota.cluster`."""

    @property
    def group(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def assignor(self) -> str: ...
    @property
    def members(self) -> Sequence[_MemberSeen]: ...


def differences(
    before: _GroupSeen,
    after: _GroupSeen,
    silent: Collection[str],
    generation: int,
    since_ms: int,
    at_ms: int,
) -> list[Event]:
    """What happened between two descriptions of one group.

    ``silent`` are the client ids of those that were killed or frozen: when they go, their session ended.
    ``generation`` counts the completed rebalances so far, for a description does not tell it. ``since_ms`` and
    ``at_ms`` are the times of the two looks: what began, began after the first; what is done, was done by the second.
    """
    found, reasons = _comings_and_goings(before, after, silent, since_ms)
    stable = after.state == "Stable"
    changed = _shares(before) != _shares(after)
    if before.state in ("Stable", "Empty", "Dead") and (not stable or changed) and after.members:
        reason, member_id = reasons[0] if reasons else (RebalanceReason.MEMBER_REJOINED, "")
        found.append(RebalanceStarted(since_ms, after.group, generation, reason, member_id, SEEN))
    if stable and (changed or before.state != "Stable"):
        shared = {member.member_id: tuple(member.assignment) for member in after.members}
        found.append(
            RebalanceCompleted(at_ms, after.group, generation + 1, after.assignor or None, None, shared)
        )
    return found


def _comings_and_goings(
    before: _GroupSeen, after: _GroupSeen, silent: Collection[str], since_ms: int
) -> tuple[list[Event], list[tuple[RebalanceReason, str]]]:
    """Who left and who joined, and what of it makes a group rebalance."""
    group = after.group
    old, new = _by_identity(before), _by_identity(after)
    found: list[Event] = []
    reasons: list[tuple[RebalanceReason, str]] = []
    for who, member in old.items():
        if who not in new:
            expired = member.client_id in silent
            reason = RebalanceReason.SESSION_EXPIRED if expired else RebalanceReason.MEMBER_LEFT
        elif new[who].member_id != member.member_id:
            reason = RebalanceReason.STATIC_MEMBER_REPLACED
        else:
            continue
        found.append(MemberLeft(since_ms, group, member.member_id, reason, SEEN))
        if who not in new:
            reasons.append((reason, member.member_id))
    for who, member in new.items():
        if who not in old or old[who].member_id != member.member_id:
            found.append(
                MemberJoined(
                    since_ms, group, member.member_id, member.client_id, member.host, member.instance_id
                )
            )
        if who not in old:
            reasons.append((RebalanceReason.MEMBER_JOINED, member.member_id))
    return found, reasons


def _shares(group: _GroupSeen) -> dict[str, tuple[TopicPartition, ...]]:
    return {who: tuple(member.assignment) for who, member in _by_identity(group).items()}


def _by_identity(group: _GroupSeen) -> dict[str, _MemberSeen]:
    """A static member that comes back is the same one, under a new member id."""
    return {member.instance_id or member.member_id: member for member in group.members}
