"""Pauses: how long a partition's records waited because of a rebalance, a fault or a change of owner.

A pause of a partition is the time between the last delivery before and the first delivery after an
interruption, to and by whomever. Only time counts in which a record was waiting: if everything that had been
acknowledged had also been delivered when the interruption came, the pause begins when the next record is
acknowledged, and if none comes before the next delivery there was no pause. So an idle topic never pauses.

An interruption is a rebalance (from its start to its completion), a fault or a stop of the owner, or the
begin or end of someone's ownership; a partition without an owner is interrupted until it has one, a frozen
owner's until it goes on. Waiting that no interruption touches is the consumer's own pace.

Where nothing is known of production (`Produced`), a gap counts in full once it is three times as long as the
partition's usual distance between deliveries. Deliveries closer together than `Activity.resolution_ms` are
not told apart. What happens before a partition's very first delivery is not a pause.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.timeline.causes import CLOCK_SKEW_MS, Interruption, interruptions, root_cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import TopicPartition
    from rota.timeline.history import History, PartitionRecord

__all__ = ["Pause", "find_pauses"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Records of a partition waited from ``start_ms`` to ``end_ms`` (None: they still wait)."""

    partition: TopicPartition
    start_ms: int
    end_ms: int | None
    duration_ms: int
    cause: str
    """In words: ``c3 was killed with -9``."""
    waiting: int
    """How many acknowledged records waited at its end; 0 if nothing is known of production."""


def find_pauses(history: History, partition: TopicPartition, min_ms: int) -> list[Pause]:
    """The pauses of a partition that are at least min_ms long, in order of time."""
    record = history.partitions.get(partition)
    if record is None:
        return []
    known = interruptions(history, partition)
    found = []
    for index in sorted(_touched(record, known)):
        pause = _judge(history, partition, record, known, index, min_ms)
        if pause is not None:
            found.append(pause)
    return found


def _touched(record: PartitionRecord, known: Sequence[Interruption]) -> set[int]:
    """The numbers of the runs after which a gap comes that an interruption touches."""
    runs = record.served.activity
    touched: set[int] = set()
    for item in known:
        # The gap after run i lasts from ends[i] to starts[i + 1]; stamps of two processes may differ.
        low = max(bisect_left(runs.starts, item.start_ms - CLOCK_SKEW_MS) - 1, 0)
        high = bisect_right(runs.ends, item.end_ms + CLOCK_SKEW_MS)
        touched.update(range(low, min(high, len(runs))))
    return touched


def _judge(
    history: History,
    partition: TopicPartition,
    record: PartitionRecord,
    known: Sequence[Interruption],
    index: int,
    min_ms: int,
) -> Pause | None:
    runs = record.served.activity
    last = index + 1 == len(runs)
    gap_start, gap_end = runs.ends[index], history.end_ms if last else runs.starts[index + 1]
    if gap_end - gap_start < max(min_ms, 1):
        return None
    waiting = 0
    start_ms = gap_start
    if record.produced:
        reached = max(runs.highs[: index + 1])
        available = record.production.time_of(reached + 1)
        if available is None or available >= gap_end:
            return None
        start_ms = max(gap_start, available)
        waiting = max(record.production.highest_at(gap_end) - reached, 0)
    elif last or gap_end - gap_start < 3 * runs.usual_gap_ms():
        return None
    if gap_end - start_ms < max(min_ms, 1):
        return None
    within = [item for item in known if _overlaps(item, start_ms, gap_end)]
    cause = root_cause(within)
    if cause is None:
        return None
    end_ms = None if last else gap_end
    return Pause(partition, start_ms, end_ms, gap_end - start_ms, cause.words, waiting)


def _overlaps(item: Interruption, start_ms: int, end_ms: int) -> bool:
    return item.start_ms <= end_ms + CLOCK_SKEW_MS and item.end_ms >= start_ms - CLOCK_SKEW_MS
