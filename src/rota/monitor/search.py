"""A record's timestamp without reading it: by asking at which offset given times begin (ListOffsets).

The answer to "which is the first offset whose timestamp is t or later" tells for any t on which side of it the
record at a position is. A binary search over its age, in the ratio, finds it to a fiftieth in about a dozen rounds, and
what was found stays true while the commit stays; when it moves on, the record cannot be older than before.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from rota.monitor.headers import Key
from rota.monitor.time_lag import AHEAD_MS

__all__ = ["Searches"]

PART = 0.02
"""A search ends when it knows an age to this part of it…"""
LEAST_MS = 1_000
"""…or to this."""
UNUSED_LOOKS = 3


@dataclass(slots=True)
class _Search:
    """``least``: the record is not older than this timestamp (ms); ``most``: it is older than this one."""

    least: int
    most: int | None
    used: int
    done: bool = False


class Searches:
    """All searches that go on or have ended; pure: times are arguments."""

    def __init__(self) -> None:
        self._searches: dict[Key, dict[int, _Search]] = {}
        self._look = 0

    def begin(self) -> None:
        """A new look: what nobody asks about any more is forgotten."""
        self._look += 1
        for key, found in list(self._searches.items()):
            for position in [
                each for each, search in found.items() if search.used < self._look - UNUSED_LOOKS
            ]:
                del found[position]
            if not found:
                del self._searches[key]

    def next(self, key: Key, position: int, now_ms: int) -> int | None:
        """The timestamp (ms) to ask for next, None when the search has ended."""
        search = self._at(key, position)
        if search.done:
            return None
        if search.most is None:
            return now_ms + AHEAD_MS
        youngest = max(LEAST_MS, now_ms - search.most)
        oldest = max(youngest, now_ms - search.least)
        return min(search.most - 1, max(search.least + 1, now_ms - round(sqrt(youngest * oldest))))

    def told(
        self, key: Key, position: int, asked_ms: int, answer: tuple[int, int] | None, now_ms: int
    ) -> None:
        """``answer``: the first offset whose timestamp is ``asked_ms`` or later, and its timestamp; None for none."""
        search = self._at(key, position)
        if answer is None or answer[0] > position:
            search.most = asked_ms if search.most is None else min(search.most, asked_ms)
        else:
            search.least = max(search.least, answer[1])
            if (
                answer[0] == position or search.most is None
            ):  # itself; or it is in the future, and no search helps
                search.most, search.done = search.least, True
                return
        width = search.most - search.least
        search.done = width <= max(LEAST_MS, PART * (now_ms - search.least))

    def found(self, key: Key, position: int) -> tuple[int, int] | None:
        """Between which timestamps (ms) the record's is, once a search has ended; -1 if it has none."""
        known = self._searches.get(key)
        search = known.get(position) if known else None
        if search is None:
            return None
        search.used = self._look
        if not search.done:
            return None
        if search.least == 0:
            return -1, -1
        assert search.most is not None
        return search.least, search.most

    def _at(self, key: Key, position: int) -> _Search:
        known = self._searches.setdefault(key, {})
        search = known.get(position)
        if search is None:
            before = [each for each in known if each < position]
            least = known[max(before)].least if before else 0
            search = known[position] = _Search(least, None, self._look)
        search.used = self._look
        return search
