"""How many records a group has not read of one partition, and how sure that is.

A commit is the offset of the next record. From it to the end of the log there may be fewer records than offsets:
compaction takes records away, and the markers of transactions are offsets that no consumer is ever given.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.monitor.facts import Commit, PartitionFacts

__all__ = ["NOTHING", "Left", "beyond_end", "left"]

NOTHING = PartitionFacts(None, None)
"""Of a partition that nobody could say anything about."""


class Left(NamedTuple):
    """What is left to read: ``lag`` in offsets from ``position`` (the first that may be read) on, None if unknown."""

    lag: int | None
    position: int | None = None
    lost: int = 0
    blocked: int = 0


def left(commit: Commit | None, facts: PartitionFacts, next_offset: int | None = None) -> Left:
    """Count what a commit leaves.

    ``next_offset``: the first offset behind the commit that is not known to be a transaction's marker; the commit if
    nobody has looked. Never below 0: a commit that seems to be ahead was made after its log's end was asked for.
    """
    if commit is None or facts.end is None:
        return Left(None)
    position, lost = commit.offset, 0
    if facts.start is not None and position < facts.start:
        lost = facts.start - position
        position = facts.start
    if next_offset is not None and next_offset > position:
        position = next_offset
    lag = max(0, facts.end - position)
    blocked = 0
    if facts.stable is not None and lag:
        blocked = max(0, facts.end - max(facts.stable, position))
    return Left(lag, position, lost, blocked)


def beyond_end(before: int, end_before: int, commit: Commit | None, facts: PartitionFacts) -> int:
    """How far a commit is beyond the end of its log, if that was seen at two looks and the log has not caught up.

    ``before`` and ``end_before`` are those of the look before; -1 for none. Ends are asked for after commits, so what
    is beyond them once may come from a broker that has just become leader and does not yet know how far it may tell.
    """
    if commit is None or facts.end is None or end_before < 0:
        return 0
    is_beyond = commit.offset > facts.end and before > end_before and before > facts.end
    return commit.offset - facts.end if is_beyond else 0
