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

    All but `current`, `completed` and `relieved` are the owner's to call; `help` and `relieved` by the one that was the
    owner when it began to help.
    """

    def __init__(
        self, count: int, work: Callable[[Task], None], returned: SimpleQueue[Task], name: str
    ) -> None:
        super().__init__(count, work, returned, name)
        self._own_place = count
        self._completed.append(0)
        self._current.append(None)
        self._given = 0
        self._let_go = [0] * (count + 1)
        self._kept: deque[Lane] = deque()
        self._keeps = False
        self._is_helped = False
        self._has_worked = False
        self._took_long = False
        self._pause_ns = _FIRST_PAUSE_NS
        self._again_ns = 0
        self._rest: _Rest | None = None

    def ready(self, lane: Lane, /) -> None:
        if self._keeps:
            self._kept.append(lane)
        else:
            self._given += 1
            self._ready.put(lane)

    def keep(self) -> bool:
        """Whether the owner will go through the lanes that become ready from now on, until it calls `help`."""
        self._keeps = self._given == sum(self._let_go) and time.monotonic_ns() >= self._again_ns
        return self._keeps

    def help(self) -> Iterator[None]:
        """Go through the lanes that were kept, for a moment: each step is a task."""
        self._keeps = False
        self._is_helped = True  # before it takes a lane: see `relieve`
        kept, until_ns = self._kept, time.monotonic_ns() + _LONG_NS
        self._has_worked = bool(kept)
        while kept and time.monotonic_ns() < until_ns:
            yield
            self._next_task()
        self._took_long = time.monotonic_ns() >= until_ns
        self._is_helped = False

    def helped(self) -> None:
        """After `help`: what is left is the workers'."""
        if self._took_long:
            self._pause()
            self._give(self._take_kept())
        elif self._has_worked and self._pause_ns > _FIRST_PAUSE_NS:
            self._pause_ns //= 2

    def relieve(self) -> None:
        """The caller is the owner now, because the one before is kept inside a handler. If that is ours it is one of
        the ``count`` until it returns, and a worker rests.
        """
        self._keeps = False  # of who would have been helped next, too
        lanes = self._take_kept()
        # Who is here has perhaps taken a lane before. Who comes only now finds none; what another has put back
        # was there before it went.
        if self._is_helped:
            self._pause()
            self._rest = _Rest()
            self._ready.put(self._rest)
        else:
            self._rest = None
            lanes += self._take_kept()
        self._give(lanes)

    def relieved(self) -> None:
        """The owner before has come out of its handler; the rest of its lane is the workers', as all else."""
        for lane in self._take_kept():
            self._let_go[self._own_place] -= 1  # a worker will, and it was not given to one
            self._ready.put(lane)
        if self._rest is not None:
            self._rest.over.set()

    def _next_task(self) -> None:
        try:
            lane = self._kept.popleft()
        except IndexError:  # the new owner has taken it
            return
        if self._go_through(lane, self._own_place):
            self._kept.append(lane)

    def _pause(self) -> None:
        self._again_ns = time.monotonic_ns() + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, _LONGEST_PAUSE_NS)

    def _take_kept(self) -> list[Lane]:
        lanes: list[Lane] = []
        while self._kept:
            try:
                lanes.append(self._kept.popleft())
            except IndexError:  # the owner before has taken it
                break
        return lanes

    def _give(self, lanes: list[Lane]) -> None:
        for lane in lanes:
            self._given += 1
            self._ready.put(lane)

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
