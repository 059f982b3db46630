"""The looks that the doctor goes by: few of a long time, and what did not change between them is there once.

A look at tens of thousands of partitions weighs many megabytes, and a screen that is left open looks every two seconds.
What rules want of old looks is little: where commits and the beginnings of logs were, for how long something has been
as it is. Only of the newest ones do they want each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from rota.monitor.facts import Snapshot

__all__ = ["FEWEST", "MOST", "MOST_FACTS", "KeptLooks"]

MOST: Final = 30
FEWEST: Final = 5
MOST_FACTS: Final = 600_000
"""So many partitions and commits, counted in each look anew, are kept together: some hundred megabytes at worst, where
all of them move. From 60,000 partitions on that would be less than FEWEST looks, and rules need those: of half a
million partitions that all move they weigh about a gigabyte.
"""
NEWEST: Final = 3
"""So many of the newest looks are kept whatever was before; more where there is room."""
_K = TypeVar("_K")
_V = TypeVar("_V")


class KeptLooks:
    """Looks of the last ``window_ms``, oldest first; the newest is always there. Not for several threads.

    Up to MOST of them are kept, fewer of large clusters. Where there are more, old ones go so that those that stay are
    spread over the window.
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._looks: list[Snapshot] = []

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(self._looks)

    def __len__(self) -> int:
        return len(self._looks)

    @property
    def newest(self) -> Snapshot:
        """The last one; there must be one."""
        return self._looks[-1]

    def add(self, look: Snapshot) -> None:
        """One more; if its clock was set back, those that would be after it are gone."""
        oldest_ms = look.at_ms - self._window_ms
        self._looks = [each for each in self._looks if oldest_ms <= each.at_ms < look.at_ms]
        self._looks.append(_sharing(look, self._looks[-1]) if self._looks else look)
        most = max(FEWEST, min(MOST, MOST_FACTS // max(1, _weight(look))))
        while len(self._looks) > most:
            del self._looks[self._least(most)]

    def _least(self, most: int) -> int:
        """The place of the one that can go first: of the old ones the first that is too close to the one before."""
        newest = max(NEWEST, most // 5)
        gap_ms = self._window_ms / (most - newest)
        old = self._looks[:-newest]
        for place in range(1, len(old)):
            if old[place].at_ms - old[place - 1].at_ms < gap_ms:
                return place
        return 0


def _weight(look: Snapshot) -> int:
    return len(look.partitions) + sum(map(len, look.commits.values()))


def _sharing(look: Snapshot, before: Snapshot) -> Snapshot:
    """The same look; what is as it was before is what was there before, and not another like it."""
    commits = {
        name: _same(each, before.commits[name]) if name in before.commits else each
        for name, each in look.commits.items()
    }
    return replace(
        look,
        groups=_same(look.groups, before.groups),
        commits=_same(commits, before.commits),
        partitions=_same(look.partitions, before.partitions),
        topics=_same(look.topics, before.topics),
    )


def _same(now: Mapping[_K, _V], before: Mapping[_K, _V]) -> Mapping[_K, _V]:
    """``now``, with the values of ``before`` that are equal; ``before`` itself if all are."""
    if now is before:
        return before
    made = {key: old if (old := before.get(key)) == value else value for key, value in now.items()}
    whole = len(made) == len(before) and all(made[key] is before.get(key) for key in made)
    return before if whole else made
