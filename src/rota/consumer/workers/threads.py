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
        self.ready = self._ready.put

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

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
        while (lane := self._ready.get()) is not None:
            self._go_through(lane, index)

    def _go_through(self, lane: Lane, index: int) -> None:
        tasks, token, work = lane.tasks, lane.token, self._work
        completed, current = self._completed, self._current
        while True:
            try:
                task = tasks.popleft()
            except IndexError:
                token.append(None)
                if not tasks:
                    return
                try:
                    token.pop()
                except IndexError:
                    return  # whoever appended found the token first
                continue
            if lane.recalled:
                self._returned.put(task)
                return
            current[index] = task
            try:
                work(task)
            except BaseException as failure:  # whatever a handler raises belongs to its record
                task.failure = failure
            current[index] = None
            completed[index] += task.running
            if task.watched or task.running < len(task.messages):
                self._returned.put(task)
                return
            if tasks:  # behind the lanes that are ready: what was fetched before comes before
                self.ready(lane)
                return
