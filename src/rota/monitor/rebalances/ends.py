"""How far partitions reached when, from looks: how many records came while they waited."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Final

from rota.model import TopicPartition

__all__ = ["Ends"]

MOST_LOOKS: Final = 300
MOST_PARTITIONS: Final = 4_000
"""Those that were looked at last: a hundred megabytes at worst."""


class Ends:
    """The ends of partitions (offsets of the next records) at the times of looks, the last few hundred of each."""

    def __init__(self) -> None:
        self._seen: dict[TopicPartition, deque[tuple[int, int]]] = {}

    def look(self, ends: Mapping[TopicPartition, int], at_ms: int) -> None:
        """One more look. After a clock was set back what was seen before is of no use: it is forgotten."""
        for partition, end in ends.items():
            seen = self._seen.pop(partition, None)
            if seen is None or seen[-1][0] > at_ms:
                seen = deque(maxlen=MOST_LOOKS)
            self._seen[partition] = seen
            if len(seen) > 1 and seen[-1][1] == seen[-2][1] == end:
                seen.pop()  # of a time in which nothing came its first and last look are enough
            seen.append((at_ms, end))
        while len(self._seen) > MOST_PARTITIONS:
            del self._seen[next(iter(self._seen))]

    def between(self, partition: TopicPartition, since_ms: int, until_ms: int) -> int | None:
        """About how many records came; None where nobody looked before, or after."""
        seen = list(self._seen.get(partition, ()))
        first, last = _at(seen, since_ms), _at(seen, until_ms)
        return None if first is None or last is None else max(round(last - first), 0)


def _at(seen: list[tuple[int, int]], at_ms: int) -> float | None:
    """The end at a time between two looks."""
    index = bisect_right(seen, at_ms, key=lambda look: look[0])
    if index == 0 or (index == len(seen) and seen[-1][0] < at_ms):
        return None
    (before_ms, before), (after_ms, after) = seen[index - 1], seen[min(index, len(seen) - 1)]
    return before + (after - before) * (at_ms - before_ms) / max(after_ms - before_ms, 1)
