"""Numbers, durations and judgements as a person reads them, in as few letters as make them clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.monitor.findings import Certainty, Severity
from rota.monitor.view import Level, Method, Quality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.monitor.view import GroupView, TimeLag

__all__ = [
    "LEVEL_SIGNS",
    "QUALITY_WORDS",
    "SEVERITY_SIGNS",
    "age",
    "count",
    "eta_text",
    "level_text",
    "method_text",
    "per_second",
    "sparkline",
    "time_text",
]

LEVEL_SIGNS: Final[Mapping[Level, str]] = {
    Level.CAUGHT_UP: "✓",
    Level.STABLE: "→",
    Level.FALLING: "↓",
    Level.GROWING: "↑",
    Level.VERY_LARGE: "⇈",
    Level.UNKNOWN: "·",
}

SEVERITY_SIGNS: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "✖",
    Severity.WARNING: "!",
    Severity.INFO: "i",
}

QUALITY_WORDS: Final[Mapping[Quality, str]] = {
    Quality.EXACT: "exact",
    Quality.AT_LEAST: "at least: older records were removed before they were read",
    Quality.ABOUT: "about: between two looks, or by a batch's first record",
    Quality.CLOCK: "unknown: the records' timestamps are missing or in the future",
    Quality.UNKNOWN: "unknown",
}

CERTAINTY_WORDS: Final[Mapping[Certainty, str]] = {
    Certainty.CERTAIN: "certain",
    Certainty.LIKELY: "likely",
    Certainty.GUESS: "a guess",
}

_BARS: Final = "▁▂▃▄▅▆▇█"
_QUALITY_SIGNS: Final[Mapping[Quality, str]] = {Quality.AT_LEAST: "≥", Quality.ABOUT: "~"}


def count(number: int | None) -> str:
    """At most seven letters: ``1,204``, ``99,999``, ``123k``, ``12.3M``; ``-`` for what is not known."""
    if number is None:
        return "-"
    if abs(number) < 100_000:
        return f"{number:,}"
    for unit, size in (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12)):
        scaled = number / size
        if abs(scaled) < 99.95 and unit != "k":
            return f"{scaled:.1f}{unit}"
        if abs(scaled) < 999.5:
            return f"{scaled:.0f}{unit}"
    return f"{number:.1e}"


def age(seconds: float) -> str:
    """At most six letters: ``0.4s``, ``14s``, ``3m12s``, ``2h05m``, ``12d03h``, ``400d``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    if whole < 100 * 86_400:
        return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"
    return f"{whole // 86_400}d"


def time_text(lag: TimeLag) -> str:
    """A lag in time: ``14s``, ``≥14s`` and ``~14s`` for what is not exact, ``?`` for a clock that is wrong.

    ``-`` where nobody knows.
    """
    if lag.quality is Quality.CLOCK:
        return "?"
    if lag.seconds is None:
        return "-"
    if lag.method is Method.CAUGHT_UP:
        return "0s"
    return _QUALITY_SIGNS.get(lag.quality, "") + age(lag.seconds)


def method_text(lag: TimeLag) -> str:
    """By what a lag in time was found, in one word; ``-`` where it was not."""
    return "-" if lag.method is Method.NONE else lag.method.value


def per_second(rate: float | None) -> str:
    """``3.2``, ``410``, ``12.3k``; ``-`` where there were too few looks."""
    if rate is None:
        return "-"
    return f"{rate:.1f}" if 0 < rate < 9.95 else count(round(rate))


def level_text(level: Level) -> str:
    """``↑ growing``."""
    return f"{LEVEL_SIGNS[level]} {level.value}"


def eta_text(view: GroupView) -> str:
    """When the lag will be gone: ``gone in 9m00s``; "" where it is not going, or there is none."""
    eta_s = view.totals.rates.eta_s
    return f"gone in {age(eta_s)}" if eta_s else ""


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The last values as a row of bars, from 0 to the greatest; a space where one is not known.

    Where there are more than fit, each bar is the greatest of its share.
    """
    if width <= 0 or not values:
        return ""
    shown = _shares(values, width)
    top = max((value for value in shown if value is not None), default=0)
    bars = []
    for value in shown:
        if value is None:
            bars.append(" ")
        else:
            bars.append(_BARS[0] if top <= 0 else _BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))])
    return "".join(bars)


def _shares(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    size = -(-len(values) // width)
    cut = values[-size * width :]
    parts = [cut[start : start + size] for start in range(0, len(cut), size)]
    return [max((value for value in part if value is not None), default=None) for part in parts]
