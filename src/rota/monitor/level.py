"""What a lag does: caught up, stable, falling, growing or very large. Judged from a window of looks.

One look says nothing: a consumer that commits every five seconds is five seconds of records behind just before, and
caught up just after. So the older half of a window is compared with the newer one: a lag grows when the mean of the
newer half is greater by more than chance would have it (two and a half standard errors), and by more than a hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul

from rota.monitor.view import Level, Rates

__all__ = ["DEFAULT", "Thresholds", "judge", "rates_of", "rates_of_nothing", "trend"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where one level ends and the next begins."""

    caught_up_s: float = 10.0
    """No more left than was produced in this time: caught up, whatever the trend."""
    very_large_s: float = 900.0
    """Later than this: very large."""
    very_large_records: int = 100_000
    """Where nobody knows how late it is: more than this is very large."""
    least_looks: int = 4
    least_span_ms: int = 15_000
    """A window of fewer looks, or shorter, does not tell a trend: three commits of a client that commits every 5 s."""
    least_change: float = 0.01
    """From one half of the window to the other, as a part of the lag."""
    errors: float = 2.5
    """How many standard errors are more than chance."""


DEFAULT = Thresholds()


def trend(lags: Sequence[int], thresholds: Thresholds = DEFAULT) -> int:
    """1 for growing, -1 for falling, 0 for neither; ``lags`` in records, oldest first."""
    half = len(lags) // 2
    older, newer = lags[:half], lags[-half:]
    before, after = sum(older) / half, sum(newer) / half
    change = abs(after - before)
    if change <= thresholds.least_change * max(before, after):
        return 0
    spread = sum(map(mul, older, older)) - half * before * before
    spread += sum(map(mul, newer, newer)) - half * after * after
    error = sqrt(max(0.0, spread) / (half - 1) / half) if half > 1 else 0.0
    if change <= thresholds.errors * error:
        return 0
    return 1 if after > before else -1


def judge(
    lags: Sequence[int],
    at_ms: Sequence[int],
    produced_per_s: float | None,
    late_s: float | None,
    thresholds: Thresholds = DEFAULT,
) -> tuple[Level, int]:
    """The level, and the trend (see `trend`; 0 too where there are too few looks, and of who is caught up).

    ``lags`` are in records and ``at_ms`` when they were looked at, oldest first, without gaps; ``late_s`` is how late
    it is now, if somebody knows.
    """
    if len(lags) < 2:
        return Level.UNKNOWN, 0
    if 0 in lags[-2:]:
        return Level.CAUGHT_UP, 0
    enough = len(lags) >= thresholds.least_looks and at_ms[-1] - at_ms[0] >= thresholds.least_span_ms
    if enough and produced_per_s and lags[-1] <= produced_per_s * thresholds.caught_up_s:
        return Level.CAUGHT_UP, 0
    way = trend(lags, thresholds) if enough else 0
    if late_s is None and min(lags[-2:]) > thresholds.very_large_records:
        return Level.VERY_LARGE, way
    if late_s is not None and late_s > thresholds.very_large_s:
        return Level.VERY_LARGE, way
    if not enough:
        return Level.UNKNOWN, 0
    return (Level.STABLE, Level.GROWING, Level.FALLING)[way], way


def rates_of_nothing(
    lag: int, at_ms: Sequence[int], late_s: float | None, thresholds: Thresholds = DEFAULT
) -> Rates:
    """The same where nothing came, nothing went and something is left: always the same few objects."""
    level, _ = judge((lag, lag), at_ms, None, late_s, thresholds)
    if level is Level.UNKNOWN and len(at_ms) >= thresholds.least_looks:
        level = Level.STABLE if at_ms[-1] - at_ms[0] >= thresholds.least_span_ms else level
    return _STANDING[level]


_STANDING = {level: Rates(0.0, 0.0, 0.0 if level is Level.CAUGHT_UP else None, level) for level in Level}


def rates_of(
    lags: Sequence[int],
    at_ms: Sequence[int],
    produced_per_s: float | None,
    consumed_per_s: float | None,
    late_s: float | None,
    thresholds: Thresholds = DEFAULT,
) -> Rates:
    """Level and ETA with the rates of a window (records a second)."""
    level, way = judge(lags, at_ms, produced_per_s, late_s, thresholds)
    eta: float | None = None
    if lags and lags[-1] == 0:
        eta = 0.0
    elif way < 0 and produced_per_s is not None and consumed_per_s is not None:
        gain = consumed_per_s - produced_per_s
        eta = lags[-1] / gain if gain > 0 else None
    return Rates(produced_per_s, consumed_per_s, eta, level)
