"""One look after the other at groups of a cluster, and what they mean: `rota.admin` asks, `rota.monitor` thinks.

What a look costs, beside the groups, commits and ends: for partitions that are behind, and whose commit has moved since
the last look, the header of one record batch each, at most ``headers`` a look, in one Fetch request for each broker and
turn. Partitions that do not get their turn have a lag in time from what earlier looks saw, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.admin.scan import Depth, scan
from rota.model import RotaError
from rota.monitor.level import DEFAULT, Thresholds
from rota.monitor.looks import Looks
from rota.monitor.view import GroupView

if TYPE_CHECKING:
    from rota.admin import Admin, Position
    from rota.monitor.facts import Snapshot

__all__ = ["HEADERS", "Looking", "Seen"]

HEADERS = 2_000
"""Batch headers that a look may ask for, unless told otherwise."""
TURNS = 8
"""How often a look may ask for headers: several groups in one partition, and transactions' markers, need several."""
STEPS = 4
"""How far a search for a timestamp goes in one look; the next look goes on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found by the last look that found anything, and whether the last one failed.

    ``number`` counts looks from 1, failed ones too; 0 is before the first. ``failure`` is why the last one found
    nothing (``is_blind``), or not all; then ``views`` are older than the look (each says when it is from).
    """

    number: int = 0
    views: Mapping[str, GroupView] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    failure: RotaError | None = None
    is_blind: bool = False


class Looking:
    """Looks at groups and remembers. Not for several threads.

    ``groups``: which (None: all); a callable is asked before each look. ``headers``: see above; with 0 no record is
    touched, and lag in time comes from a search over timestamps, which needs no permission to read.
    """

    def __init__(
        self,
        admin: Admin,
        *,
        groups: Collection[str] | Callable[[], Collection[str] | None] | None = None,
        window_s: float = 600.0,
        depth: Depth = Depth.SETTINGS,
        headers: int = HEADERS,
        thresholds: Thresholds = DEFAULT,
    ) -> None:
        self._admin = admin
        self._groups = groups if callable(groups) else lambda: groups
        self._depth = depth
        self._headers = headers
        self._looks = Looks(window_ms=round(window_s * 1_000), thresholds=thresholds)
        self._seen = Seen()

    def look(self) -> Seen:
        """One more look; whatever fails is in what it returns."""
        before = self._seen
        try:
            snapshot = scan(self._admin, self._groups(), depth=self._depth)
        except RotaError as error:
            self._seen = Seen(before.number + 1, before.views, before.snapshot, error, is_blind=True)
            return self._seen
        failure = next(iter(snapshot.failures.values()), None)
        try:
            self._learn(snapshot)
        except RotaError as error:
            failure = failure or error
        self._seen = Seen(before.number + 1, self._looks.look(snapshot), snapshot, failure)
        return self._seen

    def _learn(self, snapshot: Snapshot) -> None:
        """Ask what lag in time needs."""
        left = self._headers
        for _ in range(TURNS):
            asked = self._looks.wanted(snapshot, left) if left > 0 else {}
            if not asked:
                break
            left -= len(asked)
            self._looks.told(snapshot, asked, self._admin.batches(asked))
        for _ in range(STEPS):
            times = self._looks.wanted_times(snapshot, HEADERS, all_of_them=not self._headers)
            if not times:
                break
            answers = self._admin.positions(times, times)
            self._looks.told_times(
                snapshot, times, {part: _found(answer) for part, answer in answers.items()}
            )


def _found(answer: Position | RotaError) -> tuple[int, int] | RotaError | None:
    if isinstance(answer, RotaError):
        return answer
    if answer.offset is None or answer.timestamp_ms is None:
        return None
    return answer.offset, answer.timestamp_ms
