"""Tables for people, and everything for programs."""

from __future__ import annotations

from typing import Any

from bench.frame import Growth, Result

__all__ = ["as_json", "growth_table", "table"]


def table(results: list[Result], names: tuple[str, str] = ("Rota", "Kafka")) -> list[str]:
    """Medians side by side, their ratio, the spread of that, and the target."""
    width = max((len(_label(result)) for result in results), default=0)
    lines = [f"{'':{width}} {names[0]:>9} {names[1]:>9} {'ratio':>8} {'spread':>15} {'target':>8}  met"]
    for result in results:
        spread = result.spread
        spread_text = f"{_ratio(spread[0])} – {_ratio(spread[1])}" if spread else "–"
        target = result.figure.target
        target_text = (
            "" if target is None else f"{'≥' if result.figure.more_is_better else '≤'} {_ratio(target)}"
        )
        if result.figure.least is not None:
            target_text = f"≥ {result.figure.least:g}"
        if result.figure.most is not None:
            target_text = f"≤ {result.figure.most:g}"
        lines.append(
            f"{_label(result):{width}} {_value(result.median('rota')):>9} {_value(result.median('kafka')):>9} "
            f"{_ratio(result.ratio):>8} {spread_text:>15} {target_text:>8}  {_met(result.met)}"
        )
    return lines


def growth_table(growths: list[Growth]) -> list[str]:
    """One line a cost: its exponent over all sizes and over the upper half, and what n log n would show there."""
    width = max((len(f"{growth.name} ({growth.unit})") for growth in growths), default=0)
    lines = [f"{'Rota alone: cost':{width}} {'exponent':>9} {'late':>6} {'n log n':>8}  met  {'size: cost'}"]
    for growth in growths:
        points = ", ".join(f"{_count(size)}: {_value(cost)}" for size, cost in growth.points())
        lines.append(
            f"{f'{growth.name} ({growth.unit})':{width}} {growth.exponent:>9.2f} {growth.late_exponent:>6.2f} "
            f"{growth.allowed:>8.2f}  {_met(growth.met):4} {growth.of} {points}"
        )
    return lines


def as_json(results: list[Result], growths: list[Growth]) -> dict[str, Any]:
    return {
        "figures": [
            {
                "name": result.figure.name,
                "unit": result.figure.unit,
                "rota": result.median("rota"),
                "kafka": result.median("kafka"),
                "ratio": result.ratio,
                "spread": result.spread,
                "target": result.figure.target,
                "more_is_better": result.figure.more_is_better,
                "met": result.met,
                "samples": result.samples,
            }
            for result in results
        ],
        "growth": [
            {
                "name": growth.name,
                "unit": growth.unit,
                "of": growth.of,
                "exponent": growth.exponent,
                "late_exponent": growth.late_exponent,
                "allowed": growth.allowed,
                "met": growth.met,
                "costs": growth.costs,
            }
            for growth in growths
        ],
    }


def _label(result: Result) -> str:
    return f"{result.figure.name} ({result.figure.unit})"


def _met(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "NO"


def _value(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _count(size: int) -> str:
    return f"{size:,}"


def _ratio(ratio: float | None) -> str:
    """Below a tenth as a fraction."""
    if ratio is None:
        return "–"
    return f"1/{1 / ratio:.0f}" if 0 < ratio <= 0.13 else f"{ratio:.2f}"
