"""How findings tell of times, members and commits."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from rota.model import TopicPartition, count_of, number_runs
from rota.timeline.events import RebalanceCompleted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.monitor.doctor.evidence import Evidence
    from rota.monitor.facts import MemberFacts

__all__ = [
    "and_list",
    "day_text",
    "gaps",
    "instants",
    "middle",
    "partitions_text",
    "shares",
    "span_text",
    "whole_number",
]

_SAME_MS = 25
"""Commits of one request are recorded together."""


def span_text(duration_ms: float) -> str:
    """A duration for people, of two units at most: ``0.4 s``, ``12.0 s``, ``14 min``, ``5 h 20 min``, ``6 d 3 h``."""
    total_s = max(duration_ms, 0) / 1000
    if total_s < 99.95:
        return f"{total_s:.1f} s"
    minutes = round(total_s / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def day_text(at_ms: int) -> str:
    """Day and time of this machine's zone: ``Fri 2026-11-20 14:00``."""
    return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%a %Y-%m-%d %H:%M}"


def and_list(names: Sequence[str], most: int = 4) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 9 more``."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def partitions_text(partitions: Iterable[TopicPartition], most: int = 4) -> str:
    """``orders-2``, ``orders 0 and 2``, ``orders 0-6 and mails 1``, ``120 partitions of 9 topics``."""
    topics: dict[str, list[int]] = {}
    for topic, number in sorted(set(partitions)):
        topics.setdefault(topic, []).append(number)
    if len(topics) > most:
        total = sum(map(len, topics.values()))
        return f"{count_of(total, 'partition')} of {count_of(len(topics), 'topic')}"
    texts = []
    for topic, numbers in topics.items():
        if len(numbers) == 1:
            texts.append(f"{topic}-{numbers[0]}")
            continue
        runs = number_runs(numbers)
        few = runs if len(runs) <= 2 * most else [*runs[: 2 * most], f"{len(runs) - 2 * most} more runs"]
        texts.append(f"{topic} {and_list(few, 2 * most + 1)}")
    return and_list(texts, most)


def shares(evidence: Evidence) -> list[tuple[MemberFacts | None, tuple[TopicPartition, ...]]]:
    """Who holds what: the members of the newest look; where there are none, those of the last generation with some
    (None: not there any more).
    """
    if evidence.facts.members:
        return [(member, member.assignment) for member in evidence.facts.members]
    for event in reversed(evidence.events or ()):
        if isinstance(event, RebalanceCompleted) and event.assignment:
            return [(None, held) for held in event.assignment.values()]
    return []


def instants(evidence: Evidence, partitions: Iterable[TopicPartition]) -> list[int]:
    """When something was committed in any of the partitions, oldest first; commits of one moment count once."""
    commits = evidence.commits or {}
    times = sorted(step.at_ms for each in set(partitions) for step in commits.get(each, ()))
    found: list[int] = []
    for at_ms in times:
        if not found or at_ms - found[-1] > _SAME_MS:
            found.append(at_ms)
    return found


def gaps(times: Sequence[int]) -> list[int]:
    """The time between each two that follow each other."""
    return [later - earlier for earlier, later in pairwise(times)]


def middle(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return sorted(values)[len(values) // 2] if values else 0.0


def whole_number(told: str | None) -> int | None:
    """What a setting says; None where nobody told it, or it is no number (a broker that is not Kafka)."""
    try:
        return None if told is None else int(told)
    except ValueError:
        return None
