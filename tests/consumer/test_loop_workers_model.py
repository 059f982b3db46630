"""The promises of `test_engine_model.py`, with the workers of asynchronous handlers: their own code on a loop of
asyncio tasks, interleaved with the owner statement by statement.

Handlers may hold the loop for long, leave cancellations and context variables behind, and are cancelled at the
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from tests.consumer.stepped_loop import SteppedLoopThread, preemptible
from tests.consumer.test_engine_model import WORKERS, Consumers

from rota.consumer.aio import LoopWorkers
from rota.consumer.async_runners import Turn, each_async, in_batches_async
from rota.consumer.handlers import Batch
from rota.consumer.runners import begin_batch
from rota.consumer.state import Route
from rota.consumer.work import Task

LEFT: ContextVar[bool] = ContextVar("LEFT", default=False)


class Here:
    """The process of the moment: what compiled code cannot have as an argument."""

    model: LoopConsumers

    @classmethod
    def pause(cls) -> None:
        cls.model.thread.baton.pause()

    @classmethod
    def monotonic(cls) -> float:
        cls.model.loop_time += cls.model.random.choice([0.0, 0.0, 0.0004, 0.002])
        return cls.model.loop_time


class SteppedTurn(Turn):
    __slots__ = ()

    give = preemptible(Turn.give, Here.pause, monotonic=Here.monotonic)


class SteppedWorkers(LoopWorkers):
    """Also what `tests.consumer.fakes.FakeReturned` knows as a pool."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._turn = SteppedTurn()
        self.started = False

    def start(self) -> None:
        self.started = True
        super().start()

    def close(self) -> None:
        self.started = False
        self._thread.let_go()  # type: ignore[attr-defined]
        super().close()

    _admit = preemptible(LoopWorkers._admit, Here.pause)
    _next = preemptible(LoopWorkers._next, Here.pause)
    _go_through = preemptible(LoopWorkers._go_through, Here.pause)
    _claim = preemptible(LoopWorkers._claim, Here.pause)


_each = preemptible(each_async, Here.pause, monotonic=Here.monotonic)
_in_batches = preemptible(
    in_batches_async,
    Here.pause,
    monotonic=Here.monotonic,
    begin_batch=preemptible(begin_batch, Here.pause),
)


class Steps:
    """The loop as a pool of one worker that has much to do."""

    def __init__(self, thread: SteppedLoopThread, random: Random) -> None:
        self._thread = thread
        self._random = random

    @property
    def able(self) -> list[int]:
        return [0] * 5 if self._thread.able else []

    def step(self, _index: int) -> None:
        if self._thread.able:
            self._thread.baton.step(self._random.choice([1, 1, 2, 5, 20]))


class GivenContext:
    def __init__(self, task: Task) -> None:
        self.task = task

    def take_outputs(self) -> Sequence[object]:
        return (self.task.attempt,)


class LoopConsumers(Consumers):
    thread: SteppedLoopThread

    def start_process(self) -> None:
        self.end_process()
        Here.model = self
        self.loop_time = 0.0
        self.thread = SteppedLoopThread()
        super().start_process()
        self.returned.workers.append(Steps(self.thread, self.random))  # type: ignore[arg-type]

    def end_process(self) -> None:
        """It is killed: what its handlers do from now on nobody sees."""
        if hasattr(self, "thread"):
            self.dead = True
            for route in dict.fromkeys(self.routes.values()):
                route.workers.close()
        self.dead = False

    def teardown(self) -> None:
        self.end_process()

    def route(
        self, topic: str, batch: Batch | None, rate: float | None, due_ms: Callable[[Any], int] | None
    ) -> Route:
        made = super().route(topic, batch, rate, due_ms)
        self.returned.workers.pop()
        outputs = self.written if topic == "orders" else None
        many = batch is not None

        async def handle(given: Any, context: GivenContext) -> object:
            messages = given.messages if many else [given.message]
            return await self.handle_on_the_loop(topic, messages, context.task, many=many)

        work = (_in_batches if many else _each)(handle, None, GivenContext, outputs)
        workers = SteppedWorkers(WORKERS, work, self.returned, topic, self.thread)
        made.lanes._ready = workers.ready
        return Route(topic, made.lanes, workers, made.policy)

    async def handle_on_the_loop(
        self, topic: str, messages: Sequence[Any], task: Task, *, many: bool
    ) -> object:
        random, pause = self.random, self.thread.baton.pause
        generator = self.handle(topic, messages, task, many=many)
        answer = None
        try:
            assert not LEFT.get(), "a context variable of another record"
            while True:
                if self.dead:
                    raise asyncio.CancelledError
                try:
                    next(generator)
                except StopIteration as stop:
                    answer = stop.value
                    break
                pause()
                if random.random() < 0.6:
                    await asyncio.sleep(0)
        except AssertionError as broken:  # the model's, not the handler's
            self.thread.baton.broken = broken
            raise
        except TimeoutError:
            if random.random() < 0.3:
                raise asyncio.CancelledError("the handler's own") from None
            raise
        if random.random() < 0.1:
            LEFT.set(True)
        if random.random() < 0.1:
            this = asyncio.current_task()
            assert this is not None
            this.cancel()
        return answer


LoopConsumers.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLoopConsumers = LoopConsumers.TestCase
