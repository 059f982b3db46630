"""One run of a lab, from the first consumer to the verdict: what the plain and the live view have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.rehearsal.board import Board, Meter
from rota.rehearsal.findings import Found
from rota.rehearsal.recording import clock_ms
from rota.rehearsal.restarts import rolling_restart
from rota.rehearsal.script import SNAPSHOT, Player, lesson
from rota.rehearsal.story import Story
from rota.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.rehearsal.lab import Lab
    from rota.timeline import Summary
    from rota.timeline.events import Event

__all__ = ["Line", "Session"]

PAUSES_EVERY_MS = 500
FINISH_LIMIT_MS = 30_000


class Line:
    """One thing to show: a sentence with its time, or (``board`` set) the moment for a table."""

    __slots__ = ("at_ms", "board", "loud", "text")

    def __init__(self, at_ms: int, text: str, *, loud: bool = False, board: Board | None = None) -> None:
        self.at_ms = at_ms
        self.text = text
        self.loud = loud
        self.board = board


class Session:
    """Call ``tick`` often; ``finished`` says when to stop, ``conclude`` gives the findings."""

    def __init__(self, lab: Lab, *, play: bool) -> None:
        self.lab = lab
        self.meter = Meter()
        self.found = Found()
        """The doctor's findings until the end began: what the end causes is nothing that went wrong."""
        self.player: Player | None = None
        self.finished = False
        self._story = Story(static=lab.settings.static, generation_word=lab.settings.generation_word)
        self._ends_with_script = play
        self._pauses_due_ms = 0
        self._finish_ms = 0
        self._began_ms = clock_ms()
        if play:
            self.play()

    def play(self) -> bool:
        """Start the script, unless it plays already."""
        if self.player is not None and not self.player.done:
            return False
        patience_ms = self.lab.settings.session_timeout_ms + 15_000
        tell = rolling_restart if self.lab.settings.story == "rolling-restart" else lesson
        self.player = Player(tell(self.lab), patience_ms)
        return True

    def tick(self) -> list[Line]:
        """Take in what happened, go on with the script, end when it is time."""
        now_ms = clock_ms()
        lines = self._tell(self.lab.pump())
        if now_ms >= self._pauses_due_ms:
            self._pauses_due_ms = now_ms + PAUSES_EVERY_MS
            lines += [Line(at_ms, text) for at_ms, text in self._story.pauses(self.lab.timeline.pauses())]
        if self.lab.trouble and not self.lab.ending:
            lines.append(Line(now_ms, f"{self.lab.trouble[:1].upper()}{self.lab.trouble[1:]}.", loud=True))
            lines += self.end()
        if self.lab.ending:
            self._finish(now_ms)
        else:
            lines += self._direct(now_ms)
        return lines

    def end(self) -> list[Line]:
        """Begin the end: no more events are produced, and what is there is read."""
        if self.lab.ending:
            return []
        self.lab.begin_ending()
        self._finish_ms = clock_ms() + FINISH_LIMIT_MS + self.lab.settings.session_timeout_ms
        text = "The producer stops; the consumers read what is left, without delay."
        return [Line(clock_ms(), text, loud=True)]

    def board(self) -> Board:
        """The table now."""
        return Board.of(self.lab, self.meter, clock_ms())

    def conclude(self) -> Summary:
        """The findings, from all that was recorded, each event in its place."""
        self.lab.stop_all()
        self._tell(self.lab.pump())
        summary = self.whole().summary()
        if not summary.produced and not self.lab.trouble:
            self.lab.trouble = self.lab.nothing_produced()
        return summary

    def whole(self) -> Timeline:
        """Everything recorded so far as one timeline."""
        return Timeline.of(self.lab.events, self.lab.settings.group)

    def _direct(self, now_ms: int) -> list[Line]:
        view = self.lab.view()
        if view is not None:
            self.found.take(view)
        lines: list[Line] = []
        if self.player is not None:
            for said in self.player.tick(now_ms):
                if said == SNAPSHOT:
                    lines.append(Line(now_ms, "", board=self.board()))
                elif said.startswith("-- "):
                    lines.append(Line(now_ms, said[3:], loud=True))
                else:
                    lines.append(Line(now_ms, said))
            if self.player.done:
                self.player = None
                if self._ends_with_script:
                    lines += self.end()
        duration_s = self.lab.settings.duration_s
        if duration_s is not None and now_ms - self._began_ms >= duration_s * 1000:
            lines += self.end()
        return lines

    def _finish(self, now_ms: int) -> None:
        if now_ms > self._finish_ms or self.lab.unread() == 0:
            self.finished = True

    def _tell(self, events: Iterable[Event]) -> list[Line]:
        events = list(events)
        self.meter.take(events)
        told = ((event.at_ms, self._story.tell(event)) for event in events)
        return [Line(at_ms, text) for at_ms, text in told if text is not None]
