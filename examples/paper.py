"""Lines for people: in the order of time, with colours only on a terminal."""

from __future__ import annotations

import os
import sys
from typing import Literal

__all__ = ["Colour", "Paper", "paint"]

Colour = Literal["red", "green", "yellow", "blue", "magenta", "cyan", "bold", "dim"]

_CODES: dict[Colour, str] = {
    "bold": "1",
    "dim": "2",
    "red": "1;31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}

HELD_MS = 400
"""Reports of other processes come a little late: lines wait so long for earlier ones."""


def paint(text: str, colour: Colour | None) -> str:
    """The text in that colour, on a terminal that wants colours."""
    if colour is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


class Paper:
    """What is shown of one run: seconds since its beginning, and what happened then."""

    def __init__(self, began_ms: int) -> None:
        self.began_ms = began_ms
        self._waiting: list[tuple[int, int, str, Colour | None]] = []
        self._count = 0

    def seconds(self, at_ms: int) -> str:
        """A moment, as it stands at the beginning of a line."""
        return f"{(at_ms - self.began_ms) / 1000:.1f} s"

    def note(self, at_ms: int, text: str, colour: Colour | None = None) -> None:
        """A line for that moment; it is shown a little later."""
        self._count += 1
        self._waiting.append((at_ms, self._count, text, colour))

    def show(self, now_ms: int | None = None) -> None:
        """Show what has waited long enough; without a time, all of it."""
        due = [line for line in self._waiting if now_ms is None or line[0] <= now_ms - HELD_MS]
        self._waiting = [line for line in self._waiting if line not in due]
        for at_ms, _, text, colour in sorted(due):
            print(f"{self.seconds(at_ms):>8}  {paint(text, colour)}", flush=True)
