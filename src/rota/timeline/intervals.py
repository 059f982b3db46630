"""Sets of offsets and stretches of time that stay small however many records pass.

A partition that is read in order is one interval of offsets, and one stretch of time: their size grows with
what went wrong (gaps, rewinds, pauses), not with the number of records.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Activity", "IntervalSet"]


class IntervalSet:
    """A set of whole numbers as disjoint intervals, both ends inclusive; adjacent ones are joined.

    Adding at the upper end, the ordinary case, takes constant time; elsewhere it takes a bisection and the
    move of what lies above.
    """

    __slots__ = ("_firsts", "_lasts", "count")

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self._firsts = array("q")
        self._lasts = array("q")
        self.count = 0
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add every number from first to last; an empty range (last < first) adds nothing."""
        if last < first:
            return
        firsts, lasts = self._firsts, self._lasts
        if lasts and first == lasts[-1] + 1:
            lasts[-1] = last
            self.count += last - first + 1
            return
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        for index in range(low, high):
            self.count -= lasts[index] - firsts[index] + 1
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = array("q", (first,))
        lasts[low:high] = array("q", (last,))
        self.count += last - first + 1

    def __contains__(self, number: int) -> bool:
        index = bisect_left(self._lasts, number)
        return index < len(self._firsts) and self._firsts[index] <= number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """The number of intervals; `count` is the number of numbers."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"IntervalSet({', '.join(map(str, self))})"

    @property
    def highest(self) -> int:
        """The greatest number, -1 of an empty set."""
        return self._lasts[-1] if self._lasts else -1

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of the set between first and last."""
        index = bisect_left(self._lasts, first)
        while index < len(self._firsts) and self._firsts[index] <= last:
            yield max(first, self._firsts[index]), min(last, self._lasts[index])
            index += 1

    def missing(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of first to last that are not in the set."""
        for start, end in self.within(first, last):
            if first < start:
                yield first, start - 1
            first = end + 1
        if first <= last:
            yield first, last

    def minus(self, other: IntervalSet) -> IntervalSet:
        """What is in this set and not in the other."""
        result = IntervalSet()
        for first, last in self:
            for start, end in other.missing(first, last):
                result.add(start, end)
        return result

    def copy(self) -> IntervalSet:
        """An independent set of the same numbers."""
        copied = IntervalSet()
        copied._firsts, copied._lasts, copied.count = self._firsts[:], self._lasts[:], self.count
        return copied


MOST_RUNS: Final = 4096


class Activity:
    """When something happened to a partition: runs of events that follow each other closely, and their
    offsets.

    Events no further apart than ``resolution_ms`` belong to one run, so that a steady stream is one run. When
    more than `MOST_RUNS` are needed the resolution doubles: memory is bounded, and the resolution ends near
    the partition's own distance between records. The runs do not depend on the order in which events are
    added.
    """

    __slots__ = ("ends", "highs", "lows", "resolution_ms", "starts")

    def __init__(self, resolution_ms: int = 10) -> None:
        self.resolution_ms = resolution_ms
        self.starts = array("q")
        self.ends = array("q")
        self.lows = array("q")
        self.highs = array("q")

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, at_ms: int, first_offset: int, last_offset: int) -> None:
        """Something happened to these offsets at this time."""
        if self.starts and self.starts[-1] <= at_ms <= self.ends[-1] + self.resolution_ms:
            self.ends[-1] = max(self.ends[-1], at_ms)
            self.lows[-1] = min(self.lows[-1], first_offset)
            self.highs[-1] = max(self.highs[-1], last_offset)
            return
        self._insert(at_ms, first_offset, last_offset)
        while len(self.starts) > MOST_RUNS:
            self._coarsen()

    def _insert(self, at_ms: int, first_offset: int, last_offset: int) -> None:
        low = bisect_left(self.ends, at_ms - self.resolution_ms)
        high = bisect_right(self.starts, at_ms + self.resolution_ms)
        near = slice(low, high)
        merged = (
            (self.starts, min(at_ms, *self.starts[near], at_ms)),
            (self.ends, max(at_ms, *self.ends[near], at_ms)),
            (self.lows, min(first_offset, *self.lows[near], first_offset)),
            (self.highs, max(last_offset, *self.highs[near], last_offset)),
        )
        for column, value in merged:
            column[near] = array("q", (value,))

    def _coarsen(self) -> None:
        self.resolution_ms *= 2
        rows = list(zip(self.starts, self.ends, self.lows, self.highs, strict=True))
        kept = [list(rows[0])]
        for start, end, low, high in rows[1:]:
            last = kept[-1]
            if start - last[1] <= self.resolution_ms:
                last[1:] = end, min(last[2], low), max(last[3], high)
            else:
                kept.append([start, end, low, high])
        columns = [array("q", column) for column in zip(*kept, strict=True)]
        self.starts, self.ends, self.lows, self.highs = columns

    def usual_gap_ms(self) -> int:
        """The median distance between runs; the resolution where there are too few to speak of "usual"."""
        if len(self.starts) < 8:
            return self.resolution_ms
        pairs = pairwise(zip(self.starts, self.ends, strict=True))
        gaps = sorted(later[0] - earlier[1] for earlier, later in pairs)
        return gaps[len(gaps) // 2]

    def time_of(self, offset: int) -> int | None:
        """When the offset, or the next higher one, was reached: interpolated within a run; None: not yet."""
        index = bisect_left(self.highs, offset)
        if index == len(self.highs):
            return None
        low, high = self.lows[index], self.highs[index]
        if offset <= low:
            return self.starts[index]
        start, end = self.starts[index], self.ends[index]
        return start + (end - start) * (offset - low) // (high - low)

    def highest_at(self, at_ms: int) -> int:
        """The highest offset that had been reached at that time, -1 for none."""
        index = bisect_right(self.starts, at_ms) - 1
        if index < 0:
            return -1
        start, end, low, high = self.starts[index], self.ends[index], self.lows[index], self.highs[index]
        if at_ms >= end:
            return high
        return low + (high - low) * (at_ms - start) // (end - start)

    def copy(self) -> Activity:
        """An independent copy."""
        copied = Activity(self.resolution_ms)
        copied.starts, copied.ends = self.starts[:], self.ends[:]
        copied.lows, copied.highs = self.lows[:], self.highs[:]
        return copied
