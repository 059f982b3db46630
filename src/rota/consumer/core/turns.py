"""Which thread is the owner.

The owner does work itself that takes no time (`Helped`). Meanwhile it *lends* its turn: a token that is there for
whoever takes it first, the owner when it is through, or the thread that stands by, which looks after `LOOK_S` whether
the owner is still where it was. Then that one is the owner, another begins to stand by, and the first one ends when its
handler has returned. Whoever is the owner does all that `rota.consumer.core.owner` says; one that was touches nothing
but the records that it has begun with.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Helped", "Share", "Turns"]

LOOK_S = 0.01
"""So long the owner may be kept by a handler before it is relieved."""


class Share(Protocol):
    """What an owner does itself between two polls, of one handler's work."""

    def begin(self) -> None: ...
    def help(self) -> Iterator[None]: ...
    def helped(self) -> None: ...
    def relieve(self) -> None: ...
    def relieved(self) -> None: ...


class Helped(Protocol):
    """Workers whose work the owner may do itself; see `rota.consumer.workers.helped_threads`."""

    def keep(self) -> Share | None: ...


class _Loan:
    """A turn that was lent, for so long as these are helped."""

    __slots__ = ("shares", "step", "taken", "token")

    def __init__(self, shares: Sequence[Share]) -> None:
        self.shares = shares
        self.step = 0
        self.token = deque((None,))
        self.taken = threading.Lock()  # open once everything has been taken over
        self.taken.acquire()


class Turns:
    """``helped``: every handler's workers that can be."""

    def __init__(self, helped: Sequence[Helped]) -> None:
        self._helped = helped
        self._shares: list[Share] = []
        self._loan: _Loan | None = None
        self._is_there = False
        # Who stands by sleeps while nothing is lent: whoever takes its mark wakes it.
        self._asleep: deque[None] = deque()
        self._wake = threading.Semaphore(0)
        self._over = threading.Event()

    # The owner.

    def keep(self) -> None:
        """Before records are handed out: lanes that become ready now are perhaps for the owner itself."""
        if self._is_there:  # nobody else would go on if a handler kept the owner
            self._shares = [share for each in self._helped if (share := each.keep()) is not None]

    def help(self) -> bool:
        """After that: go through them. False: the caller has come out of a handler and is no longer the owner."""
        shares = self._shares
        if not shares:
            return True
        self._shares = []
        for share in shares:
            share.begin()
        self._loan = loan = _Loan(shares)
        if self._asleep:
            self._wake_up()
        for share in shares:
            for _ in share.help():
                loan.step += 1
        try:
            loan.token.pop()
        except IndexError:
            with loan.taken:
                for share in shares:
                    share.relieved()
            return False
        self._loan = None
        for share in shares:
            share.helped()
        return True

    def end(self) -> None:
        """The owner has done all that there was to do."""
        self._over.set()
        self._wake_up()

    # Who stands by: one thread at a time.

    def stand_by(self) -> bool:
        """Wait until the caller is the owner; False: everything has ended."""
        self._is_there = True
        while not self._over.is_set():
            loan = self._loan
            if loan is None:
                self._sleep()
                continue
            step = loan.step
            if self._over.wait(LOOK_S):
                return False
            if self._loan is not loan or loan.step != step:
                continue
            try:
                loan.token.pop()
            except IndexError:
                continue
            self._is_there = False
            self._loan = None
            # The last first: so the owner cannot go on from one that was found inside to another.
            for share in reversed(loan.shares):
                share.relieve()
            loan.taken.release()
            return True
        return False

    def _sleep(self) -> None:
        self._asleep.append(None)
        # What was lent, and what ended, before the mark was there has woken nobody.
        if self._loan is not None or self._over.is_set():
            self._wake_up()
        self._wake.acquire()

    def _wake_up(self) -> None:
        try:
            self._asleep.pop()
        except IndexError:
            return
        self._wake.release()
