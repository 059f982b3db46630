"""Of what waits, the oldest begins first: lanes take turns, however much is in each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from tests.consumer.messages import SomeMessage
from tests.kafka.ports import PATIENCE_S

from rota.consumer.core.work import Lane, Task
from rota.consumer.workers.aio import LoopWorkers
from rota.consumer.workers.async_runners import Turn
from rota.consumer.workers.threads import Threads


class Done:
    """Offsets in the order in which they were done; nothing is done before the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.offsets: SimpleQueue[int] = SimpleQueue()

    def do(self, task: Task) -> None:
        assert self.gate.wait(PATIENCE_S)
        self.offsets.put(task.messages[0].offset())
        task.running = len(task.messages)


def threads(done: Done, returned: SimpleQueue[Task]) -> Threads:
    def work(task: Task) -> None:
        done.do(task)

    return Threads(1, work, returned, "worker")


def loop(done: Done, returned: SimpleQueue[Task]) -> LoopWorkers:
    async def work(task: Task, _turn: Turn) -> bool:
        done.do(task)
        return False

    return LoopWorkers(1, work, returned, "worker")


@pytest.mark.parametrize("workers", [threads, loop])
def test_lanes_take_turns(workers: Callable[[Done, SimpleQueue[Task]], Threads | LoopWorkers]) -> None:
    done = Done()
    pool = workers(done, SimpleQueue())
    lanes = [Lane(index, taken=True) for index in range(3)]
    for offset in range(12):
        lane = lanes[offset % 3]
        lane.tasks.append(Task((SomeMessage(offset),), lane))
    pool.start()
    for lane in lanes:
        pool.ready(lane)
    done.gate.set()
    assert [done.offsets.get(timeout=PATIENCE_S) for _ in range(12)] == list(range(12))
    pool.close()
