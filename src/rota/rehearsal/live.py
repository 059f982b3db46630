"""The lab on a terminal: a screen that is always up to date, and keys that steer the group."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from rota.rehearsal.keys import Keys
from rota.rehearsal.recording import clock_ms
from rota.rehearsal.screen import View, draw_screen
from rota.rehearsal.scroll import Scroll
from rota.rehearsal.seats import Seat, SeatState
from rota.rehearsal.session import Line, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.rehearsal.lab import Lab

__all__ = ["Controls", "run_live"]

TICK_S = 0.12
KEPT_LINES = 200

DELAYS_MS = (0, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
RATES = (0, 1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000)


def above(steps: tuple[int, ...], value: float) -> int:
    """The next step up, or the last."""
    return next((step for step in steps if step > value), steps[-1])


def below(steps: tuple[int, ...], value: float) -> int:
    """The next step down, or the first."""
    return next((step for step in reversed(steps) if step < value), steps[0])


class Controls:
    """What each key does. ``press`` gives a sentence when there is something to say that no event will tell."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.chosen = 1
        self.help = False
        self.scroll = Scroll()
        self._keys: dict[str, Callable[[], str | None]] = {
            "a": self._add,
            "k": self._kill,
            "s": self._stop,
            "f": self._freeze,
            "m": self._hang,
            "n": self._more_partitions,
            "d": lambda: self._delay(above),
            "u": lambda: self._delay(below),
            "+": lambda: self._rate(above),
            "=": lambda: self._rate(above),
            "-": lambda: self._rate(below),
            "p": self._play,
            "?": self._help,
            "h": self._help,
        }

    def press(self, key: str) -> str | None:
        """Carry out one key; an unknown one says so."""
        if self.scroll.press(key):
            return None
        if self.session.lab.ending:
            return "The lab is ending; Ctrl+C ends it at once."
        if key.isdigit() and key != "0":
            return self._choose(int(key))
        act = self._keys.get(key.lower())
        if act is not None:
            return act()
        return f"The key {key!r} does nothing; ? shows those that do." if key.isprintable() else None

    @property
    def _seat(self) -> Seat:
        return self.session.lab.seats[self.chosen - 1]

    def _choose(self, number: int) -> str | None:
        if number > len(self.session.lab.seats):
            return f"There is no consumer {number}; a adds one."
        self.chosen = number
        return None

    def _add(self) -> str | None:
        seat = self.session.lab.add()
        if seat is None:
            return "There are nine consumers, one for each digit: no more can be added."
        self.chosen = seat.number
        return None

    def _kill(self) -> str | None:
        if not self._seat.running:
            return self._absent()
        self.session.lab.kill(self._seat)
        return None

    def _stop(self) -> str | None:
        if not self._seat.running:
            return self._absent()
        self.session.lab.stop(self._seat)
        return f"{self._seat.name} is asked to stop (SIGTERM)."

    def _freeze(self) -> str | None:
        if self._seat.state is SeatState.FROZEN:
            self.session.lab.thaw(self._seat)
        elif self._seat.state is SeatState.RUNNING:
            self.session.lab.freeze(self._seat)
        else:
            return self._absent()
        return None

    def _hang(self) -> str | None:
        if not self._seat.running:
            return self._absent()
        self.session.lab.hang(self._seat)
        return None

    def _more_partitions(self) -> str:
        count = self.session.lab.add_partition()
        if count is None:
            return "There are a hundred partitions: no more are added."
        return f"The topic now has {count} partitions; clients learn of it when they next refresh what they know."

    def _delay(self, step: Callable[[tuple[int, ...], float], int]) -> str | None:
        if not self._seat.running:
            return self._absent()
        wanted = step(DELAYS_MS, self._seat.delay_ms)
        if wanted == self._seat.delay_ms:
            return f"{self._seat.name}'s handler takes {wanted:g} ms for a record: that is as far as it goes."
        self.session.lab.set_delay(self._seat, wanted)
        return None

    def _rate(self, step: Callable[[tuple[int, ...], float], int]) -> str:
        self.session.lab.set_rate(step(RATES, self.session.lab.rate))
        return f"The producer now sends {self.session.lab.rate:g} events a second."

    def _play(self) -> str | None:
        return None if self.session.play() else "The script is playing already."

    def _help(self) -> None:
        self.help = not self.help

    def _absent(self) -> str:
        return f"{self._seat.name}: {self._seat.state}; a starts one that does not run."


def run_live(lab: Lab, console: Console, *, play: bool = False) -> Session:
    """Show and obey until q, Ctrl+C or the end of the duration; then read what is left."""
    session = Session(lab, play=play)
    controls = Controls(session)
    lines: deque[Line] = deque(maxlen=KEPT_LINES)
    lines.append(
        Line(clock_ms(), "Press p to see the script played, ? for help, or any key below.", loud=True)
    )
    began = time.monotonic()
    with Keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while not session.finished:
            try:
                lines.extend(line for line in session.tick() if line.board is None)
                age_s = time.monotonic() - began
                view = View(
                    session.board(), lab, controls.chosen, lines, controls.help, age_s, controls.scroll
                )
                live.update(draw_screen(view, console.width, console.height), refresh=True)
                for key in keys.read(TICK_S):
                    lines.extend(_pressed(session, controls, key))
            except KeyboardInterrupt:
                if lab.ending:
                    session.finished = True
                else:
                    lines.extend(session.end())
    return session


def _pressed(session: Session, controls: Controls, key: str) -> list[Line]:
    if key in {"q", "Q"}:
        return session.end()
    said = controls.press(key)
    return [] if said is None else [Line(clock_ms(), said)]
