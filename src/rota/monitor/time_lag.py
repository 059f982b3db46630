"""How late a group is, in seconds: now less the timestamp of the first record that it has not consumed.

That timestamp is in the header of a record batch, so nothing is decompressed, and it does not change while the commit
stays: an idle group, and one that is stuck, cost no question. Where headers may not or cannot be had, a binary search
over timestamps tells the same (`rota.monitor.search`), and where that cannot be either, the looks so far.
"""

from __future__ import annotations

from rota.monitor.facts import BatchFacts
from rota.monitor.view import Method, Quality, TimeLag

__all__ = ["AHEAD_MS", "CAUGHT_UP", "by_header", "by_history", "by_search", "record_time"]

AHEAD_MS = 5_000
"""A record so far in the future has a clock that is not ours."""

CAUGHT_UP = TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT)


def record_time(header: BatchFacts, offset: int) -> tuple[int, Quality]:
    """The timestamp (ms) of the first record at or behind an offset of this batch.

    A header knows its first and its greatest timestamp; in between they are taken to go evenly.
    """
    first, last = header.base_timestamp_ms, header.max_timestamp_ms
    if header.log_append:
        return last, Quality.EXACT  # the broker's clock, one time for all of them
    if offset <= header.base_offset or first == last or first < 0:
        return first, Quality.EXACT
    part = (offset - header.base_offset) / max(1, header.last_offset - header.base_offset)
    return round(first + (last - first) * min(1.0, part)), Quality.ABOUT


def by_header(
    header: BatchFacts, position: int, now_ms: int, newest_ms: int | None, *, is_lost: bool = False
) -> TimeLag:
    """From the header of the first batch that is not consumed, and the newest record's timestamp.

    ``is_lost``: records before ``position`` were deleted unread.
    """
    at_ms, quality = record_time(header, position)
    if is_lost or header.base_offset > position:
        quality = Quality.AT_LEAST
    delay = None
    if newest_ms is not None and newest_ms >= 0 and at_ms >= 0:
        delay = max(0.0, (newest_ms - at_ms) / 1_000)
    if at_ms < 0 or at_ms > now_ms + AHEAD_MS:
        return TimeLag(None, delay, Method.RECORD, Quality.CLOCK)
    return TimeLag(max(0.0, (now_ms - at_ms) / 1_000), delay, Method.RECORD, quality)


def by_search(least_ms: int, most_ms: int, now_ms: int) -> TimeLag:
    """From the two timestamps (ms) between which a search has found the record's."""
    exact = least_ms == most_ms
    at_ms = (least_ms + most_ms) / 2
    if least_ms < 0 or at_ms > now_ms + AHEAD_MS:
        return TimeLag(None, None, Method.SEARCH, Quality.CLOCK)
    quality = Quality.EXACT if exact else Quality.ABOUT
    return TimeLag(max(0.0, (now_ms - at_ms) / 1_000), None, Method.SEARCH, quality)


def by_history(not_yet_ms: int | None, passed_ms: int | None, now_ms: int) -> TimeLag:
    """From when the log's end was still at the position, and when it was seen beyond it (see `window.passed`)."""
    if passed_ms is None:
        return TimeLag(None)
    if not_yet_ms is None:
        return TimeLag((now_ms - passed_ms) / 1_000, None, Method.HISTORY, Quality.AT_LEAST)
    middle = (not_yet_ms + passed_ms) / 2
    return TimeLag((now_ms - middle) / 1_000, None, Method.HISTORY, Quality.ABOUT)
