"""What happened in a group, as entries of a log: rebalances with their causes, and what befell whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rota.timeline.signs import sign_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.monitor.rebalances.told import Told
    from rota.timeline.account import Account
    from rota.timeline.history import Incident

__all__ = ["log_documents"]

MOST_ENTRIES: Final = 200
"""The newest."""
MOST_LINES: Final = 14
"""Of one entry."""


def log_documents(
    told: Sequence[Told], found: Sequence[Account], incidents: Sequence[Incident]
) -> list[dict[str, Any]]:
    """The newest first. ``found`` are all rebalances, ``told`` what is known of their causes, if anything."""
    entries = [_told(each) for each in told] or [_account(each) for each in found]
    entries += [
        _entry(item.at_ms, sign_of(item.kind), f"{item.consumer or 'the broker'} {item.words}")
        for item in incidents
    ]
    entries.sort(key=lambda entry: entry["at_ms"], reverse=True)
    return entries[:MOST_ENTRIES]


def _told(each: Told) -> dict[str, Any]:
    lines = each.lines()[1:]
    if each.account is None:
        return _entry(each.at_ms, "return", each.words, lines=lines)
    entry = _entry(each.at_ms, "rebalance", each.words, lines=lines)
    end_ms = each.account.rebalance.completed_ms
    sure = {verdict.certainty.value for verdict in each.verdicts}
    return entry | {
        "number": each.account.number,
        "end_ms": end_ms,
        "exact": each.exact,
        "most_ms": None if each.began_between_ms is None or end_ms is None else end_ms - each.since_ms,
        "certainty": next((word for word in ("guess", "likely") if word in sure), "certain"),
        "cost": each.cost.words,
    }


def _account(each: Account) -> dict[str, Any]:
    done = each.rebalance
    words = "; ".join((done.words, *done.also))
    entry = _entry(done.started_ms, "rebalance", words, lines=each.lines()[1:])
    return entry | {"number": each.number, "end_ms": done.completed_ms, "exact": done.reason is not None}


def _entry(at_ms: int, kind: str, words: str, *, lines: Sequence[str] = ()) -> dict[str, Any]:
    shown = [line.strip() for line in lines]
    if len(shown) > MOST_LINES:
        shown = [*shown[:MOST_LINES], f"and {len(shown) - MOST_LINES} more"]
    return {
        "at_ms": at_ms,
        "kind": kind,
        "words": words,
        "number": None,
        "end_ms": at_ms,
        "exact": True,
        "most_ms": None,
        "certainty": "certain",
        "cost": "",
        "lines": shown,
    }
