"""Worker threads whose work the owner does itself, as long as that takes it no time.

A task that is handed to another thread waits until that thread has the processor and the interpreter. A handler that
has returned by then is better called where its records were fetched. So the owner *keeps* lanes while no worker is at
one, and goes through them before it fetches again; as soon as that takes long it leaves all lanes to the workers, for a
while. If a handler does not return, somebody else becomes the owner (`rota.consumer.core.turns`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from rota.consumer.core.work import Lane
from rota.consumer.workers.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from queue import SimpleQueue

    from rota.consumer.core.work import Task

__all__ = ["HelpedThreads"]

_LONG_NS = 2_000_000
"""So long the owner works before it fetches again; what is left then is the workers'."""
_FIRST_PAUSE_NS, _LONGEST_PAUSE_NS = 100_000_000, 30_000_000_000
"""How long it leaves everything to them after that; twice as long each time, until handlers take no time again."""


class _Rest(Lane):
    """Whoever takes it does nothing until it is over."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        super().__init__(-1)
        self.over = threading.Event()


class HelpedThreads(Threads):
    """No more than ``count`` handlers are called at once, whoever calls them.

    `ready` and `keep` are the owner's to call.
    """

    def __init__(
        self, count: int, work: Callable[[Task], None], returned: SimpleQueue[Task], name: str
    ) -> None:
        super().__init__(count, work, returned, name)
        self._count = count
        self._given = 0
        self._let_go = [0] * count
        self._resting: list[_Rest] = []
        self._share: _Share | None = None
        self._places: deque[int] = deque()
        self._pause_ns = _FIRST_PAUSE_NS
        self._again_ns = 0

    def ready(self, lane: Lane, /) -> None:
        if self._share is not None:
            self._share.lanes.append(lane)
        else:
            self._given += 1
            self._ready.put(lane)

    def keep(self) -> _Share | None:
        """The lanes that become ready from now on, if the owner is to go through them itself. It is, while handlers
        take no time and it would not be one more than ``count``.
        """
        if self._resting:
            self._resting = [rest for rest in self._resting if not rest.over.is_set()]
        at_work = self._given - sum(self._let_go) + len(self._resting)
        if at_work < self._count and time.monotonic_ns() >= self._again_ns:
            self._share = _Share(self, self._place())
        return self._share

    def _place(self) -> int:
        """Where an owner notes what it is at: no two of them at once in the same place."""
        try:
            return self._places.pop()
        except IndexError:
            self._let_go.append(0)
            self._current.append(None)
            self._completed.append(0)
            return len(self._completed) - 1

    # What shares do to it.

    def keep_no_more(self) -> None:
        """What becomes ready from now on is the workers'."""
        self._share = None

    def take_back(self, place: int, lanes: list[Lane], has_worked: bool, took_long: bool) -> None:
        """By the owner, when it is through."""
        self._places.append(place)
        if took_long:
            self._pause()
            self.give(lanes)
        elif has_worked and self._pause_ns > _FIRST_PAUSE_NS:
            self._pause_ns //= 2

    def give(self, lanes: list[Lane]) -> None:
        """By the owner: for the workers."""
        for lane in lanes:
            self._given += 1
            self._ready.put(lane)

    def rest(self) -> _Rest:
        """By the new owner: a worker rests until that is over."""
        self._pause()
        rest = _Rest()
        self._resting.append(rest)
        self._ready.put(rest)
        return rest

    def hand_back(self, place: int, lanes: list[Lane]) -> None:
        """By one that was the owner."""
        for lane in lanes:
            self._let_go[place] -= 1  # a worker will, and it was not given to one
            self._ready.put(lane)
        self._places.append(place)

    def go_through(self, lane: Lane, place: int) -> bool:
        """Do a task of the lane, in this place; whether there are more. If not, it is let go."""
        return self._go_through(lane, place)

    def _pause(self) -> None:
        self._again_ns = time.monotonic_ns() + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, _LONGEST_PAUSE_NS)

    def _run(self, index: int) -> None:
        ready = self._ready
        while (lane := ready.get()) is not None:
            if isinstance(lane, _Rest):
                lane.over.wait()
                continue
            while self._go_through(lane, index):
                if not ready.empty():  # what was fetched before comes before
                    ready.put(lane)
                    break
            else:
                self._let_go[index] += 1


class _Share:
    """Lanes that an owner goes through itself. `help` and `relieved` are called by that owner, even when it is none any
    more, `helped` by it as the owner, `relieve` by the next one.
    """

    __slots__ = ("_has_worked", "_is_inside", "_place", "_pool", "_rest", "_took_long", "lanes")

    def __init__(self, pool: HelpedThreads, place: int) -> None:
        self.lanes: deque[Lane] = deque()
        self._pool = pool
        self._place = place
        self._is_inside = False
        self._has_worked = False
        self._took_long = False
        self._rest: _Rest | None = None

    def begin(self) -> None:
        """No more become its own."""
        self._pool.keep_no_more()

    def help(self) -> Iterator[None]:
        """Go through them, for a moment: each step is a task."""
        self._is_inside = True  # before it takes a lane: see `relieve`
        lanes, until_ns = self.lanes, time.monotonic_ns() + _LONG_NS
        self._has_worked = bool(lanes)
        while lanes and time.monotonic_ns() < until_ns:
            yield
            self._next_task()
        self._took_long = time.monotonic_ns() >= until_ns
        self._is_inside = False

    def helped(self) -> None:
        """What is left is the workers'."""
        self._pool.take_back(self._place, self._take_lanes(), self._has_worked, self._took_long)

    def relieve(self) -> None:
        """The owner is kept inside a handler. If that is ours it is one of the ``count`` until it returns, and a worker
        rests.
        """
        lanes = self._take_lanes()
        # Who is here has perhaps taken a lane before. Who comes only now finds none; what has been put back meanwhile
        # was there before it went.
        if self._is_inside:
            self._rest = self._pool.rest()
        else:
            lanes += self._take_lanes()
        self._pool.give(lanes)

    def relieved(self) -> None:
        """It has come out of its handler; the rest of its lane is the workers', as all else."""
        self._pool.hand_back(self._place, self._take_lanes())
        if self._rest is not None:
            self._rest.over.set()

    def _next_task(self) -> None:
        try:
            lane = self.lanes.popleft()
        except IndexError:  # the new owner has taken it
            return
        if self._pool.go_through(lane, self._place):
            self.lanes.append(lane)

    def _take_lanes(self) -> list[Lane]:
        found: list[Lane] = []
        while self.lanes:
            try:
                found.append(self.lanes.popleft())
            except IndexError:  # somebody else has taken it
                break
        return found
