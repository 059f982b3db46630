"""Whether anybody still reads what a command prints: ``rota consume … | head -1`` is to end when ``head`` has.

A command that prints hears of it at its next line. One that waits for what may never come has to ask, as ``tail -f``
does: a pipe without a reader is in error. Files, terminals and sockets are left alone.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import time

__all__ = ["check_reader", "discard_output", "sleep_while_read"]


def check_reader() -> None:
    """Raise ``BrokenPipeError`` if standard output is a pipe that nobody reads any more."""
    _wait(0.0)


def sleep_while_read(seconds: float) -> None:
    """Sleep; raise ``BrokenPipeError`` as soon as the reader is gone."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _wait(left)


def discard_output() -> None:
    """Nobody takes our output: let it go nowhere, now and at the interpreter's end, which would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wait(seconds: float) -> None:
    descriptor = _pipe()
    if descriptor is None:
        time.sleep(seconds)
        return
    poller = select.poll()
    poller.register(descriptor, 0)  # errors are reported whether asked for or not
    if poller.poll(seconds * 1000):
        raise BrokenPipeError


def _pipe() -> int | None:
    """The number of standard output, if that is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):  # closed, or taken by a test
        return None
