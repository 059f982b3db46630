"""The signs that mark single moments in the picture of a timeline, and how text is fitted in."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from rota.timeline.events import FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SIGNS", "draw_sign", "is_fatal", "safe", "sign_of", "wrapped"]

SIGNS: Final[Mapping[str, str]] = {
    "started": "consumer started",
    "stopped": "consumer stopped",
    "killed": "consumer killed",
    "frozen": "consumer frozen",
    "refused": "commit refused",
    "fault": "other fault",
    "healed": "fault over",
    "again": "records repeated",
    "lost": "records lost",
}
"""Each sign and what it means."""

_KINDS: Final[Mapping[str, str]] = {
    "started": "started",
    "stopped": "stopped",
    FaultKind.KILLED: "killed",
    FaultKind.CRASHED: "killed",
    FaultKind.FROZEN: "frozen",
    FaultKind.THAWED: "healed",
    FaultKind.RECONNECTED: "healed",
    FaultKind.COMMIT_REFUSED: "refused",
}

# Shapes around 0,0 within 10 by 10.
_SHAPES: Final[Mapping[str, str]] = {
    "started": '<path d="M-4 -5L5 0L-4 5Z" class="rota-sign"/>',
    "stopped": '<path d="M-4 -4H4V4H-4Z" class="rota-sign"/>',
    "killed": (
        '<path d="M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5" class="rota-halo" stroke-width="5.5" fill="none"/>'
        '<path d="M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5" class="rota-edge" stroke-width="2.5" fill="none"/>'
    ),
    "frozen": '<path d="M-4.5 -5H-1V5H-4.5ZM1 -5H4.5V5H1Z" class="rota-sign"/>',
    "refused": (
        '<circle r="4.5" class="rota-halo" stroke-width="5" fill="none"/>'
        '<path d="M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0 -4.5 0ZM-3 3L3 -3" class="rota-edge"'
        ' stroke-width="1.8" fill="none"/>'
    ),
    "fault": '<path d="M1 -6L-4 1H0L-1 6L4 -1H0Z" class="rota-sign"/>',
    "healed": '<circle r="4" class="rota-sign"/>',
    "again": (
        '<path d="M0 -7L7 0L0 7L-7 0Z" fill="#fff" stroke="#000" stroke-width="1.4"/>'
        '<path d="M0 -4V1M0 2.6V4.2" stroke="#000" stroke-width="1.8" fill="none"/>'
    ),
    "lost": (
        '<path d="M-6 -6H6V6H-6Z" fill="#000" stroke="#fff" stroke-width="1.4"/>'
        '<path d="M-3 0H3" stroke="#fff" stroke-width="2" fill="none"/>'
    ),
}


def sign_of(kind: str) -> str:
    """The sign for an incident's kind."""
    return _KINDS.get(kind, "fault")


def is_fatal(kind: str) -> bool:
    """Whether the consumer was gone after it."""
    return sign_of(kind) == "killed"


def draw_sign(sign: str, x: float, y: float, room: float, tip: str = "") -> str:
    """The sign around x, y as an SVG group no higher than room."""
    scale = min(1.0, room / 16)
    title = f"<title>{safe(tip)}</title>" if tip else ""
    place = f"translate({x:.1f} {y:.1f})" + (f" scale({scale:.2f})" if scale < 1 else "")
    return f'<g transform="{place}" class="rota-{sign}">{title}{_SHAPES[sign]}</g>'


def safe(text: str) -> str:
    """Escaped, and without the control characters that XML does not allow at all."""
    allowed = (
        letter if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff") else "�"
        for letter in text
    )
    return escape("".join(allowed), quote=True)


def wrapped(parts: list[str], width: int, between: str, plain: list[str] | None = None) -> list[str]:
    """The parts in as few lines as fit; ``plain`` has their texts as they count for the width."""
    lines: list[str] = []
    room = 0
    for part, shown in zip(parts, plain or parts, strict=True):
        if lines and len(shown) + len(between) <= room:
            lines[-1] += between + part
            room -= len(between) + len(shown)
        else:
            lines.append(part)
            room = width - len(shown)
    return lines
