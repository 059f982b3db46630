"""Workers on an event loop: asynchronous handlers, many at once in one thread.

They go through lanes as threads do (`rota.consumer.workers.threads`), by the protocol in `rota.consumer.core.work`, of
which they are the worker's side; the owner's side runs in its own thread. There is one asyncio task for a
lane at work, not one for a record.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from rota.consumer.workers.async_runners import Turn
from rota.consumer.workers.loop_thread import CLOSE_S, LoopThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue

    from rota.consumer.core.work import Lane, Task
    from rota.consumer.workers.async_runners import AsyncWork

__all__ = ["LoopWorkers"]

log = logging.getLogger("rota.consumer")


class _Worker:
    """One of those that are at work at once: a lane, the task of it that is being done, the asyncio task that
    does it.
    """

    __slots__ = ("lane", "name", "runs", "task")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lane: Lane | None = None
        self.task: Task | None = None
        self.runs: asyncio.Task[None] | None = None


class LoopWorkers:
    """``count`` records at once, done by ``work`` (see `AsyncWork`); tasks that are given back go into
    ``returned``. What ``work`` raises, a CancelledError too, becomes `Task.failure`.

    ``loop``: shared with others, or None: one of its own. Handlers find the context variables as they are when
    this is made.
    """

    def __init__(
        self,
        count: int,
        work: AsyncWork,
        returned: SimpleQueue[Task],
        name: str,
        loop: LoopThread | None = None,
    ) -> None:
        self._thread = loop or LoopThread(f"{name}-loop")
        self._work = work
        self._returned = returned
        self._ready: deque[Lane] = deque()
        self._woken = False
        self._workers = [_Worker(f"{name}-{index + 1}") for index in range(count)]
        self._idle = self._workers[::-1]
        self._completed = 0
        self._turn = Turn()
        self._context = contextvars.copy_context()
        self._ended = threading.Event()
        self._open = False

    def start(self) -> None:
        self._open = True
        self._thread.start()

    def ready(self, lane: Lane) -> None:
        """The owner has put tasks into a lane and holds its token."""
        self._ready.append(lane)
        # However many lanes become ready at once, the loop is woken once: it takes the mark away before it
        # looks.
        if not self._woken:
            self._woken = True
            self._thread.soon(self._admit)

    @property
    def completed(self) -> int:
        """Records that workers have finished, in tasks that ended."""
        return self._completed

    @property
    def blocked(self) -> bool:
        """Whether a handler keeps the loop, which others share, from going on."""
        return self._thread.blocked()

    def current(self) -> Iterator[Task]:
        """The task of each worker that is at one; while the loop is blocked, only the one that blocks it."""
        if self._thread.blocked():
            running = asyncio.current_task(self._thread.loop)
            found = [worker.task for worker in self._workers if running and worker.runs is running]
        else:
            found = [worker.task for worker in self._workers]
        return (task for task in found if task is not None)

    def close(self) -> None:
        """Cancel what still runs; it counts neither as done nor as failed. Returns in bounded time."""
        if not self._open:
            return
        self._open = False
        if self._thread.soon(self._end) and not self._ended.wait(CLOSE_S):
            log.warning("handlers go on though they were cancelled%s", self._thread.where())
        self._thread.release()

    # On the loop.

    def _admit(self) -> None:
        self._woken = False
        while self._ready and self._idle and not self._turn.over:
            worker = self._idle.pop()
            worker.lane = self._ready.popleft()
            self._begin(worker)
        self._turn.share(len(self._workers) - len(self._idle))

    def _begin(self, worker: _Worker) -> None:
        """Go on with its lane, in an asyncio task that knows nothing of records before."""
        loop = self._thread.loop
        runs = loop.create_task(self._go_through(worker), name=worker.name, context=self._context.copy())
        worker.runs = runs
        runs.add_done_callback(lambda _: self._next(worker))

    def _next(self, worker: _Worker) -> None:
        worker.runs = None
        if self._turn.over:
            self._leave(worker)
            return
        if worker.lane is None and self._ready:
            worker.lane = self._ready.popleft()
        if worker.lane is None:
            self._idle.append(worker)
        else:
            self._begin(worker)

    async def _go_through(self, worker: _Worker) -> None:
        """Until there is nothing to do, or the next record should have an asyncio task of its own."""
        work, turn, ready = self._work, self._turn, self._ready
        while worker.lane is not None:
            task = worker.task or self._claim(worker, worker.lane)
            if task is None:
                worker.lane = ready.popleft() if ready else None
                continue
            try:
                again = await work(task, turn)
            except BaseException as failure:  # whatever a handler raises belongs to its record
                if turn.over:
                    raise
                task.failure = failure
                again = True
            if turn.over:
                return
            if task.failure is None and again and task.running < task.end:
                return
            worker.task = None
            self._completed += task.running
            if task.watched or task.running < len(task.messages):
                worker.lane = None
                self._returned.put(task)
                again = True
            elif ready and worker.lane.tasks:  # what was fetched before comes before
                ready.append(worker.lane)
                worker.lane = ready.popleft()
            if again:
                return

    def _claim(self, worker: _Worker, lane: Lane) -> Task | None:
        """The next task of the lane; None if there is none for us, and the lane is let go."""
        while True:
            try:
                task = lane.tasks.popleft()
            except IndexError:
                lane.token.append(None)
                if not lane.tasks:
                    return None
                try:
                    lane.token.pop()
                except IndexError:
                    return None  # whoever appended found the token first
                continue
            if lane.recalled:
                self._returned.put(task)
                return None
            worker.task = task
            return task

    def _end(self) -> None:
        self._turn.end()
        for worker in self._workers:
            if worker.runs is not None:
                worker.runs.cancel()
        self._leave(None)

    def _leave(self, worker: _Worker | None) -> None:
        if worker is not None:
            worker.lane = worker.task = None
        if all(other.runs is None for other in self._workers):
            self._ended.set()
