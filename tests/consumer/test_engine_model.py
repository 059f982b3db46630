"""The engine's promises under any interleaving of what can happen to a consumer.

Hypothesis plays Kafka, the workers, the topic of dead letters and the clock. Two handlers: of ``orders`` and
its retry topic, record by record; of ``events``, in batches or not. After every step the oracles look at
what was committed, what ran beside what and in which order, and what is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.consumer.fakes import FakeClock, FakeKafka, FakeMessage, FakeReturned, FakeWorkers
from tests.consumer.oracle import TROUBLES, CheckedClient, Oracle
from tests.consumer.stepwise import Meanwhile, interleaved

from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes, _drain
from rota.consumer.core.ordering import Order, ordering_for
from rota.consumer.core.policy import DeadLetter, Policy, Retry, skip
from rota.consumer.core.state import Limits, Observer, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.handlers import Batch
from rota.consumer.record import Record
from rota.consumer.workers.runners import BatchError, Done
from rota.model import TopicPartition

ORDERS = [TopicPartition("orders", number) for number in range(2)]
LATER = TopicPartition("orders.retry", 0)
EVENTS = [TopicPartition("events", number) for number in range(2)]
PARTITIONS = [*ORDERS, LATER, *EVENTS]
WORKERS = 3
ATTEMPTS = 3
IN_FLIGHT = 24
IN_FLIGHT_PER_PARTITION = 15

partitions = st.sampled_from(PARTITIONS)
some = st.sets(partitions, min_size=1)
orders = st.sampled_from(["key", "partition", "none"])


class Letters:
    """The topic of dead letters: takes its time, and may refuse."""

    def __init__(self, model: Consumers) -> None:
        self._model = model
        self.pending: list[tuple[FakeMessage, Callable[[str | None], None]]] = []

    def send(
        self,
        message: Any,
        _failure: BaseException,
        _attempts: int,
        _topic: str,
        delivered: Callable[[str | None], None],
        _wait_ms: int | None = None,
    ) -> None:
        assert message in self._model.client.open.get(message.where, ()), f"{message} is not ours any more"
        self.pending.append((message, delivered))

    def serve(self) -> None:
        while self.pending and self._model.random.random() < 0.3:
            message, delivered = self.pending.pop(0)
            problem = "the topic is gone" if self._model.random.random() < 0.03 else None
            if problem is None:
                self._model.oracles[message.topic()].is_done(message)
            delivered(problem)


class SteppedTask(Task):
    """The owner's side of a task, statement by statement."""

    __slots__ = ()

    cut = interleaved(Task.cut)
    cut_batch = interleaved(Task.cut_batch)


_drained = interleaved(_drain)


class SteppedLanes(Lanes):
    """The places where owner and workers look at each other, statement by statement."""

    _append = interleaved(Lanes._append)
    again = interleaved(Lanes.again)
    detach = interleaved(Lanes.detach)
    recall = interleaved(Lanes.recall, _drain=_drained)
    abandon = interleaved(Lanes.abandon)
    give_back = interleaved(Lanes.give_back)
    _reopen = interleaved(Lanes._reopen, _drain=_drained)


class Skipped(Observer):
    """What the policy skips is done, too."""

    def __init__(self, oracles: dict[str, Oracle]) -> None:
        self._oracles = oracles

    def failed(self, message: Any, _failure: BaseException, _attempt: int, action: str) -> None:
        if action == "skip":
            self._oracles[message.topic()].is_done(message)


