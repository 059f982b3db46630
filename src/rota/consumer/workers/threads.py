"""Worker threads: each takes a lane, goes through its tasks, and takes the next.

A worker never calls the client, takes no lock and tells nobody of a success: `Task.running` says how far it
is.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rota.consumer.core.work import Lane, Task

__all__ = ["Threads"]


class Threads:
    """``count`` threads that run ``work(task)``; tasks that are given back go into ``returned``.

    ``work`` advances `Task.running` and stops at `Task.end`; what it raises becomes `Task.failure`.
    """

    def __init__(
        self, count: int, work: Callable[[Task], None], returned: SimpleQueue[Task], name: str
    ) -> None:
        self._ready: SimpleQueue[Lane | None] = SimpleQueue()
        self._work = work
        self._returned = returned
        self._completed = [0] * count
        self._current: list[Task | None] = [None] * count
        self._threads = [
            threading.Thread(target=self._run, args=(index,), name=f"{name}-{index + 1}", daemon=True)
            for index in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def ready(self, lane: Lane, /) -> None:
        """A lane has tasks, and its token is taken for whoever goes through it."""
        self._ready.put(lane)

    @property
    def completed(self) -> int:
        """Records that workers have finished, in tasks that ended."""
        return sum(self._completed)

    def current(self) -> Iterator[Task]:
        """The task of each worker that is at one."""
        return (task for task in self._current if task is not None)

    def close(self) -> None:
        """Let idle workers end; those inside a handler end after it, or with the process."""
        for _ in self._threads:
            self._ready.put(None)

    def _run(self, index: int) -> None:
        ready = self._ready
        while (lane := ready.get()) is not None:
            while self._go_through(lane, index):
                if not ready.empty():  # what was fetched before comes before
                    ready.put(lane)
                    break

    def _go_through(self, lane: Lane, index: int) -> bool:
        """Do a task of the lane; whether there are more. If not, it is let go."""
        tasks, token, work = lane.tasks, lane.token, self._work
        while True:
            try:
                task = tasks.popleft()
            except IndexError:
                token.append(None)
                if not tasks:
                    return False
                try:
                    token.pop()
                except IndexError:
                    return False  # whoever appended found the token first
                continue
            if lane.recalled:
                self._returned.put(task)
                return False
            self._current[index] = task
            try:
                work(task)
            except BaseException as failure:  # whatever a handler raises belongs to its record
                task.failure = failure
            self._current[index] = None
            self._completed[index] += task.running
            if task.watched or task.running < len(task.messages):
                self._returned.put(task)
                return False
            if tasks:
                return True
