"""Single keys from a terminal, without Enter."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import tty
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["NAMED", "Keys", "split"]

NAMED = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
}
"""The keys without a character, as terminals send them."""

_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z~]|O[A-Za-z])|[^\x1b]")


class Keys:
    """A context manager that puts the terminal into cbreak mode and back."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self, seconds: float) -> list[str]:
        """The keys pressed within the time, at once when there are some: characters, and the names of ``NAMED``."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return []
        data = os.read(self._fd, 64)
        return split(data.decode("ascii", "ignore")) if data else ["q"]  # nothing: the terminal is gone


def split(text: str) -> list[str]:
    """The keys in what a terminal has sent; of sequences those that have a name here."""
    keys = [found.group() for found in _KEY.finditer(text)]
    return [NAMED.get(key, key) for key in keys if len(key) == 1 or key in NAMED]
