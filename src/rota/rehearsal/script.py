"""The lab's script: what is done to the group, when the next thing may be done, and what it is to show.

A step acts, then waits until the group has answered (or the time for it is over), then rests so that a person
can look. The player never blocks: ``tick`` is called again and again, with the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.model import count_of
from rota.rehearsal.seats import SeatState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rota.rehearsal.lab import Lab
    from rota.rehearsal.seats import Seat

__all__ = ["Player", "Step", "lesson", "settled"]

PATIENCE_MS = 15_000
"""How much longer than the session timeout a step waits for the group."""


@dataclass(frozen=True)
class Step:
    """``say`` announces, ``act`` does, ``until`` is the group's answer, ``rest_ms`` is for looking."""

    say: str
    act: Callable[[], None]
    until: Callable[[], bool]
    rest_ms: int


class Player:
    """Plays steps. Events that the screen shows come back from ``tick`` as sentences."""

    def __init__(self, steps: Sequence[Step], patience_ms: int) -> None:
        self._steps: Iterator[Step] = iter(steps)
        self._patience_ms = patience_ms
        self._step: Step | None = None
        self._began_ms = 0
        self._answered_ms: int | None = None
        self.done = False
        self.late: list[str] = []
        """Steps that the group did not answer in time."""

    def tick(self, now_ms: int) -> list[str]:
        """Go on if it is time; gives what there is to say: ``-- what is done`` and ``== look at it now``."""
        said: list[str] = []
        if self._step is not None and self._answered_ms is None:
            if self._step.until():
                self._answered_ms = now_ms
            elif now_ms - self._began_ms > self._patience_ms:
                self._answered_ms = now_ms
                self.late.append(self._step.say)
                said.append(f"The group has not answered for {self._patience_ms / 1000:.0f} s; going on.")
        if self._step is not None:
            if self._answered_ms is not None and now_ms - self._answered_ms >= self._step.rest_ms:
                # The next step acts at the next tick, so that the table still shows this one's end.
                self._step = None
                said.append(SNAPSHOT)
            return said
        self._step = next(self._steps, None)
        if self._step is None:
            self.done = True
            return said
        said.append(f"-- {self._step.say}")
        self._step.act()
        self._began_ms, self._answered_ms = now_ms, None
        return said


SNAPSHOT = "=="
"""What ``tick`` says when a step is over: the moment for a table."""


def settled(lab: Lab) -> bool:
    """Whether the partitions are fairly shared by all consumers that run, and by nobody else."""
    running = {seat.name for seat in lab.seats if seat.state is SeatState.RUNNING}
    owners = lab.timeline.owners_now()
    held = [owners.get(partition) for partition in lab.partitions()]
    if not running or any(owner not in running for owner in held):
        return False
    rebalances = lab.timeline.rebalances()
    if not rebalances or rebalances[-1].completed_ms is None:
        return False
    return len(set(held)) == min(len(running), len(held))


def lesson(lab: Lab) -> list[Step]:
    """Kill, come back, leave politely, scale to one, overload, scale out: about 45 seconds."""
    seats = [seat for seat in lab.seats if seat.running] or lab.seats[:1]
    rate = lab.rate
    victim = seats[min(1, len(seats) - 1)]
    others = [seat for seat in seats if seat is not victim]

    def begin() -> None:
        for seat in seats:
            lab.thaw(seat)
            lab.come_back(seat)

    def settled_now() -> bool:
        return settled(lab)

    who = f"{count_of(len(seats), 'consumer')} {'share' if others else 'holds'}"
    first = Step(f"{who} {count_of(len(lab.partitions()), 'partition')}.", begin, settled_now, 3000)
    if not others:
        return [
            first,
            Step(f"kill -9 {victim.name}: it is the only one.", lambda: lab.kill(victim), _always, 2000),
            Step(f"{victim.name} is started again.", lambda: lab.come_back(victim), settled_now, 3000),
        ]
    return [
        first,
        *_departures(lab, victim, others),
        *_overload(lab, victim, others),
        Step(f"Back to {rate:g} events a second.", lambda: lab.set_rate(rate), _always, 500),
    ]


def _departures(lab: Lab, victim: Seat, others: Sequence[Seat]) -> list[Step]:
    """One is killed and comes back, one leaves politely, then all but one."""

    def settled_now() -> bool:
        return settled(lab)

    def leave_one() -> None:
        for seat in others:
            lab.stop(seat)

    goodbye = "goes without goodbye, being a static member" if lab.settings.static else "says goodbye"
    name = lab.settings.session_timeout_name
    session = f"{lab.settings.session_timeout_ms / 1000:g} s"
    return [
        Step(
            f"kill -9 {victim.name}. The group can only notice by its silence: {name} is {session}.",
            lambda: lab.kill(victim),
            settled_now,
            2000,
        ),
        Step(f"{victim.name} is started again.", lambda: lab.come_back(victim), settled_now, 2000),
        Step(
            f"{others[-1].name} is stopped politely (SIGTERM): it commits and {goodbye}.",
            lambda: lab.stop(others[-1]),
            settled_now,
            2000,
        ),
        Step(f"Everybody but {victim.name} leaves: one consumer holds all.", leave_one, settled_now, 2000),
    ]


def _overload(lab: Lab, victim: Seat, others: Sequence[Seat]) -> list[Step]:
    """More than one consumer can handle, until the others help."""

    def overload() -> None:
        # Half as much again as one handler can do: its delay allows 1000 / delay records a second.
        lab.set_rate(max(lab.rate * 2, 1500 / max(victim.delay_ms, 5)))

    def come_back() -> None:
        for seat in others:
            lab.come_back(seat)

    def behind() -> bool:
        return lab.unread() > lab.rate

    def caught_up() -> bool:
        return settled(lab) and lab.unread() < lab.rate / 4

    return [
        Step(
            f"More events come than {victim.name} alone can handle ({victim.delay_ms:g} ms each): lag grows.",
            overload,
            behind,
            3000,
        ),
        Step("The others come back to help: lag falls.", come_back, caught_up, 1000),
    ]


def _always() -> bool:
    return True
