"""Who keeps up and who falls behind: what the rules about speed have in common.

Commits come in steps (of 5 s, with the usual settings), so a lag that is only as large as what is consumed between
two of them says nothing. Falling behind is having more than `WORK_S` seconds of work waiting, and its growing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rota.monitor.findings import Certainty
from rota.monitor.view import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.monitor.doctor.evidence import Evidence
    from rota.monitor.view import PartitionView

__all__ = ["WORK_S", "Pace", "falling_behind", "pace_of", "per_s", "readable_lag", "share", "surely"]

WORK_S: Final = 10
"""Less waiting work than this is the rhythm of commits."""
MARGIN: Final = 1.05
"""Rates of a few looks are not exact."""


class Pace(NamedTuple):
    """Some partitions together: records that came and that were committed, per second, and the lag."""

    produced_per_s: float
    consumed_per_s: float
    lag: int

    @property
    def work_s(self) -> float:
        """How long the lag takes at this pace, in seconds."""
        return self.lag / self.consumed_per_s if self.consumed_per_s > 0 else float("inf")

    @property
    def too_slow(self) -> bool:
        """Whether it works, and gets further behind all the same."""
        return (
            self.consumed_per_s > 0
            and self.produced_per_s > MARGIN * self.consumed_per_s
            and self.work_s >= WORK_S
        )


def readable_lag(part: PartitionView) -> int:
    """The lag without what waits behind an open transaction; 0 where it is not known."""
    return max(0, (part.lag or 0) - part.blocked_by_transaction)


def pace_of(parts: Iterable[PartitionView]) -> Pace | None:
    """Of those whose rates are known; None where none are."""
    known = [
        part
        for part in parts
        if part.rates.produced_per_s is not None and part.rates.consumed_per_s is not None
    ]
    if not known:
        return None
    return Pace(
        sum(part.rates.produced_per_s or 0.0 for part in known),
        sum(part.rates.consumed_per_s or 0.0 for part in known),
        sum(readable_lag(part) for part in known),
    )


def falling_behind(evidence: Evidence) -> list[PartitionView]:
    """Partitions that are read, whose lag grows, and that have more waiting than the rhythm of commits explains.

    Where the looks are too few for a level, rates alone decide; see `surely`.
    """
    return [
        part
        for part in evidence.view.partitions
        if part.member is not None
        and part.rates.level not in (Level.CAUGHT_UP, Level.STABLE, Level.FALLING)
        and (pace := pace_of([part])) is not None
        and pace.too_slow
    ]


def surely(parts: Iterable[PartitionView]) -> Certainty:
    """How sure it is that these fall behind: likely where their level says so, else a guess."""
    grown = (Level.GROWING, Level.VERY_LARGE)
    return Certainty.LIKELY if all(part.rates.level in grown for part in parts) else Certainty.GUESS


def per_s(rate: float) -> str:
    """``0.4/s``, ``12/s``, ``1,204/s``."""
    return f"{rate:.1f}/s" if 0 < rate < 9.95 else f"{rate:,.0f}/s"


def share(part: float, whole: float) -> str:
    """``61 %``."""
    return f"{100 * part / whole:.0f} %"