class Consumers(RuleBasedStateMachine):
    @initialize(
        order=orders,
        order_of_events=orders,
        batch=st.sampled_from([None, Batch(4, 20), Batch(3, 0), Batch(100, 60)]),
        policy=st.sampled_from(["dead-letter", "dead-letter", "skip", "stop"]),
        rate=st.sampled_from([None, None, 300.0]),
        seed=st.integers(0, 10_000),
        metadata=st.sampled_from([0, 20, 4095, 4095]),
        largest_metadata=st.sampled_from([14, 4096, 4096]),
    )
    def begin(
        self,
        order: Order,
        order_of_events: Order,
        batch: Batch | None,
        policy: str,
        rate: float | None,
        seed: int,
        metadata: int,
        largest_metadata: int,
    ) -> None:
        self.batch, self.policy, self.rate, self.metadata = batch, policy, rate, metadata
        self.random = Random(seed)
        self.problems: list[AssertionError] = []
        self.interrupting = False
        """Whether the owner is in the middle of something."""
        self.kafka = FakeKafka(largest_metadata=largest_metadata)
        of_orders, of_events = Oracle(order), Oracle(order_of_events)
        self.oracles = {"orders": of_orders, "orders.retry": of_orders, "events": of_events}
        self.clock = FakeClock()
        self.start_process()
        for partition in PARTITIONS:
            self.produce(partition, [b"a", b"b", b"a", b"c", b"b", b"a"], 0, [0])
        self.client.assign(PARTITIONS)

    def start_process(self) -> None:
        for oracle in self.oracles.values():
            oracle.crash()
        self.client = CheckedClient(self.kafka, self.oracles)
        self.letters = Letters(self)
        self.written = self.client.written
        self.returned = FakeReturned(self.random, self.clock)
        self.ours = Ours()
        first = self.route("orders", None, self.rate, lambda message: message.due_ms - self.clock.now)
        second = self.route("events", self.batch, None, None)
        first.outputs = self.written
        self.routes = {"orders": first, "orders.retry": first, "events": second}
        self.engine = Engine(
            self.client,
            self.routes,
            self.ours,
            self.returned,
            self.clock,
            self.random,
            limits=Limits(
                in_flight=IN_FLIGHT,
                in_flight_per_partition=IN_FLIGHT_PER_PARTITION,
                commit_interval=50,
                commit_every=5,
                commit_spacing=5,
                metadata_bytes=self.metadata,
                slow=30,
                revoke_drain=100,
                shutdown_drain=100,
            ),
            dead_letters=self.letters,
            observer=Skipped(self.oracles),
        )
        Meanwhile.step = self.a_worker_goes_on
        self.engine.start()
        self.client.subscribe(["orders", "events"], self.engine)

    def a_worker_goes_on(self) -> None:
        if self.random.random() < 0.15:
            self.interrupting = True
            self.work(self.random.choice([1, 1, 2, 10]))
            self.interrupting = False

    def route(
        self, topic: str, batch: Batch | None, rate: float | None, due_ms: Callable[[Any], int] | None
    ) -> Route:
        workers = FakeWorkers(
            WORKERS,
            self.returned,
            lambda given, task: self.handle(topic, given if batch else [given], task, many=batch is not None),
            batch=batch is not None,
            outputs=self.written if topic == "orders" else None,
        )
        ordering = ordering_for(self.oracles[topic].order, 4, "partition")
        lanes = SteppedLanes(
            ordering,
            workers.ready,
            self.ours.owns,
            batch=batch,
            rate=rate,
            due_ms=due_ms,
            task=SteppedTask,
        )
        policy = Policy(
            Retry(attempts=ATTEMPTS, backoff=(0.01, 0.05)),
            DeadLetter("dead", limit=10_000) if self.policy == "dead-letter" else None,
            self.policy == "skip",
        )
        return Route(topic, lanes, workers, policy)

    def handle(
        self, topic: str, messages: Sequence[Any], task: Task, *, many: bool
    ) -> Generator[None, None, Any]:
        """The handler of a topic: takes its time, and fails now and then."""
        oracle, random = self.oracles[topic], self.random
        try:
            self.check_begin(topic, messages, task, many=many)
            oracle.begin(messages)
        except AssertionError as problem:
            self.problems.append(problem)  # what a handler raises is its record's
        until_ms = self.clock.now + random.choice([0] * 7 + [5, 40, 300])
        for _ in range(random.choice([0, 1, 1, 2, 10])):
            yield
        while self.clock.now < until_ms:
            yield
        outcome = random.random()
        if self.policy != "stop" and any(message.at % 11 == 7 for message in messages):
            outcome = 0.0
        upto = random.randrange(len(messages))
        if outcome < 0.1:
            oracle.end(messages, 0)
            raise TimeoutError("the handler's own")
        if outcome < 0.14:
            oracle.end(messages, len(messages))
            raise skip()
        if outcome < 0.2 and many:
            oracle.end(messages, upto)
            raise BatchError(Record(messages[upto], repr)) from OSError("that one")
        if outcome < 0.3 and many:
            oracle.end(messages, upto + 1)
            return Done(Record(messages[upto], repr))
        oracle.end(messages, len(messages))
        oracle.succeeded.update(messages)
        return None

    def check_begin(self, topic: str, messages: Sequence[Any], task: Task, *, many: bool) -> None:
        lanes = self.routes[topic].lanes
        for message in messages:
            assert message.due_ms <= self.clock.now, f"{message} began before its time"
            if message in self.client.open.get(message.where, ()):
                assert message.at not in self.client.kept[message.where], f"{message} was done before it came"
            if not self.ours.owns(message) and not self.interrupting:
                assert task in lanes._open or task in lanes._apart, (
                    f"{message} began, though its partition had gone"
                )
        if self.batch is not None and many:
            assert len(messages) <= self.batch.most
            assert len({message.where for message in messages}) == 1

    # What happens.

    @rule(turns=st.integers(1, 25), chosen=some)
    def life_goes_on(self, turns: int, chosen: set[TopicPartition]) -> None:
        """Records come and are handled; nothing else happens."""
        random = self.random
        for _ in range(turns):
            if random.random() < 0.3:
                partition = random.choice(sorted(chosen))
                self.produce(partition, random.choices([b"a", b"b", b"c", None], k=4), 0, [0, 10])
            if random.random() < 0.5:
                self.fetch(random.randrange(1, 20))
            self.work(random.randrange(80))
            self.clock.now += random.choice([0, 0, 1, 3])
            self.engine.tick()
            if random.random() < 0.5:
                self.client.answer()

    @rule(turns=st.integers(10, 25))
    def life_goes_on_everywhere(self, turns: int) -> None:
        self.life_goes_on(turns, set(PARTITIONS))

    @rule(
        partition=partitions,
        keys=st.lists(st.sampled_from([b"a", b"b", b"c", b"d", None]), min_size=1, max_size=8),
        hole=st.sampled_from([0, 0, 0, 1, 3]),
        waits_ms=st.lists(st.sampled_from([0, 20, 150]), min_size=1, max_size=3),
    )
    def produce(
        self, partition: TopicPartition, keys: list[bytes | None], hole: int, waits_ms: list[int]
    ) -> None:
        for index, key in enumerate(keys):
            wait_ms = waits_ms[index % len(waits_ms)] if partition == LATER else 0
            due_ms = self.clock.now + wait_ms
            message = self.kafka.produce(partition, key, hole, due_ms)
            self.oracles[partition.topic].produced(message)

    @rule(partition=partitions)
    def mark(self, partition: TopicPartition) -> None:
        self.kafka.mark(partition)

    @rule(most=st.integers(1, 60))
    def fetch(self, most: int) -> None:
        if (room := self.engine.room()) > 0:
            self.engine.dispatch(self.client.consume(min(most, room), 0))

    @rule(most=st.integers(2, 20), chosen=some, lost=st.booleans(), again=st.booleans())
    def rebalance_while_records_are_handed_out(
        self, most: int, chosen: set[TopicPartition], lost: bool, again: bool
    ) -> None:
        going = sorted(chosen & set(self.client.fetch_at))

        def rebalance() -> None:
            if going:
                self.client.withdraw(going, lost=lost)
            if going and again:
                self.client.assign(going)

        if (room := self.engine.room()) > 0:
            self.engine.dispatch(self.client.fetch(min(most, room), rebalance))

    @rule(steps=st.integers(1, 300))
    def work(self, steps: int) -> None:
        """Workers go on, in an order that the seed decides."""
        for _ in range(steps):
            pool = self.random.choice(self.returned.workers)
            able = pool.able
            if able:
                pool.step(self.random.choice(able))

    @rule(ms=st.sampled_from([0, 1, 5, 10, 50, 200, 700]))
    def tick(self, ms: int) -> None:
        self.clock.now += ms
        self.engine.tick()
        self.engine.gates.apply(self.clock.now)
        reasons = self.engine.gates.reasons(self.clock.now)
        assert {p for p, state in self.engine.partitions.items() if state.paused} == set(reasons)

    @rule(trouble=st.sampled_from([None, None, *TROUBLES]), lost=st.booleans())
    def commit_is_answered(self, trouble: str | None, lost: bool) -> None:
        if trouble is None:
            self.client.answer()
        else:
            self.client.answer(error=TROUBLES[trouble](), lost=lost)

    @rule(chosen=some)
    def assign(self, chosen: set[TopicPartition]) -> None:
        fresh = sorted(chosen - set(self.client.fetch_at))
        if fresh:
            self.client.assign(fresh)

    @rule(chosen=some, troubles=st.lists(st.sampled_from(list(TROUBLES)), max_size=3))
    def revoke(self, chosen: set[TopicPartition], troubles: list[str]) -> None:
        going = sorted(chosen & set(self.client.fetch_at))
        if going:
            self.client.commits_fail = [TROUBLES[trouble]() for trouble in troubles]
            others = {p: id(state) for p, state in self.engine.partitions.items() if p not in going}
            fetched = {p: list(self.client.open[p]) for p in going}
            self.client.withdraw(going, lost=False)
            self.client.commits_fail = []
            assert {p: id(state) for p, state in self.engine.partitions.items()} == others
            if not troubles:
                self.all_that_is_done_was_committed(fetched)

    def all_that_is_done_was_committed(self, fetched: dict[TopicPartition, list[FakeMessage]]) -> None:
        """Except for what ran on beyond the deadline."""
        stale = {record for entry in self.stale() for record in entry.records}
        for partition, messages in fetched.items():
            done = self.oracles[partition.topic].done_messages - stale
            kept = self.client.kept[partition]
            missing = [m.at for m in messages if m not in done and m.at not in kept]
            if messages:
                reached = missing[0] if missing else messages[-1].at + 1
                assert self.kafka.committed[partition].offset >= reached, partition

    @rule(chosen=some)
    def lose(self, chosen: set[TopicPartition]) -> None:
        going = sorted(chosen & set(self.client.fetch_at))
        before, at_ms = dict(self.kafka.committed), self.clock.now
        if going:
            self.client.withdraw(going, lost=True)
        assert {p: self.kafka.committed.get(p) for p in going} == {p: before.get(p) for p in going}
        assert self.clock.now == at_ms, "nothing is waited for"

    @rule(partition=partitions, pause=st.booleans())
    def somebody_pauses_or_resumes(self, partition: TopicPartition, pause: bool) -> None:
        (self.engine.pause if pause else self.engine.resume)(partition)

    @rule(final=st.sampled_from([False] * 5 + [True]))
    def the_client_complains(self, final: bool) -> None:
        nothing = TopicPartition("", -1)
        problem = "final: no right to" if final else "no broker answers"
        self.engine.dispatch([FakeMessage(nothing, -1, None, problem=problem)])
        assert final <= (self.engine.stopping is not None)

    @rule(how=st.sampled_from([None, None, "stop", "crash"]))
    def the_process_ends(self, how: str | None) -> None:
        if how is not None:
            if how == "stop":
                self.stop()
            self.start_process()
            self.client.assign(PARTITIONS)

    @rule()
    def everything_ends(self) -> None:
        """Nothing is stuck: left alone, every record becomes done, and is committed."""
        for partition in PARTITIONS:
            self.engine.resume(partition)
        for _ in range(20_000):
            if self.engine.stopping is not None:
                self.stop()
                self.start_process()
            fresh = [p for p in PARTITIONS if p not in self.client.fetch_at]
            if fresh:
                self.client.assign(fresh)
            if (room := self.engine.room()) > 0:
                self.engine.dispatch(self.client.consume(room, 0))
            for pool in self.returned.workers:
                for index in pool.able * 3:
                    pool.step(index)
            self.clock.now += 1
            self.engine.tick()
            self.client.answer()
            if self.engine.stopping is None and all(map(self.caught_up, PARTITIONS)):
                self.at_rest()
                return
        raise AssertionError(
            f"stuck: {[route.lanes.blocked for route in self.routes.values()]}, "
            f"in flight {self.engine.commits.undone()}, paused {self.engine.gates.reasons(self.clock.now)}"
        )

    def stop(self) -> None:
        self.client.answer()
        before = self.clock.now
        self.engine.finish()
        assert self.clock.now - before <= 100 + 5_000 + 100, "the end is bounded"
        for partition, messages in self.client.open.items():
            oracle = self.oracles[partition.topic]
            undone = [m.at for m in messages if m not in oracle.done_messages]
            first = min((at for at in undone if at not in self.client.kept[partition]), default=None)
            committed = self.kafka.committed.get(partition)
            if messages and committed is not None and first is not None:
                assert committed.offset <= first
        self.engine.close()

    def caught_up(self, partition: TopicPartition) -> bool:
        committed = self.kafka.committed.get(partition)
        return committed is not None and committed.offset == self.kafka.ends[partition]

    def at_rest(self) -> None:
        """What is true when all is done."""
        for pool in self.returned.workers:
            for _ in range(100):
                for index in pool.able:
                    pool.step(index)
        self.engine.tick()
        for topic, route in self.routes.items():
            stale = {entry for entry in route.lanes.blocked.values() if entry.stale}
            assert set(route.lanes.blocked.values()) == stale
            assert route.in_flight == sum(len(entry.records) for entry in stale), f"{topic}: {stale}"
        gone = [
            message for message in self.written.kept if message not in self.client.open.get(message.where, ())
        ]
        assert all(any(m in entry.records for entry in self.stale()) for m in gone), "outputs of the past"

    def stale(self) -> list[Any]:
        return [
            entry for route in self.routes.values() for entry in route.lanes.blocked.values() if entry.stale
        ]

    # What is always true.

    @invariant()
    def nothing_is_committed_that_is_not_done(self) -> None:
        for partition, offset in self.kafka.committed.items():
            if partition in self.client.open:
                assert self.engine.partitions[partition].committed == self.client.confirmed[partition]
            assert offset.offset <= self.kafka.ends[partition]
            assert len(offset.metadata) <= self.kafka.largest_metadata

    @invariant()
    def nothing_began_that_should_not(self) -> None:
        for problem in self.problems:
            raise problem

    @invariant()
    def limits_hold(self) -> None:
        for topics in (["orders", "orders.retry"], ["events"]):
            under_way = self.client.undone(topics)
            route = self.routes[topics[0]]
            not_due = sum(route.lanes.not_due(*partition) for partition in self.engine.partitions)
            assert len(under_way) - not_due <= IN_FLIGHT
            for partition in PARTITIONS:
                count = sum(message.where == partition for message in under_way)
                assert count <= IN_FLIGHT_PER_PARTITION, partition
            assert route.in_flight_now >= len(under_way) - not_due, topics

    @invariant()
    def what_is_paused_is_known(self) -> None:
        ours = self.engine.partitions
        assert {p for p in self.client.paused if p in ours} == {p for p in ours if ours[p].paused}


Consumers.TestCase.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestConsumers = Consumers.TestCase
