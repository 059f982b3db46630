"""The promises of `test_engine_model.py`, with the workers of asynchronous handlers: their own code on a loop of
asyncio tasks, interleaved with the owner statement by statement.

Handlers may hold the loop for long, leave cancellations and context variables behind, and are cancelled at the
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.consumer.stepped_loop import SteppedLoopThread, preemptible
from tests.consumer.test_engine_model import WORKERS, Consumers

from rota.consumer.core.state import Route
from rota.consumer.core.work import Task
from rota.consumer.handlers import Batch
from rota.consumer.workers.aio import LoopWorkers
from rota.consumer.workers.async_runners import Turn, each_async, in_batches_async
from rota.consumer.workers.runners import begin_batch

PLACES = ("_admit", "_next", "_go_through", "_claim", "work", "begin_batch", "give", "handler")
LEFT: ContextVar[bool] = ContextVar("LEFT", default=False)


class Here:
    """The process of the moment: what compiled code cannot have as an argument."""

    model: LoopConsumers

    @classmethod
    def pause(cls, place: str) -> None:
        cls.model.thread.baton.pause(place)

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

    def __init__(self, model: LoopConsumers) -> None:
        self._model = model

    @property
    def able(self) -> list[int]:
        self._model.time_passes()
        return [0] * WORKERS if self._model.thread.able else []

    def step(self, _index: int) -> None:
        if self._model.thread.able:
            self._model.thread.baton.step(self._model.random.choice([1, 1, 2, 5]))


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
        self.waiting: list[asyncio.Future[None]] = []
        self.waiting_since = self.clock.now
        self.thread = SteppedLoopThread()
        super().start_process()
        self.returned.workers.append(Steps(self))  # type: ignore[arg-type]

    def a_worker_goes_on(self) -> None:
        if not self.thread.baton.inside:
            super().a_worker_goes_on()

    async def a_moment(self) -> None:
        self.waiting.append(self.thread.loop.create_future())
        await self.waiting[-1]

    def time_passes(self) -> None:
        """Who waits for the clock goes on when it has moved."""
        if self.clock.now > self.waiting_since:
            self.waiting_since = self.clock.now
            woken, self.waiting = self.waiting, []
            for future in woken:
                if not future.done():
                    future.set_result(None)

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

    @rule(place=st.sampled_from(PLACES), times=st.integers(1, 6))
    def go_to(self, place: str, times: int) -> None:
        """Let the loop's thread go on into one of these functions: what comes next happens while it is there."""
        for _ in range(300):
            if times == 0 or not self.thread.able:
                return
            self.thread.baton.step()
            times -= self.thread.baton.place == place

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
                pause("handler")
                how = random.random()
                if how < 0.2:
                    await asyncio.sleep(0)
                elif how < 0.6:
                    await self.a_moment()
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
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLoopConsumers = LoopConsumers.TestCase
