"""Lag of several partitions together: of a member, a topic, a group."""

from __future__ import annotations

from collections.abc import Sequence

from rota.monitor.level import Thresholds, rates_of
from rota.monitor.time_lag import CAUGHT_UP
from rota.monitor.view import PartitionView, Quality, Rates, TimeLag, Totals

__all__ = ["latest", "total"]


def total(
    views: Sequence[PartitionView],
    lags: Sequence[Sequence[int]],
    at_ms: Sequence[int],
    thresholds: Thresholds,
) -> Totals:
    """``lags``: of each of these partitions the lags of the window's looks, -1 for unknown; ``at_ms``: their times."""
    known = [view for view in views if view.lag is not None]
    uncommitted = sum(view.commit is None for view in views)
    behind = [view for view in known if view.lag]
    lag = sum(view.lag or 0 for view in behind)
    time = latest(behind) if known else TimeLag(None)
    return Totals(
        lag=lag,
        partitions=len(views),
        uncommitted=uncommitted,
        unknown=len(views) - len(known) - uncommitted,
        worst=max(behind, key=_lag).partition if behind else None,
        time=time,
        rates=_rates(known, lags, at_ms, time.seconds, thresholds),
    )


def _lag(view: PartitionView) -> int:
    return view.lag or 0


def latest(behind: Sequence[PartitionView]) -> TimeLag:
    """The lag in time of the latest of these; at least that, where not every one's is known."""
    if not behind:
        return CAUGHT_UP
    timed = [view.time for view in behind if view.time.seconds is not None]
    delays = [view.time.event_delay_s for view in behind if view.time.event_delay_s is not None]
    delay = max(delays, default=None)
    if not timed:
        worst = max(behind, key=_lag).time
        return TimeLag(None, delay, worst.method, worst.quality)
    found = max(timed, key=_seconds)
    quality = found.quality
    if len(timed) < len(behind) or any(time.quality is Quality.AT_LEAST for time in timed):
        quality = Quality.AT_LEAST
    return TimeLag(found.seconds, delay, found.method, quality)


def _seconds(time: TimeLag) -> float:
    return time.seconds or 0.0


def _rates(
    known: Sequence[PartitionView],
    lags: Sequence[Sequence[int]],
    at_ms: Sequence[int],
    late_s: float | None,
    thresholds: Thresholds,
) -> Rates:
    produced = [rate for view in known if (rate := view.rates.produced_per_s) is not None]
    consumed = [rate for view in known if (rate := view.rates.consumed_per_s) is not None]
    # A partition that was not there all the time would look as if the lag had grown when it came.
    whole = [series for series in lags if series[0] >= 0 and min(series) >= 0]
    if not known:
        return Rates()
    if len(whole) < len(known) and known:
        whole = _common(lags)
    sums = [sum(column) for column in zip(*whole, strict=True)] if whole else []
    return rates_of(
        sums,
        at_ms[len(at_ms) - len(sums) :],
        sum(produced) if produced else None,
        sum(consumed) if consumed else None,
        late_s,
        thresholds,
    )


def _common(lags: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Of the partitions whose lag is known now, the looks from which on all are known."""
    now = [series for series in lags if series and series[-1] >= 0]
    first = 0
    for series in now:
        for place in range(len(series) - 1, -1, -1):
            if series[place] < 0:
                first = max(first, place + 1)
                break
    return [series[first:] for series in now]
