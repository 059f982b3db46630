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


def run_plain(lab: Lab, emit: Callable[[str], None]) -> Session:
    """Play the script to its end; Ctrl+C once ends it early but properly, twice at once."""
    session = Session(lab, play=True)
    while not session.finished:
        try:
            for line in session.tick():
                show(line, emit)
            time.sleep(TICK_S)
        except KeyboardInterrupt:
            if lab.ending:
                session.finished = True
                break
            emit("")
            for line in session.end():
                show(line, emit)
    return session


def show(line: Line, emit: Callable[[str], None]) -> None:
    """One line of the log, or a table."""
    if line.board is not None:
        emit("")
        for row in draw_board(line.board):
            emit(f"    {row}")
        emit("")
    else:
        emit(f"{clock_text(line.at_ms)}  {'>> ' if line.loud else ''}{line.text}")
