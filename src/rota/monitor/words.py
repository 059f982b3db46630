"""Numbers, durations and judgements as a person reads them, in as few letters as make them clear."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from rota.model import count_of
from rota.monitor.findings import Certainty, Severity
from rota.monitor.view import Level, Method, Quality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.monitor.findings import Finding
    from rota.monitor.view import GroupView, TimeLag

__all__ = [
    "CERTAINTY_WORDS",
    "LEVEL_SIGNS",
    "QUALITY_WORDS",
    "SEVERITY_SIGNS",
    "Tone",
    "age",
    "count",
    "eta_text",
    "finding_text",
    "lag_pieces",
    "lag_text",
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


class Tone(Enum):
    """How a piece of a line is drawn, where there are colours."""

    PLAIN = auto()
    DIM = auto()
    LEVEL = auto()
    """As its level is."""
    STRONG = auto()
    """The same, and bold."""


def lag_pieces(view: GroupView) -> list[tuple[str, Tone]]:
    """A group's lag in one line: records, time and how it is known, level, rates, when it will be gone."""
    totals, rates = view.totals, view.totals.rates
    pieces = [(count(totals.lag), Tone.STRONG), (f" record{'' if totals.lag == 1 else 's'}", Tone.PLAIN)]
    if totals.time.seconds is not None and rates.level is not Level.CAUGHT_UP:
        pieces += [(", ", Tone.PLAIN), (time_text(totals.time), Tone.STRONG), (" behind", Tone.PLAIN)]
        pieces.append((f" ({method_text(totals.time)})", Tone.DIM))
    pieces += [("  ", Tone.PLAIN), (level_text(rates.level), Tone.LEVEL)]
    flow = f"  in {per_second(rates.produced_per_s)}/s, out {per_second(rates.consumed_per_s)}/s"
    eta = eta_text(view)
    pieces.append((f"{flow}, {eta}" if eta else flow, Tone.PLAIN))
    if totals.uncommitted:
        pieces.append((f"  {count_of(totals.uncommitted, 'partition')} without a commit", Tone.DIM))
    if totals.unknown:
        pieces.append((f"  {count_of(totals.unknown, 'partition')} unknown", Tone.DIM))
    return pieces


def lag_text(view: GroupView) -> str:
    """The same without colours: ``812 records, 3.1s behind (record)  ↑ growing  in 410/s, out 96/s``."""
    return "".join(text for text, _ in lag_pieces(view))


def finding_text(finding: Finding) -> str:
    """One line: ``! D06 1 of 4 members has no partition: …``."""
    return f"{SEVERITY_SIGNS[finding.severity]} {finding.rule} {finding.words}"


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
