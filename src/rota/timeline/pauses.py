"""Pauses: how long a partition's records waited because of a rebalance, a fault or a change of owner.

A pause of a partition is the time between the last delivery before and the first delivery after an
interruption, to and by whomever. Only time counts in which a record was waiting: if everything that had been
acknowledged had also been delivered when the interruption came, the pause begins when the next record is
acknowledged, and if none comes before the next delivery there was no pause. So an idle topic never pauses.

An interruption is a rebalance (from its start to its completion), a fault or a stop of the owner, or the
begin or end of someone's ownership; a partition without an owner is interrupted until it has one, a frozen
owner's until it goes on. Waiting that no interruption touches is the consumer's own pace.

A slow handler makes records wait at any time, also while a rebalance happens to go on. So a wait is a pause
only if it is more than `PACE_FACTOR` times as long as the partition's pace. The pace is how long its records
had to wait lately, undisturbed: the third longest (`PACE_RANK`) of the last `PACE_WAITS` waits that no
interruption touches, none of them more than `PACE_WINDOW_MS` older than the newest of them. A single hiccup or two do
not make a pace, and where less than three waits are known there is none. Later waits are not looked at: a pause
that has been told stays one.

Where nothing is known of production (`Produced`), a gap counts in full once it is also three times as long as
the partition's usual distance between deliveries. Deliveries closer together than `Activity.resolution_ms` are
not told apart. What happens before a partition's very first delivery is not a pause.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from rota.timeline.causes import CLOCK_SKEW_MS, Interruption, InterruptionKind, interruptions, root_cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import TopicPartition
    from rota.timeline.history import History, PartitionRecord

__all__ = ["Pause", "find_pauses"]

PACE_FACTOR: Final = 2
PACE_RANK: Final = 3
PACE_WAITS: Final = 20
PACE_WINDOW_MS: Final = 60_000


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
    judge = _Judge(history, partition, record)
    verdicts = (judge.pause(index, max(min_ms, 1)) for index in judge.touched)
    return [pause for pause in verdicts if pause is not None]


class _Judge:
    """One partition's gaps: gap i lies between the runs i and i + 1 of its deliveries, the last is still open."""

    def __init__(self, history: History, partition: TopicPartition, record: PartitionRecord) -> None:
        self._end_ms = history.end_ms
        self._partition = partition
        self._record = record
        self._runs = record.served.activity
        self._reached = list(accumulate(self._runs.highs, max))
        self._known = interruptions(history, partition)
        touched = self._touched(self._known)
        self.touched = sorted(touched)
        """The numbers of the gaps that an interruption touches."""
        self._calm = [index for index in range(len(self._runs) - 1) if index not in touched]
        self._paces: dict[int, int] = {}

    def pause(self, index: int, min_ms: int) -> Pause | None:
        """The pause in this gap, if there is one that is so long."""
        gap_start, gap_end = self._gap(index)
        if gap_end - gap_start < min_ms:
            return None
        last = index + 1 == len(self._runs)
        if not self._record.produced and (last or gap_end - gap_start < 3 * self._runs.usual_gap_ms()):
            return None
        start_ms = self._waits_from(index)
        if start_ms is None or gap_end - start_ms < min_ms:
            return None
        cause = root_cause(item for item in self._known if _overlaps(item, start_ms, gap_end))
        if cause is None or gap_end - start_ms <= PACE_FACTOR * self._pace_before(index):
            return None
        end_ms = None if last else gap_end
        waiting = max(self._record.production.highest_at(gap_end) - self._reached[index], 0)
        return Pause(self._partition, start_ms, end_ms, gap_end - start_ms, cause.words, waiting)

    def _touched(self, known: Sequence[Interruption]) -> set[int]:
        runs = self._runs
        touched: set[int] = set()
        for item in known:
            # The gap after run i lasts from ends[i] to starts[i + 1].
            low = max(bisect_left(runs.starts, item.start_ms - CLOCK_SKEW_MS) - 1, 0)
            high = bisect_right(runs.ends, _felt_until(item))
            touched.update(range(low, min(high, len(runs))))
        return touched

    def _gap(self, index: int) -> tuple[int, int]:
        last = index + 1 == len(self._runs)
        return self._runs.ends[index], self._end_ms if last else self._runs.starts[index + 1]

    def _waits_from(self, index: int) -> int | None:
        """From when on a record waited in this gap; None: at no time."""
        gap_start, gap_end = self._gap(index)
        if not self._record.produced:
            return gap_start
        available = self._record.production.time_of(self._reached[index] + 1)
        return None if available is None or available >= gap_end else max(gap_start, available)

    def _pace_before(self, index: int) -> int:
        """How long records used to wait before this gap, in milliseconds."""
        until = bisect_left(self._calm, index)
        if until not in self._paces:
            calm = self._calm[max(until - PACE_WAITS, 0) : until]
            since_ms = self._runs.ends[calm[-1]] - PACE_WINDOW_MS if calm else 0
            waits = [self._wait(each) for each in calm if self._runs.ends[each] >= since_ms]
            longest = heapq.nlargest(PACE_RANK, waits)
            self._paces[until] = longest[-1] if len(longest) == PACE_RANK else 0
        return self._paces[until]

    def _wait(self, index: int) -> int:
        start_ms = self._waits_from(index)
        return 0 if start_ms is None else self._gap(index)[1] - start_ms


def _overlaps(item: Interruption, start_ms: int, end_ms: int) -> bool:
    return item.start_ms <= end_ms + CLOCK_SKEW_MS and _felt_until(item) >= start_ms


def _felt_until(item: Interruption) -> int:
    """Until when a gap that begins may come of it: stamps of two processes may differ, which matters for moments.

    A gap that only begins when the new owner has read already is not the hand-over's.
    """
    lasted = item.kind == InterruptionKind.OWNERSHIP or item.start_ms < item.end_ms
    return item.end_ms if lasted else item.end_ms + CLOCK_SKEW_MS
