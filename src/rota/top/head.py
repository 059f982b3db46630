"""How far behind a group is and what is wrong with it, in a line each with colours; `rota lab` draws them too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from rota.monitor.findings import Severity
from rota.monitor.view import Level
from rota.monitor.words import Tone, finding_text, lag_pieces, sparkline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.monitor.findings import Finding
    from rota.monitor.view import GroupView

__all__ = ["LEVEL_STYLES", "SEVERITY_STYLES", "finding_line", "lag_line"]

LEVEL_STYLES: Final[Mapping[Level, str]] = {
    Level.CAUGHT_UP: "green",
    Level.STABLE: "",
    Level.FALLING: "",
    Level.GROWING: "bold yellow",
    Level.VERY_LARGE: "bold red",
    Level.UNKNOWN: "",
}

SEVERITY_STYLES: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "",
}

LEAST_BARS: Final = 6
MOST_BARS: Final = 60


def lag_line(view: GroupView, width: int) -> Text:
    """Lag in records and in time, with how that is known, rates, ETA; a small chart where there is room."""
    style = LEVEL_STYLES[view.totals.rates.level]
    styles = {Tone.PLAIN: "", Tone.DIM: "dim", Tone.LEVEL: style, Tone.STRONG: f"bold {style}"}
    line = Text.assemble(*((text, styles[tone]) for text, tone in lag_pieces(view)))
    room = min(MOST_BARS, width - line.cell_len - len(" Lag  ") - 2)
    bars = sparkline([lag for _, lag, _, _ in view.history], room) if room >= LEAST_BARS else ""
    return Text.assemble((" Lag  ", "dim"), (bars, style or "cyan"), "  " if bars else "", line)


def finding_line(finding: Finding, more: str = "") -> Text:
    """What the doctor says in a line; ``more`` comes after it."""
    said = finding_text(finding)
    label = len(said) - len(finding.words)
    return Text.assemble((f" {said[:label]}", SEVERITY_STYLES[finding.severity]), said[label:], (more, "dim"))
