"""The engine's promises under any interleaving of what can happen to a consumer.

Hypothesis plays Kafka, the workers and the clock. After every step the oracle looks at what was committed,
what ran beside what and in which order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.consumer.fakes import FakeClient, FakeClock, FakeKafka, FakeReturned, FakeWorkers

from rota.consumer.client import Message
from rota.consumer.engine import Engine
from rota.consumer.lanes import Lanes
from rota.consumer.offset_metadata import decode_done
from rota.consumer.ordering import Order, ordering_for
from rota.consumer.policy import Policy, Retry, skip
from rota.consumer.state import Limits, Ours, Route
from rota.consumer.work import Task
from rota.model import TopicPartition

TOPIC = "orders"
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(2)]
WORKERS = 3


class Oracle:
    """What the handler saw: which records ran, in which order, and which are done."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.done: dict[TopicPartition, set[int]] = defaultdict(set)
        self.keys: dict[TopicPartition, list[tuple[int, object]]] = defaultdict(list)
        self.running: dict[object, tuple[TopicPartition, int]] = {}

    def key_of(self, message: Message) -> object:
        if self.order == "key":
            return message.topic(), message.partition(), message.key()
        if self.order == "partition":
            return message.partition()
        return message.partition(), message.offset()

    def begin(self, message: Message) -> None:
        key = self.key_of(message)
        assert key not in self.running, f"{message} began while {self.running[key]} of the same order key ran"
        where = TopicPartition(message.topic(), message.partition())
        assert self.order_kept(where, key, message.offset()), (
            f"{message} began before one of its order key was done"
        )
        self.running[key] = (where, message.offset())

    def order_kept(self, where: TopicPartition, key: object, offset: int) -> bool:
        """Whether every earlier record of the order key is done."""
        return all(
            at in self.done[where] for at, its_key in self.keys[where] if its_key == key and at < offset
        )

    def end(self, message: Message, *, done: bool) -> None:
        del self.running[self.key_of(message)]
        if done:
            self.done[TopicPartition(message.topic(), message.partition())].add(message.offset())

    def crash(self) -> None:
        self.running.clear()


