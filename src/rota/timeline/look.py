"""Colours, patterns and signs, so that a consumer looks the same in every drawing of a timeline.

Colours are those of Okabe and Ito, which people with any common kind of colour blindness tell apart. Nothing
is told by colour alone: a consumer also has a pattern of lines, a sign of one letter, and its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PATTERNS", "Look", "looks", "seconds"]


class Look(NamedTuple):
    """How one consumer is drawn."""

    sign: str
    colour: str
    """``#rrggbb``"""
    ink: str
    """The colour of text on top of it."""
    pattern: int
    """Index into `PATTERNS`."""


_COLOURS: Final = (
    ("#56b4e9", "#000000"),
    ("#e69f00", "#000000"),
    ("#009e73", "#000000"),
    ("#f0e442", "#000000"),
    ("#cc79a7", "#000000"),
    ("#0072b2", "#ffffff"),
    ("#d55e00", "#000000"),
)

PATTERNS: Final = (
    "",
    "M0 8L8 0M-1 1L1 -1M7 9L9 7",
    "M0 2H8M0 6H8",
    "M0 0L8 8M-1 7L1 9M7 -1L9 1",
    "M2 0V8M6 0V8",
    "M0 4H8M4 0V8",
)
"""Paths of lines in a tile of 8 by 8; the first is plain."""

# Without x, which marks a kill, and without what looks like a digit.
_SIGNS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWYZabcdefghjkmnpqrstuvwyz"


def looks(consumers: Iterable[str]) -> dict[str, Look]:
    """A look for each consumer by its place in the order; the first 42 differ in colour or pattern."""
    found = {}
    for index, name in enumerate(consumers):
        colour, ink = _COLOURS[index % len(_COLOURS)]
        sign = _SIGNS[index] if index < len(_SIGNS) else "+"
        found[name] = Look(sign, colour, ink, index % len(PATTERNS))
    return found


def seconds(duration_ms: int) -> str:
    """A duration for people: ``0.03 s``, ``8.0 s``, ``152 s``."""
    if duration_ms < 100:
        return f"{duration_ms / 1000:.2f} s"
    return f"{duration_ms / 1000:.1f} s" if duration_ms < 99_950 else f"{duration_ms / 1000:.0f} s"
