"""How the director steers an actor: words on its standard input, and the signals of Unix.

``delay 50`` sets the handler's delay in milliseconds, ``rate 200`` the producer's records a second. The end of
standard input means that the director is gone, and SIGTERM that it asks politely: both stop the actor, which
finishes what it has begun. SIGINT is ignored: Ctrl+C is the director's to interpret. A frozen actor (SIGSTOP)
could not see that its director is gone: the kernel wakes it then.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Steering"]


class Steering:
    """The orders so far. ``value`` is the last number that came with ``word``; reading it takes no lock."""

    def __init__(self, word: str, value: float) -> None:
        self.word = word
        self.value = value
        self.stop_reason = ""
        self.when_stopped: Callable[[], None] = _nothing
        """Called when the actor is asked to finish, from a signal handler or a thread."""

    @property
    def stopping(self) -> bool:
        """Whether the actor was asked to finish."""
        return bool(self.stop_reason)

    def stop(self, reason: str) -> None:
        """Ask the actor to finish; the first reason stands."""
        self.stop_reason = self.stop_reason or reason
        self.when_stopped()

    def obey(self, line: str) -> None:
        """Carry out one line; a line that is no order is shown on standard error and changes nothing."""
        match line.split():
            case [word, number] if word == self.word and _is_number(number):
                self.value = float(number)
            case []:
                pass
            case _:
                print(f"not an order: {line.strip()!r}", file=sys.stderr)  # noqa: T201  # its log

    def listen(self, lines: IO[str]) -> None:
        """Obey signals from now on, and lines until they end."""
        _wake_without_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self.stop("SIGTERM"))
        threading.Thread(target=self._read, args=(lines,), name="steering", daemon=True).start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.obey(line)
        self.stop("its director is gone")


def _nothing() -> None:
    pass


_PR_SET_PDEATHSIG = 1


def _wake_without_parent() -> None:
    """Have SIGCONT sent to this process when its parent ends, however it ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False
