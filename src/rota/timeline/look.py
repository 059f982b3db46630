"""Colours, patterns and signs, so that a consumer looks the same in every drawing of a timeline.

Colours are those of Okabe and Ito, which people with any common kind of colour blindness tell apart. Nothing
is told by colour alone: a consumer also has a pattern of lines, a sign of one letter, and its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PATTERNS", "TEXTURES", "Look", "Palette", "looks", "seconds"]


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

TEXTURES: Final = (" ", "╱", "═", "╲", "║", "╬")
"""The same for a terminal, one letter each."""

# Without x, which marks a kill, and without what looks like a digit.
_SIGNS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWYZabcdefghjkmnpqrstuvwyz"


def looks(consumers: Iterable[str]) -> dict[str, Look]:
    """A look for each consumer by its place in the order; the first 42 differ in colour or pattern."""
    return {name: _look(index) for index, name in enumerate(consumers)}


def _look(index: int) -> Look:
    colour, ink = _COLOURS[index % len(_COLOURS)]
    sign = _SIGNS[index] if index < len(_SIGNS) else "+"
    return Look(sign, colour, ink, index % len(PATTERNS))


_KEPT: Final = 14  # looks that wait for who is gone to come back, before others get them


class Palette:
    """Looks of consumers that come and go: each keeps its own, also while it is away for a while."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._gone: dict[str, None] = {}  # the longest gone first

    def take(self, present: Iterable[str]) -> None:
        """These are there now; who is new gets the first look that nobody has."""
        there = list(present)
        known = frozenset(there)
        self._gone = {name: None for name in self._gone if name not in known} | {
            name: None for name in self._places if name not in known and name not in self._gone
        }
        for name in there:
            if name not in self._places:
                self._places[name] = self._free()

    def of(self, name: str) -> Look:
        """The look of one; who was never there gets one now."""
        if name not in self._places:
            self._places[name] = self._free()
        return _look(self._places[name])

    def _free(self) -> int:
        taken = set(self._places.values())
        place = next(index for index in range(len(taken) + 1) if index not in taken)
        if place >= _KEPT and self._gone:
            longest = next(iter(self._gone))
            del self._gone[longest]
            place = self._places.pop(longest)
        return place


def seconds(duration_ms: int) -> str:
    """A duration for people: ``0.03 s``, ``8.0 s``, ``152 s``."""
    if duration_ms < 100:
        return f"{duration_ms / 1000:.2f} s"
    return f"{duration_ms / 1000:.1f} s" if duration_ms < 99_950 else f"{duration_ms / 1000:.0f} s"
