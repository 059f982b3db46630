"""One handler on a fake Kafka, step by step, for tests that name one thing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any

from tests.consumer.fakes import FakeClient, FakeClock, FakeKafka, FakeMessage, FakeReturned, FakeWorkers

from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import Order, ordering_for
from rota.consumer.core.policy import DeadLetter, Policy, Retry
from rota.consumer.core.state import Limits, Observer, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.effects.outputs import Outputs
from rota.consumer.handlers import Batch
from rota.model import TopicPartition

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


class Stage:
    """``begun`` and ``done``: offsets, in their order; of partition 1 they are written as 1000 more.

    A handler runs until the test lets it end: offsets in ``stuck`` stay, those in ``fails`` raise what is
    there. ``behaves``: what the handler of a batch does instead.
    """

    def __init__(
        self,
        *,
        order: Order = "key",
        workers: int = 3,
        batch: Batch | None = None,
        rate: float | None = None,
        due_ms: Callable[[Any], int] | None = None,
        attempts: int = 1,
        dead_letter: DeadLetter | None = None,
        behaves: Callable[[Sequence[Any]], Any] | None = None,
        observer: Observer | None = None,
        letters: Any = None,
        outputs: Outputs | None = None,
        **limits: Any,
    ) -> None:
        self.clock = FakeClock()
        self.kafka = FakeKafka()
        self.client = FakeClient(self.kafka)
        self.stuck: set[int] = set()
        self.fails: dict[int, BaseException] = {}
        self.begun: list[int] = []
        self.done: list[int] = []
        self.batches: list[list[int]] = []
        self._behaves = behaves
        self._many = batch is not None
        returned = FakeReturned(Random(1), self.clock)
        ours = Ours()
        self.workers = FakeWorkers(workers, returned, self._handle, batch=self._many, outputs=outputs)
        self.lanes = Lanes(
            ordering_for(order, 8, "partition"),
            self.workers.ready,
            ours.owns,
            batch=batch,
            rate=rate,
            due_ms=due_ms,
        )
        policy = Policy(Retry(attempts=attempts, backoff=(0.01, 0.01)), dead_letter)
        self.route = Route("handle", self.lanes, self.workers, policy, outputs=outputs)
        self.engine = Engine(
            self.client,
            {"orders": self.route},
            ours,
            returned,
            self.clock,
            Random(2),
            limits=Limits(**{"commit_interval": 50, "commit_spacing": 5, "commit_every": 3, **limits}),
            observer=observer,
            dead_letters=letters,
        )
        self.client.subscribe(["orders"], self.engine)
        self.client.assign([P0, P1])

    def produce(self, keys: Sequence[str | None], partition: TopicPartition = P0) -> list[FakeMessage]:
        """A record for each key."""
        return [self.kafka.produce(partition, key.encode() if key else None) for key in keys]

    def fetch(self, most: int = 10_000) -> int:
        """One poll, with as much as there is room for; how many came."""
        room = self.engine.room()
        found = self.client.consume(min(most, room), 0) if room else ()
        self.engine.dispatch(found)
        return len(found)

    def work(self, steps: int = 300) -> None:
        """Workers go on in turns, until they have nothing to do or only stuck records."""
        for _ in range(steps):
            for index in self.workers.able:
                self.workers.step(index)

    def tick(self, ms: int = 0) -> None:
        self.clock.now += ms
        self.engine.tick()

    def go_on(self, ms: int = 300) -> None:
        """Everything, for so long."""
        for _ in range(ms):
            self.fetch()
            self.work(40)
            self.tick(1)
            self.client.answer()

    def committed(self, partition: TopicPartition = P0) -> int | None:
        known = self.kafka.committed.get(partition)
        return None if known is None else known.offset

    def _handle(self, given: Any, _task: Task) -> Generator[None, None, Any]:
        messages = given if self._many else [given]
        names = [message.at + 1000 * message.where.partition for message in messages]
        self.begun += names
        self.batches.append(names)
        while self.stuck & set(names):
            yield
        yield
        for name in names:
            if name in self.fails:
                raise self.fails[name]
        if self._behaves is not None:
            answer = self._behaves(messages)
            if answer is not None:
                return answer
        self.done += names
        return None
