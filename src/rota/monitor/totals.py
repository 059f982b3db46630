"""Lag of several partitions together: of a member, a topic, a group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rota.monitor.level import Thresholds, rates_of, rates_of_nothing
from rota.monitor.time_lag import CAUGHT_UP
from rota.monitor.view import PartitionView, Quality, Rates, TimeLag, Totals

__all__ = ["latest", "sum_of_known", "total"]


def total(
    views: Sequence[PartitionView],
    sums: Callable[[], Sequence[int]],
    at_ms: Sequence[int],
    thresholds: Thresholds,
) -> Totals:
    """``sums``: the lags of these partitions together at the last of the looks of ``at_ms``; asked for when needed."""
    known = [view for view in views if view.lag is not None]
    behind = [view for view in known if view.lag]
    uncommitted = sum([view.commit is None for view in views]) if len(known) < len(views) else 0
    time = latest(behind) if known else TimeLag(None)
    lag = sum([view.lag or 0 for view in behind])
    return Totals(
        lag=lag,
        partitions=len(views),
        uncommitted=uncommitted,
        unknown=len(views) - len(known) - uncommitted,
        worst=max(behind, key=_lag).partition if behind else None,
        time=time,
        rates=_rates([view.rates for view in known], lag, sums, at_ms, time.seconds, thresholds),
    )


def _lag(view: PartitionView) -> int:
    return view.lag or 0


def latest(behind: Sequence[PartitionView]) -> TimeLag:
    """The lag in time of the latest of these; at least that, where not every one's is known."""
    if not behind:
        return CAUGHT_UP
    times = [view.time for view in behind]
    timed = [time for time in times if time.seconds is not None]
    delay = max([time.event_delay_s for time in times if time.event_delay_s is not None], default=None)
    if not timed:
        worst = max(behind, key=_lag).time
        return TimeLag(None, delay, worst.method, worst.quality)
    found = max(timed, key=_seconds)
    quality = found.quality
    if len(timed) < len(behind) or Quality.AT_LEAST in [time.quality for time in timed]:
        quality = Quality.AT_LEAST
    return TimeLag(found.seconds, delay, found.method, quality)


def _seconds(time: TimeLag) -> float:
    return time.seconds or 0.0


def _rates(
    rates: Sequence[Rates],
    lag: int,
    sums: Callable[[], Sequence[int]],
    at_ms: Sequence[int],
    late_s: float | None,
    thresholds: Thresholds,
) -> Rates:
    produced = [each.produced_per_s for each in rates]
    consumed = [each.consumed_per_s for each in rates]
    if not rates:
        return Rates()
    if not any(produced) and not any(consumed) and None not in produced and None not in consumed:
        return rates_of_nothing(lag, at_ms, late_s, thresholds)
    lags = sums()
    since_ms = at_ms[len(at_ms) - len(lags) :]
    return rates_of(lags, since_ms, sum_of_known(produced), sum_of_known(consumed), late_s, thresholds)


def sum_of_known(rates: Iterable[float | None]) -> float | None:
    """None where none is known."""
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
