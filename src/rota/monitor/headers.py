"""The batch headers that are known, and which are still to be asked for.

A header answers for every position from the offset that it was asked for to the last of its batch: a commit that
moves within a batch, and other groups there, need no new one. Keys hold the topic's id, because a deleted topic's
namesake begins at offset 0 again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import BatchFacts

__all__ = ["Headers", "Key", "key_of"]

Key = tuple[str, int]
"""A topic's id (its name where the cluster has none) and a partition."""

REFUSED_MS = 60_000
"""How long a partition that could not be read is let alone."""
NEWEST_MS = 60_000
"""How old the newest record's timestamp may be where records keep coming."""
UNUSED_LOOKS = 3
"""A header that nobody needed for so many looks is forgotten."""


@dataclass(slots=True)
class _Known:
    """A header: good for offsets ``first`` to ``last``; ``used`` is the look that needed it last."""

    first: int
    last: int
    header: BatchFacts
    used: int


class Headers:
    """A cache; all of it pure, the look's number and time are arguments."""

    def __init__(self) -> None:
        self._known: dict[Key, list[_Known]] = {}
        self._newest: dict[Key, tuple[int, int, int]] = {}
        """The log's end, the greatest timestamp of the batch before it, and when that was asked for."""
        self._refused: dict[Key, tuple[int, RotaError]] = {}
        self._look = 0

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def begin(self, now_ms: int) -> None:
        """A new look: what nobody needs any more is forgotten."""
        self._look += 1
        if self._look % UNUSED_LOOKS == 0:
            least = self._look - UNUSED_LOOKS
            for key, known in list(self._known.items()):
                kept = [each for each in known if each.used >= least]
                if kept:
                    self._known[key] = kept
                else:
                    del self._known[key]
                    self._newest.pop(key, None)
        for key in [key for key, (until, _) in self._refused.items() if until <= now_ms]:
            del self._refused[key]

    def refusal(self, key: Key) -> RotaError | None:
        """Why this partition's records cannot be had, if they were asked for of late."""
        found = self._refused.get(key)
        return found[1] if found else None

    def at(self, key: Key, position: int) -> BatchFacts | None:
        """The header of the first batch at or behind a position."""
        known = self._known.get(key)
        if known is None:
            return None
        place = bisect_left(known, position, key=_last)
        if place == len(known) or known[place].first > position:
            return None
        known[place].used = self._look
        return known[place].header

    def beyond_markers(self, key: Key, position: int, end: int) -> tuple[int, BatchFacts | None]:
        """The first position that is not known to be a marker of a transaction, and the header there, if known.

        With ``end`` nothing but markers is left.
        """
        while position < end:
            header = self.at(key, position)
            if header is None or not header.control:
                return position, header
            position = header.last_offset + 1
        return end, None

    def newest_ms(self, key: Key) -> int | None:
        """The greatest timestamp of the batch that was the last one when it was asked for, if known."""
        found = self._newest.get(key)
        return found[1] if found else None

    def wants_newest(self, key: Key, end: int, now_ms: int) -> bool:
        """Whether to ask for the last batch: it is another one than is known, and that has been so for a while."""
        found = self._newest.get(key)
        return found is None or (found[0] != end and now_ms - found[2] >= NEWEST_MS)

    def told(self, key: Key, asked: int, end: int, found: BatchFacts | RotaError, now_ms: int) -> None:
        """The answer to a question for the header at ``asked``, and the partition's end then."""
        if isinstance(found, RotaError):
            self._refused[key] = (now_ms + REFUSED_MS, found)
            return
        if found.last_offset < asked:
            return  # not what was asked for: nothing is learnt of it
        if found.last_offset >= end - 1:
            self._newest[key] = (end, found.max_timestamp_ms, now_ms)
        known = self._known.setdefault(key, [])
        place = bisect_left(known, found.last_offset, key=_last)
        new = _Known(min(asked, found.base_offset), found.last_offset, found, self._look)
        if place < len(known) and known[place].last == found.last_offset:
            new.first = min(new.first, known[place].first)
            known[place] = new
        else:
            known.insert(place, new)


def _last(known: _Known) -> int:
    return known.last


def key_of(part: TopicPartition, ids: Mapping[str, str]) -> Key:
    """``ids``: topics' ids by name."""
    return ids.get(part.topic) or part.topic, part.partition
