"""Which of two threads is the owner.

The owner does work itself that takes no time (`Helped`). Meanwhile it *lends* its turn: a token that is there for
whoever takes it first, the owner when it is through, or the other thread, which looks after `LOOK_S` whether the owner
is still where it was. Then that one is the owner, and the first takes its place when its handler has returned.
Whoever is the owner does all that `rota.consumer.core.owner` says; the other one touches nothing but its handler's
records.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Helped", "Turns"]

LOOK_S = 0.01
"""So long the owner may be kept by a handler before it is relieved."""


class Helped(Protocol):
    """Workers whose work the owner may do itself; see `rota.consumer.workers.helped_threads`."""

    def keep(self) -> bool: ...
    def help(self) -> Iterator[None]: ...
    def helped(self) -> None: ...
    def relieve(self) -> None: ...
    def relieved(self) -> None: ...


class Turns:
    """``helped``: every handler's workers that can be."""

    def __init__(self, helped: Sequence[Helped]) -> None:
        self._helped = helped
        self._kept: list[Helped] = []
        self._lent: deque[None] = deque()
        self._step = 0
        self._is_there = False
        # The other thread sleeps while nothing is lent: whoever takes its mark wakes it.
        self._asleep: deque[None] = deque()
        self._wake = threading.Semaphore(0)
        self._taken = threading.Semaphore(0)
        self._over = threading.Event()

    # The owner.

    def keep(self) -> None:
        """Before records are handed out: lanes that become ready now are perhaps for the owner itself."""
        if self._is_there:  # nobody else would go on if a handler kept the owner
            self._kept = [each for each in self._helped if each.keep()]

    def help(self) -> bool:
        """After that: go through them. False: the caller has come out of a handler and is no longer the owner."""
        kept = self._kept
        if not kept:
            return True
        self._step += 1  # before: who looks just now is not to see what it saw the last time
        self._lent.append(None)
        if self._asleep:
            self._wake_up()
        for each in kept:
            for _ in each.help():
                self._step += 1
        try:
            self._lent.pop()
        except IndexError:
            self._taken.acquire()
            for each in kept:
                each.relieved()
            return False
        self._kept = []
        for each in kept:
            each.helped()
        return True

    def end(self) -> None:
        """The owner has done all that there was to do."""
        self._over.set()
        self._wake_up()

    # The other one.

    def stand_by(self) -> bool:
        """Wait until the caller is the owner; False: everything has ended."""
        self._is_there = True
        while not self._over.is_set():
            if not self._lent:
                self._sleep()
            step = self._step
            self._over.wait(LOOK_S)
            if self._step != step or not self._lent:
                continue
            try:
                self._lent.pop()
            except IndexError:
                continue
            self._is_there = False
            kept, self._kept = self._kept, []
            for each in kept:
                each.relieve()
            self._taken.release()
            return True
        return False

    def _sleep(self) -> None:
        self._asleep.append(None)
        # What was lent, and what ended, before the mark was there has woken nobody.
        if self._lent or self._over.is_set():
            self._wake_up()
        self._wake.acquire()

    def _wake_up(self) -> None:
        try:
            self._asleep.pop()
        except IndexError:
            return
        self._wake.release()
