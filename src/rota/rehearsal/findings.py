"""What the doctor found while a lab ran: each finding with its time, as lines and for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rota.monitor.findings import Certainty
from rota.monitor.words import CERTAINTY_WORDS, SEVERITY_SIGNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.monitor.findings import Finding
    from rota.monitor.view import GroupView

__all__ = ["Found", "Noted", "finding_documents", "finding_lines"]

MOST_LINES = 8


@dataclass(frozen=True, slots=True)
class Noted:
    """A finding as it was told last, and from when to when it was, in milliseconds since 1970."""

    first_ms: int
    last_ms: int
    finding: Finding


class Found:
    """Takes views of one group, oldest first. A rule that falls silent and speaks again is noted twice."""

    def __init__(self) -> None:
        self._closed: list[Noted] = []
        self._open: dict[tuple[str, int], Noted] = {}
        self._view: GroupView | None = None

    def take(self, view: GroupView) -> None:
        """The group as it is now; the same view again costs nothing."""
        if view is self._view:
            return
        self._view = view
        told: dict[tuple[str, int], Noted] = {}
        for finding in view.findings:
            key = finding.rule, sum(rule == finding.rule for rule, _ in told)
            before = self._open.get(key)
            told[key] = Noted(view.at_ms if before is None else before.first_ms, view.at_ms, finding)
        self._closed += [noted for key, noted in self._open.items() if key not in told]
        self._open = told

    def all(self) -> list[Noted]:
        """The worst first, then in the order in which they came up."""
        noted = [*self._closed, *self._open.values()]
        return sorted(noted, key=lambda each: (each.finding.severity.rank, each.first_ms))


def finding_lines(noted: Sequence[Noted], start_ms: int) -> list[str]:
    """For people; times are counted from ``start_ms``. Nothing where nothing was found."""
    if not noted:
        return []
    lines = ["", "What the doctor found meanwhile (rota doctor --explain tells more of a rule):"]
    for each in noted[:MOST_LINES]:
        finding = each.finding
        since, until = (max(0, at_ms - start_ms) / 1000 for at_ms in (each.first_ms, each.last_ms))
        sure = "" if finding.certainty is Certainty.CERTAIN else f" ({CERTAINTY_WORDS[finding.certainty]})"
        what = f"{SEVERITY_SIGNS[finding.severity]} {finding.rule}"
        lines.append(f"  {what}  {since:.1f} to {until:.1f} s: {finding.words}{sure}")
    if len(noted) > MOST_LINES:
        lines.append(f"  and {len(noted) - MOST_LINES} more; --json has them all")
    return lines


def finding_documents(noted: Sequence[Noted]) -> list[dict[str, Any]]:
    """For programs: a finding as `rota doctor --json` writes it, with its times."""
    from rota.timeline.summary import to_plain

    return [{"first_ms": each.first_ms, "last_ms": each.last_ms, **to_plain(each.finding)} for each in noted]
