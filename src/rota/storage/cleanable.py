"""Which log is to be compacted next, and what of it: Kafka's rules.

A log has a clean part, which was compacted before and ends at the offset in ``cleaner-offset-checkpoint``, and a dirty
part behind it. Of that the active segment is never touched, nor any other from the one on in which an open transaction
began or which ``min.compaction.lag.ms`` still protects. The share of dirty bytes says how much there is to win.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from rota.model import TopicPartition
from rota.storage.log import Log

__all__ = ["Cleanable", "cleanable", "dirtiest"]

_FOREVER: Final = 2**63 - 1


class Cleanable(NamedTuple):
    """``first_dirty`` … ``end``: offsets of the dirty part that may be compacted now; bytes before and in it.

    ``end`` is where a segment begins; or ``first_dirty``, where nothing behind that may be compacted: then there are no
    dirty bytes. ``is_overdue``: it holds records older than ``max.compaction.lag.ms``.
    """

    log: Log
    first_dirty: int
    end: int
    clean_bytes: int
    dirty_bytes: int
    is_overdue: bool

    @property
    def ratio(self) -> float:
        """The share of dirty bytes."""
        total = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total if total else 0.0


def cleanable(log: Log, cleaned_to: int | None, now_ms: int) -> Cleanable:
    """What of a log may be compacted, if it was compacted up to offset ``cleaned_to`` before."""
    start = log.log_start_offset
    first_dirty = start if cleaned_to is None or not start <= cleaned_to <= log.log_end_offset else cleaned_to
    active = log.segments[-1]
    end = log.bases[bisect_right(log.bases, min(active.base_offset, log.last_stable_offset)) - 1]
    dirty = [each for each in log.segments[:-1] if each.next_offset > first_dirty]
    lag = log.config.min_compaction_lag_ms
    if lag > 0:
        for segment in dirty:
            latest = segment.max_timestamp if segment.max_timestamp >= 0 else segment.created_ms
            if latest > now_ms - lag:
                end = min(end, segment.base_offset)
                break
    end = max(end, first_dirty)
    return Cleanable(
        log,
        first_dirty,
        end,
        sum(each.size for each in log.segments[:-1] if each.base_offset < first_dirty),
        sum(each.size for each in dirty if each.base_offset < end) if end > first_dirty else 0,
        is_overdue=_is_overdue(log, first_dirty, end, now_ms),
    )


def _is_overdue(log: Log, first_dirty: int, end: int, now_ms: int) -> bool:
    config = log.config
    lag = max(config.max_compaction_lag_ms, config.min_compaction_lag_ms)
    if lag >= _FOREVER or end <= first_dirty:
        return False
    for segment in log.segments[:-1]:
        if segment.next_offset > first_dirty and segment.base_offset < end:
            first = segment.first_batch_timestamp()
            if 0 < first < now_ms - lag:
                return True
    return False


def dirtiest(
    logs: Iterable[tuple[TopicPartition, Log]], cleaned_to: Mapping[TopicPartition, int], now_ms: int
) -> tuple[TopicPartition, Cleanable] | None:
    """The log that most needs to be compacted; None if there is none that needs it."""
    found: tuple[TopicPartition, Cleanable] | None = None
    for tp, log in logs:
        if len(log.segments) < 2 or "compact" not in log.config.cleanup_policy:
            continue
        one = cleanable(log, cleaned_to.get(tp), now_ms)
        if not one.dirty_bytes:
            continue
        is_due = one.is_overdue or one.ratio > log.config.min_cleanable_dirty_ratio
        if is_due and (found is None or one.ratio > found[1].ratio):
            found = tp, one
    return found
