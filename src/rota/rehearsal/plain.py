"""The lab without a terminal: the script once, told in plain lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rota.rehearsal.board import draw_board
from rota.rehearsal.session import Session
from rota.rehearsal.story import clock_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.rehearsal.lab import Lab
    from rota.rehearsal.session import Line

__all__ = ["run_plain"]

TICK_S = 0.1


def run_plain(lab: Lab, emit: Callable[[str], None], rest: Callable[[float], None] = time.sleep) -> Session:
    """Play the script to its end; Ctrl+C once ends it early but properly, twice at once.

    ``rest`` sleeps so many seconds; what it raises ends the lab.
    """
    session = Session(lab, play=True)
    log = Log(emit)
    while not session.finished:
        try:
            for line in session.tick():
                log.show(line)
            rest(TICK_S)
        except KeyboardInterrupt:
            if lab.ending:
                session.finished = True
                break
            emit("")
            for line in session.end():
                log.show(line)
    return session


class Log:
    """Writes lines and tables. Its clock never steps back: what processes note arrives a little late."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._last_ms = 0

    def show(self, line: Line) -> None:
        """One line of the log, or a table."""
        if line.board is not None:
            self._emit("")
            for row in draw_board(line.board):
                self._emit(f"    {row}")
            self._emit("")
            return
        self._last_ms = max(self._last_ms, line.at_ms)
        self._emit(f"{clock_text(self._last_ms)}  {'>> ' if line.loud else ''}{line.text}")
