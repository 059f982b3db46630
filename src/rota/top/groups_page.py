"""The list of all groups: its columns, cells, orders and filter, without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rota.model import count_of
from rota.monitor.cast import natural
from rota.monitor.findings import Severity, worst
from rota.monitor.view import Level
from rota.monitor.words import (
    LEVEL_SIGNS,
    SEVERITY_SIGNS,
    age,
    count,
    level_text,
    per_second,
    sparkline,
    time_text,
)
from rota.top.head import LEVEL_STYLES, SEVERITY_STYLES
from rota.top.table import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from rota.monitor.view import GroupView
    from rota.top.table import Cell

__all__ = [
    "COLUMNS",
    "ORDERS",
    "Order",
    "cells",
    "chosen",
    "totals",
]

COLUMNS: Final = (
    Column("name", "GROUP", 16, least=16),
    Column("type", "TYPE", 8, rank=7),
    Column("state", "STATE", 14),
    Column("members", "MEM", 5, right=True, rank=2),
    Column("partitions", "PARTS", 7, right=True, rank=5),
    Column("lag", "LAG", 9, right=True),
    Column("time", "TIME LAG", 9, right=True),
    Column("in", "IN/s", 7, right=True, rank=6),
    Column("out", "OUT/s", 7, right=True, rank=6),
    Column("trend", "TREND", 10, rank=8),
    Column("level", "LEVEL", 12, rank=4),
    Column("finding", "FINDING", 14, rank=3, grows=True),
)

LEAST_WORD: Final = 3

_BADNESS: Final = (
    Level.VERY_LARGE,
    Level.GROWING,
    Level.STABLE,
    Level.FALLING,
    Level.UNKNOWN,
    Level.CAUGHT_UP,
)
_SHORT_STATES: Final = {"PreparingRebalance": "Preparing", "CompletingRebalance": "Completing"}


class Order(NamedTuple):
    """A way to sort: its key on the keyboard, its name in ``:sort``, the column that it marks."""

    key: str
    name: str
    column: str
    value: Callable[[GroupView], tuple[object, ...]]
    """Smallest first."""


def _down(number: float | None) -> tuple[object, ...]:
    """The largest first, what is not known last."""
    return (1, 0) if number is None else (0, -number)


def _trouble(view: GroupView) -> tuple[object, ...]:
    found = worst(view.findings)
    return (
        len(Severity) if found is None else found.severity.rank,
        not view.facts.is_rebalancing,
        _BADNESS.index(view.totals.rates.level),
        *_down(view.totals.time.seconds),
        *_down(view.totals.lag),
    )


ORDERS: Final = (
    Order("F", "finding", "finding", _trouble),
    Order("N", "name", "name", lambda _view: ()),
    Order("S", "state", "state", lambda view: (not view.facts.is_rebalancing, view.facts.state)),
    Order("M", "members", "members", lambda view: _down(len(view.facts.members))),
    Order("P", "partitions", "partitions", lambda view: _down(len(view.partitions))),
    Order("L", "lag", "lag", lambda view: _down(view.totals.lag)),
    Order("T", "time", "time", lambda view: _down(view.totals.time.seconds)),
    Order("I", "in", "in", lambda view: _down(view.totals.rates.produced_per_s)),
    Order("O", "out", "out", lambda view: _down(view.totals.rates.consumed_per_s)),
)


def chosen(
    views: Iterable[GroupView], wanted: str, order: Order, *, upwards: bool = False
) -> list[GroupView]:
    """The groups that a filter leaves, in their order; equals by name."""
    found = [view for view in views if _matches(view, wanted)] if wanted.strip() else list(views)
    found.sort(key=lambda view: natural(view.facts.group))
    if order.name == "name":
        return found[::-1] if upwards else found
    return sorted(found, key=order.value, reverse=upwards)


def _matches(view: GroupView, wanted: str) -> bool:
    """Every word of the filter is in the name, or begins a word of the rest; one with ``!`` in front does not."""
    facts = view.facts
    found = worst(view.findings)
    rest = f"{facts.type} {facts.state} {view.totals.rates.level.value}"
    if found is not None:
        rest += f" {found.rule} {found.name.replace('-', ' ')} {found.severity.value}"
    name, others = facts.group.lower(), rest.lower().split()
    return all(
        _is_there(part.removeprefix("!"), name, others) is not part.startswith("!")
        for part in wanted.lower().split()
    )


def _is_there(part: str, name: str, others: Collection[str]) -> bool:
    return part in name or any(len(part) >= LEAST_WORD and each.startswith(part) for each in others)


def cells(view: GroupView, now_ms: int) -> dict[str, Cell]:
    """One row."""
    facts, totals_, rates = view.facts, view.totals, view.totals.rates
    found = worst(view.findings)
    style = LEVEL_STYLES[rates.level]
    more = f" +{len(view.findings) - 1}" if len(view.findings) > 1 else ""
    return {
        "name": (facts.group, "bold" if facts.is_rebalancing else ""),
        "type": (facts.type.lower(), ""),
        "state": _state(view, now_ms),
        "members": (count(len(facts.members)), ""),
        "partitions": (count(len(view.partitions)), ""),
        "lag": (f"{LEVEL_SIGNS[rates.level]} {_lag(view)}", style),
        "time": (time_text(totals_.time), style),
        "in": (per_second(rates.produced_per_s), ""),
        "out": (per_second(rates.consumed_per_s), ""),
        "trend": (sparkline([lag for _, lag, _, _ in view.history], 10), style),
        "level": (level_text(rates.level), style),
        "finding": ("", "")
        if found is None
        else (
            f"{SEVERITY_SIGNS[found.severity]} {found.rule}{more} {found.name.replace('-', ' ')}",
            SEVERITY_STYLES[found.severity],
        ),
    }


def _lag(view: GroupView) -> str:
    known = view.totals.partitions - view.totals.uncommitted - view.totals.unknown
    return count(view.totals.lag) if known > 0 or not view.totals.partitions else "-"


def _state(view: GroupView, now_ms: int) -> Cell:
    facts = view.facts
    name = _SHORT_STATES.get(facts.state, facts.state)
    if not facts.is_rebalancing and view.rebalance is None:
        return name, "green" if facts.state == "Stable" else ""
    since_ms = view.rebalance.started_ms if view.rebalance is not None else facts.state_since_ms
    clock = "" if since_ms is None else f" {age((now_ms - since_ms) / 1000)}"
    return f"{name}{clock}", "bold yellow"


def totals(views: Collection[GroupView]) -> list[str]:
    """What there is to say about all of them."""
    rebalancing = sum(view.facts.is_rebalancing for view in views)
    found = [worst(view.findings) for view in views]
    parts = [count_of(len(views), "group")]
    if rebalancing:
        parts.append(f"{rebalancing:,} rebalancing")
    for severity in (Severity.CRITICAL, Severity.WARNING):
        number = sum(finding is not None and finding.severity is severity for finding in found)
        if number:
            parts.append(f"{SEVERITY_SIGNS[severity]} {number:,} {severity.value}")
    parts.append(f"lag {count(sum(view.totals.lag for view in views))}")
    return parts
