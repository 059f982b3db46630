"""The last looks at one group as columns of numbers: what rates, trends and the age of an offset are made of.

Columns and not objects, because there may be tens of thousands of partitions and dozens of looks: 24 bytes for a
partition in a look. -1 stands for what is not known or not committed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter

from rota.model import TopicPartition

__all__ = ["UNKNOWN", "Edge", "Series", "Window", "passed", "series"]

UNKNOWN = -1

Series = tuple[int, ...]
"""One partition's numbers, one a look, oldest first."""

Edge = tuple[int, int, int, int, int, int]
"""The first and the last commit, end and lag of a window."""


class Window:
    """Commits, ends and lags of a group's partitions, by look.

    At most ``points`` + 1 looks of the last ``span_ms``: where looks are more frequent, some are left out. The newest
    is always there.
    """

    __slots__ = ("_gap_ms", "_span_ms", "at_ms", "commits", "ends", "lags", "parts")

    def __init__(self, span_ms: int, points: int) -> None:
        self._span_ms = span_ms
        self._gap_ms = span_ms // points
        self.parts: tuple[TopicPartition, ...] = ()
        self.at_ms: list[int] = []
        self.commits: list[array[int]] = []
        self.ends: list[array[int]] = []
        self.lags: list[array[int]] = []

    def arrange(self, parts: tuple[TopicPartition, ...]) -> None:
        """These are the partitions from now on, in this order; what is known of those that stay is kept."""
        if parts == self.parts:
            return
        places = {part: place for place, part in enumerate(self.parts)}
        order = [places.get(part) for part in parts]
        for columns in (self.commits, self.ends, self.lags):
            columns[:] = [
                array("q", [UNKNOWN if place is None else column[place] for place in order])
                for column in columns
            ]
        self.parts = parts

    def forget(self, places: Iterable[int]) -> None:
        """What was known of these partitions is of no use any more: the topic was made anew, or offsets were reset."""
        for place in places:
            for columns in (self.commits, self.ends, self.lags):
                for column in columns:
                    column[place] = UNKNOWN

    def add(self, at_ms: int, commits: array[int], ends: array[int], lags: array[int]) -> None:
        """One more look. After a clock was set back, nothing of what was seen before is of use: it is forgotten."""
        if self.at_ms and at_ms < self.at_ms[-1]:
            for columns in (self.at_ms, self.commits, self.ends, self.lags):
                del columns[:]
        if len(self.at_ms) > 1 and self.at_ms[-1] - self.at_ms[-2] < self._gap_ms:
            self._drop(-1)
        self.at_ms.append(at_ms)
        self.commits.append(commits)
        self.ends.append(ends)
        self.lags.append(lags)
        while self.at_ms[0] < at_ms - self._span_ms:
            self._drop(0)

    def _drop(self, look: int) -> None:
        for columns in (self.at_ms, self.commits, self.ends, self.lags):
            del columns[look]

    def edges(self) -> Iterable[Edge]:
        """Of each partition the first and the last commit, end and lag."""
        commits, ends, lags = self.commits, self.ends, self.lags
        return zip(commits[0], commits[-1], ends[0], ends[-1], lags[0], lags[-1], strict=True)

    def sums(self, places: Sequence[int]) -> list[int]:
        """The lags of these partitions together, oldest first, since all are known that are now."""
        now = self.lags[-1]
        known = [place for place in places if now[place] != UNKNOWN]
        if not known:
            return []
        taken = itemgetter(*known, known[0])  # one more, so that it is a tuple also of one
        found = []
        for column in reversed(self.lags):
            values = column if len(known) == len(column) else taken(column)[:-1]
            if min(values) == UNKNOWN:
                break
            found.append(sum(values))
        return found[::-1]


def series(columns: Sequence[array[int]], place: int) -> Series:
    """One partition's numbers."""
    return tuple([each[place] for each in columns])


def passed(ends: Sequence[int], at_ms: Sequence[int], offset: int) -> tuple[int | None, int | None]:
    """Between which looks a log's end went beyond an offset: (the last when it had not, the first when it had).

    The first is None if it always had, the second if it never has. ``ends`` do not fall, but for -1 where unknown.
    """
    place = bisect_right(ends, offset)
    if place == len(ends):
        return None, None
    not_yet = at_ms[place - 1] if place and ends[place - 1] != UNKNOWN else None
    return not_yet, at_ms[place]
