"""What the styles of metrics have in common: they are told of groups and of topics, and write lines into families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rota.exporter.text import Family, number
from rota.monitor.facts import PartitionFacts, TopicFacts
from rota.monitor.view import GroupView

__all__ = ["Lines", "Look", "Style", "TopicLogs", "committed_by_topic"]


@dataclass(frozen=True, slots=True)
class TopicLogs:
    """One topic that groups read: how far its logs reach, by partition; its facts if somebody could say."""

    name: str
    logs: Mapping[int, PartitionFacts]
    facts: TopicFacts | None


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to say of looking itself. ``looks`` and ``failures`` are counted from the start."""

    is_well: bool
    looks: int
    failures: int
    took_s: float
    seen_at_s: float
    """When the last look ended that found anything, in seconds since 1970; 0 for never."""


class Lines:
    """Samples by family, as text."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, family: Family, labels: str, value: float | None) -> None:
        """One sample; None is not known, and left out."""
        if value is not None:
            name = family.name
            line = f"{name}{{{labels}}} {number(value)}\n" if labels else f"{name} {number(value)}\n"
            self._lines.setdefault(name, []).append(line)

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """The text of each family, by its name."""
        for name, lines in self._lines.items():
            yield name, "".join(lines).encode(errors="replace")


class Style(Protocol):
    """One set of names. ``cluster`` is what the user calls the cluster, for styles that have a label for it."""

    @property
    def families(self) -> Sequence[Family]:
        """All of them, in the order in which they are told."""

    def group(self, view: GroupView, lines: Lines) -> None:
        """The samples of one group, of nothing but its facts, partitions, members, topics and totals."""

    def topic(self, topic: TopicLogs, lines: Lines) -> None:
        """The samples of one topic."""

    def look(self, look: Look, lines: Lines) -> None:
        """The samples about looking."""


def committed_by_topic(view: GroupView) -> dict[str, int]:
    """The sum of a group's committed offsets of each topic that has any."""
    sums: dict[str, int] = {}
    for part in view.partitions:
        if part.commit is not None:
            topic = part.partition.topic
            sums[topic] = sums.get(topic, 0) + part.commit.offset
    return sums
