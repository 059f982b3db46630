"""Two handlers of one consumer, ``slow`` and ``fast``, by a clock; what waits of ``slow`` always comes first."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tests.consumer.fakes import FakeClient, FakeClock, FakeKafka, FakeMessage, FakeReturned, FakeWorkers

from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ordering_for
from rota.consumer.core.policy import Policy
from rota.consumer.core.state import Limits, Observer, Ours, Route
from rota.model import TopicPartition

SLOW, FAST = TopicPartition("slow", 0), TopicPartition("fast", 0)

FETCH_WAIT_MS = 500


class _LateClient(FakeClient):
    """What is resumed is there again with the fetch after the one that waits at the broker."""

    def __init__(self, kafka: FakeKafka, clock: FakeClock) -> None:
        super().__init__(kafka)
        self._clock = clock
        self._there_ms: dict[TopicPartition, int] = {}

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        again = self.paused.intersection(partitions)
        self._there_ms.update(dict.fromkeys(again, self._clock.now + FETCH_WAIT_MS))
        super().resume(partitions)

    def _next(self, partition: TopicPartition) -> FakeMessage | None:
        records, at = self.kafka.records.get(partition, []), self.fetch_at[partition]
        if at >= len(records) or self._clock.now < self._there_ms.get(partition, 0):
            return None
        self.fetch_at[partition] = self.handed_out[partition] = at + 1
        return records[at]


class TwoHandlers:
    """``slow`` handles ``per_ms`` records in a millisecond, ``fast`` whatever it has. ``done``: how many, by topic."""

    def __init__(self, *, in_flight: int, per_ms: float, observer: Observer | None = None) -> None:
        self.clock = FakeClock()
        self.kafka = FakeKafka()
        self.client = _LateClient(self.kafka, self.clock)
        self.done = {"slow": 0, "fast": 0}
        self.per_ms = per_ms
        self._allowed = 0.0
        self._returned = FakeReturned(Random(1), self.clock)
        self._ours = Ours()
        self.routes = {topic: self._route(topic) for topic in self.done}
        self.engine = Engine(
            self.client,
            self.routes,
            self._ours,
            self._returned,
            self.clock,
            Random(2),
            limits=Limits(in_flight=in_flight, in_flight_per_partition=in_flight, slow=10**6),
            observer=observer,
        )
        self.client.subscribe(list(self.done), self.engine)

    def produce(self, partition: TopicPartition, count: int = 1) -> None:
        for _ in range(count):
            self.kafka.produce(partition, None)

    def go_on(self, ms: int) -> None:
        """Everything, for so long."""
        for _ in range(ms):
            if room := self.engine.room():
                self.engine.dispatch(self.client.consume(room, 0))
            self._work()
            self.clock.now += 1
            self.engine.tick()
            self.client.answer()

    def until_handled(self, count: int, most_ms: int = 60_000) -> int:
        """Until ``fast`` has handled so many; how many milliseconds that took."""
        for ms in range(most_ms):
            if self.done["fast"] >= count:
                return ms
            self.go_on(1)
        raise AssertionError(f"after {most_ms} ms fast has handled {self.done['fast']} of {count}")

    def _work(self) -> None:
        slow, fast = self._returned.workers
        self._allowed = min(self._allowed + self.per_ms, self.done["slow"] + self.per_ms + 1)
        while self.done["slow"] < self._allowed and slow.able:
            slow.step(0)
        while fast.able:
            fast.step(0)

    def _route(self, topic: str) -> Route:
        def handle(_message: object, _task: object) -> object:
            self.done[topic] += 1
            yield

        workers = FakeWorkers(1, self._returned, handle)  # type: ignore[arg-type]
        lanes = Lanes(ordering_for("partition", 1, "partition"), workers.ready, self._ours.owns)
        return Route(topic, lanes, workers, Policy())
