"""Tasks whose records are done in another process.

A worker that has a task must not begin a record that the owner has taken back (`Task.end`), and the owner
must know at which record it is (`Task.running`). Between threads that rests on the order of reads and writes;
processes share a pipe instead. The parent puts a byte into it for every record that it hands over, the child
takes one out before it begins a record. Whoever takes a byte has it alone, so:

- how many are left says at which record the child is, without a message from it, and after its death too;
- the owner cuts a task short by taking out what is left: it then knows which record was the last to begin.
"""

from __future__ import annotations

import array
import fcntl
import os
import termios
import threading
from typing import TYPE_CHECKING

from rota.consumer.core.work import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.work import Lane

__all__ = ["MOST", "Permits", "ProcessTask"]

MOST = 2_000
"""Records handed over at once; a pipe holds at least 4,096 bytes."""


class Permits:
    """The parent's ends of the pipe. The child is given ``reading``."""

    __slots__ = ("_writing", "lock", "reading")

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        os.set_blocking(self.reading, False)
        os.set_blocking(self._writing, False)
        self.lock = threading.Lock()
        """Between the owner and the worker's thread; the child needs none."""

    def put(self, count: int) -> None:
        written = os.write(self._writing, bytes(count))
        assert written == count, "a pipe takes so few bytes at once or not at all"

    def left(self) -> int:
        """How many nobody has taken."""
        answer = array.array("i", [0])
        fcntl.ioctl(self.reading, termios.FIONREAD, answer)
        return answer[0]

    def take_all(self) -> int:
        """Take what is left; how many that was."""
        try:
            return len(os.read(self.reading, 2 * MOST))
        except BlockingIOError:
            return 0

    def close(self) -> None:
        os.close(self.reading)
        os.close(self._writing)


class _Handed:
    """Records that a child has: ``count`` of them, from ``first``; each needs one of the ``permits``."""

    __slots__ = ("count", "first", "permits")

    def __init__(self, permits: Permits, first: int) -> None:
        self.permits = permits
        self.first = first
        self.count = 0

    @property
    def begun(self) -> int:
        return max(0, self.count - self.permits.left())


class ProcessTask(Task):
    """A task that may be handed to a child, one slice of it after the other."""

    __slots__ = ("_end", "_handed", "_running")

    def __init__(
        self, messages: Sequence[Message], lane: Lane, *, attempt: int = 1, watched: bool = False
    ) -> None:
        self._handed: _Handed | None = None
        super().__init__(messages, lane, attempt=attempt, watched=watched)

    @property
    def running(self) -> int:
        handed = self._handed
        if handed is not None:
            at = handed.first + max(0, handed.begun - 1)
            if self._handed is handed:
                return at
        return self._running

    @running.setter
    def running(self, at: int) -> None:
        self._running = at

    @property
    def end(self) -> int:
        return self._end

    @end.setter
    def end(self, end: int) -> None:
        self._end = end
        handed = self._handed
        if handed is None:
            return  # whoever hands records over now finds the new end: see `hand`
        with handed.permits.lock:
            if self._handed is handed:
                handed.count -= handed.permits.take_all()

    def hand(self, permits: Permits, most: int) -> int:
        """The worker is about to give up to ``most`` records, from ``running`` on, to its child; how many it
        may.
        """
        with permits.lock:
            handed = _Handed(permits, self._running)
            self._handed = handed  # before the end is read: who moves the end from now on waits for the lock
            count = min(most, self._end - self._running)
            if count > 0:
                permits.put(count)
                handed.count = count  # after they are there: what is not there counts as begun
            return count

    def take(self, done: int | None) -> int:
        """The child has finished so many of them, and no longer has the rest; None: it is dead. How many had
        begun.
        """
        handed = self._handed
        assert handed is not None
        with handed.permits.lock:
            handed.count -= handed.permits.take_all()
            begun = handed.count
            self._running = handed.first + (max(0, begun - 1) if done is None else done)
            self._handed = None
        return begun
