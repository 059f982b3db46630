"""Sets of partitions by topic id: what members hold, give up and are meant to have.

A topic id is 16 raw bytes. A topic without partitions is left out, so equal sets are equal dicts. They are never
changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

__all__ = [
    "EMPTY",
    "Assigned",
    "assigned_from",
    "count",
    "each",
    "intersection",
    "minus",
    "overlaps",
    "union",
]

Assigned: TypeAlias = Mapping[bytes, frozenset[int]]

EMPTY: Assigned = {}


class _Entry(Protocol):
    topic_id: bytes
    partitions: list[int]


def assigned_from(entries: Iterable[_Entry]) -> Assigned:
    """From the arrays that requests and records have."""
    found: dict[bytes, frozenset[int]] = {}
    for entry in entries:
        if entry.partitions:
            found[entry.topic_id] = found.get(entry.topic_id, frozenset()) | frozenset(entry.partitions)
    return found


def each(assigned: Assigned) -> Iterable[tuple[bytes, int]]:
    """Every partition, in order."""
    for topic_id, partitions in assigned.items():
        for partition in sorted(partitions):
            yield topic_id, partition


def count(assigned: Assigned) -> int:
    """How many partitions there are."""
    return sum(map(len, assigned.values()))


def intersection(left: Assigned, right: Assigned) -> Assigned:
    """What is in both."""
    both = {topic_id: partitions & right.get(topic_id, frozenset()) for topic_id, partitions in left.items()}
    return {topic_id: partitions for topic_id, partitions in both.items() if partitions}


def minus(left: Assigned, right: Assigned) -> Assigned:
    """What is in ``left`` and not in ``right``."""
    rest = {topic_id: partitions - right.get(topic_id, frozenset()) for topic_id, partitions in left.items()}
    return {topic_id: partitions for topic_id, partitions in rest.items() if partitions}


def union(left: Assigned, right: Assigned) -> Assigned:
    """What is in either."""
    found = dict(left)
    for topic_id, partitions in right.items():
        found[topic_id] = found.get(topic_id, frozenset()) | partitions
    return found


def overlaps(left: Assigned, right: Assigned) -> bool:
    """Whether any partition is in both."""
    return any(partitions & right.get(topic_id, frozenset()) for topic_id, partitions in left.items())