class Consumers(RuleBasedStateMachine):
    @initialize(
        order=st.sampled_from(["key", "partition", "none"]),
        seed=st.integers(0, 10_000),
        metadata=st.sampled_from([0, 20, 4095]),
    )
    def begin(self, order: Order, seed: int, metadata: int) -> None:
        self.order: Order = order
        self.random = Random(seed)
        self.metadata = metadata
        self.kafka = FakeKafka()
        self.oracle = Oracle(order)
        self.clock = FakeClock()
        self.start_process()
        for partition in PARTITIONS:
            self.produce(partition, [b"a", b"b", b"a", b"c", b"b", b"a"], 0)
        self.client.assign(PARTITIONS)

    def start_process(self) -> None:
        self.client = FakeClient(self.kafka)
        returned = FakeReturned(self.random, self.clock)
        self.workers = FakeWorkers(WORKERS, returned, self.handle)
        ours = Ours()
        lanes = Lanes(ordering_for(self.order, 4, "partition"), self.workers.ready, ours.owns)
        route = Route("handler", lanes, self.workers, Policy(Retry(attempts=3, backoff=(0.01, 0.05))))
        self.engine = Engine(
            self.client,
            {TOPIC: route},
            ours,
            returned,
            self.clock,
            self.random,
            limits=Limits(
                in_flight=40,
                in_flight_per_partition=25,
                commit_interval=50,
                commit_every=5,
                commit_spacing=5,
                metadata_bytes=self.metadata,
                slow=30,
                revoke_drain=100,
                shutdown_drain=100,
            ),
        )
        self.lanes = lanes
        self.client.subscribe([TOPIC], self.engine)

    def handle(self, message: Message, task: Task) -> Iterator[None]:
        self.oracle.begin(message)
        for _ in range(self.random.choice([0, 1, 1, 2, 30])):
            yield
        outcome = self.random.random()
        if outcome < 0.12 and task.attempt < 3:
            self.oracle.end(message, done=False)
            raise TimeoutError("the handler's own")
        if outcome < 0.15:
            self.oracle.end(message, done=True)
            raise skip()
        self.oracle.end(message, done=True)

    @rule(
        partition=st.sampled_from(PARTITIONS),
        keys=st.lists(st.sampled_from([b"a", b"b", b"c", b"d", None]), min_size=1, max_size=8),
        hole=st.sampled_from([0, 0, 0, 1, 3]),
    )
    def produce(self, partition: TopicPartition, keys: list[bytes | None], hole: int) -> None:
        for key in keys:
            message = self.kafka.produce(partition, key, hole)
            self.oracle.keys[partition].append((message.offset(), self.oracle.key_of(message)))

    @rule(most=st.integers(1, 20))
    def fetch(self, most: int) -> None:
        if (room := self.engine.gates.room()) > 0:
            self.engine.dispatch(self.client.consume(min(most, room), 0))

    @rule(steps=st.integers(1, 300))
    def work(self, steps: int) -> None:
        """Workers go on, in an order that the seed decides."""
        for _ in range(steps):
            self.workers.step(self.random.randrange(WORKERS))

    @rule(ms=st.sampled_from([0, 1, 5, 10, 50, 200]))
    def tick(self, ms: int) -> None:
        self.clock.now += ms
        self.engine.tick()

    @rule(ok=st.booleans())
    def commit_is_answered(self, ok: bool) -> None:
        self.client.answer(ok=ok)

    @rule(chosen=st.sets(st.sampled_from(PARTITIONS), min_size=1))
    def assign(self, chosen: set[TopicPartition]) -> None:
        fresh = sorted(chosen - set(self.client.fetch_at))
        if fresh:
            self.client.assign(fresh)

    @rule(chosen=st.sets(st.sampled_from(PARTITIONS), min_size=1), fails=st.booleans())
    def revoke(self, chosen: set[TopicPartition], fails: bool) -> None:
        going = sorted(chosen & set(self.client.fetch_at))
        if going:
            self.client.commits_fail = fails
            self.client.withdraw(going, lost=False)
            self.client.commits_fail = False

    @rule(chosen=st.sets(st.sampled_from(PARTITIONS), min_size=1))
    def lose(self, chosen: set[TopicPartition]) -> None:
        going = sorted(chosen & set(self.client.fetch_at))
        before = dict(self.kafka.committed)
        if going:
            self.client.withdraw(going, lost=True)
        assert {p: self.kafka.committed.get(p) for p in going} == {p: before.get(p) for p in going}

    @rule()
    def crash(self) -> None:
        self.oracle.crash()
        self.start_process()

    @rule()
    def stop_and_start(self) -> None:
        self.engine.finish()
        self.oracle.crash()
        self.start_process()

    @precondition(lambda self: len(self.client.fetch_at) > 0)
    @rule()
    def everything_ends(self) -> None:
        """Nothing is stuck: left alone, every record that can be fetched becomes done and committed."""
        self.client.answer(ok=True)
        for _ in range(20_000):
            if (room := self.engine.gates.room()) > 0:
                self.engine.dispatch(self.client.consume(room, 0))
            for index in self.workers.able:
                self.workers.step(index)
            self.clock.now += 1
            self.engine.tick()
            self.client.answer(ok=True)
            if all(self.caught_up(partition) for partition in self.client.fetch_at):
                return
        raise AssertionError(
            f"stuck: {self.lanes.blocked} {self.lanes.running()}, in flight {self.engine.commits.undone()}"
        )

    def caught_up(self, partition: TopicPartition) -> bool:
        log = self.kafka.records.get(partition, [])
        committed = self.kafka.committed.get(partition)
        return not log or (committed is not None and committed.offset >= log[-1].at + 1)

    @invariant()
    def nothing_is_committed_that_is_not_done(self) -> None:
        for partition, (offset, metadata) in getattr(self, "kafka", FakeKafka()).committed.items():
            beyond = {at for first, end in decode_done(offset, metadata) for at in range(first, end)}
            for message in self.kafka.records[partition]:
                if message.at < offset or message.at in beyond:
                    assert message.at in self.oracle.done[partition], f"{message} is committed and not done"
            assert offset <= self.kafka.records[partition][-1].at + 1


Consumers.TestCase.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestConsumers = Consumers.TestCase
