"""Fetches that wait for an append, by partition."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from rota.storage import Log

__all__ = ["FetchWaits", "Waiter"]


log = logging.getLogger(__name__)


class Waiter(Protocol):
    """A parked fetch."""

    def wake(self, logs: Collection[Log]) -> None:
        """Look again: something was appended to these."""


_FEW = 4


class FetchWaits:
    """Wakes the fetches of a partition once, however many appends were served together.

    That is at the end of a turn of the loop; where they are few, already before those who appended are answered: what
    a record takes from its producer to its consumer is shorter by that answer, which comes a little later.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._by_log: dict[Log, dict[Waiter, None]] = {}
        self._to_wake: dict[Waiter, dict[Log, None]] = {}

    def add(self, logs: Iterable[Log], waiter: Waiter) -> None:
        """``waiter`` is woken by the next append to any of them."""
        by_log = self._by_log
        for log in logs:
            waiters = by_log.get(log)
            if waiters is None:
                by_log[log] = {waiter: None}
            else:
                waiters[waiter] = None

    def remove(self, logs: Iterable[Log], waiter: Waiter) -> None:
        """``waiter`` no longer waits for them."""
        by_log = self._by_log
        for log in logs:
            waiters = by_log.get(log)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del by_log[log]

    def appended(self, log: Log) -> None:
        """Called after each append, and when a log is deleted: its waiters look again soon."""
        waiters = self._by_log.get(log)
        if waiters:
            if not self._to_wake:
                self._call_soon(self._wake)
            to_wake = self._to_wake
            for waiter in waiters:
                if waiter in to_wake:
                    to_wake[waiter][log] = None
                else:
                    to_wake[waiter] = {log: None}

    def hurry(self) -> None:
        """Wake those who are to be woken, if they are few."""
        if 0 < len(self._to_wake) <= _FEW:
            self._wake()

    def _wake(self) -> None:
        waiters, self._to_wake = self._to_wake, {}
        for waiter, logs in waiters.items():
            try:
                waiter.wake(logs)
            except Exception:
                log.exception("bug: a waiting fetch could not be answered")
