"""Exactly-once under any interleaving: an output is visible if, and only if, its record's offset is committed.

Hypothesis plays Kafka with its transactions, the workers, the clock, and the thread of the producer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.consumer.fakes import FakeClient, FakeClock, FakeKafka, FakeMessage, FakeReturned, FakeWorkers

from rota.consumer.clients.client import CommitError, Offset
from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.offset_metadata import decode_done, encode_done
from rota.consumer.core.ordering import Order, ordering_for
from rota.consumer.core.policy import Policy, Retry
from rota.consumer.core.progress import Range
from rota.consumer.core.state import Limits, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.effects.eos import Transactions, _Job, attempt
from rota.consumer.effects.outputs import Covered, Output, Outputs
from rota.model import TopicPartition

PARTITIONS = [TopicPartition("orders", number) for number in range(2)]
WORKERS = 12
IN_FLIGHT = 20
Place = tuple[TopicPartition, int]

partitions = st.sampled_from(PARTITIONS)
some = st.sets(partitions, min_size=1)


class Cluster(FakeKafka):
    """With a topic of outputs, of which only committed ones are seen."""

    def __init__(self) -> None:
        super().__init__()
        self.visible: Counter[Place] = Counter()
        self.generation = 0
        self.anew: dict[TopicPartition, Offset] = {}
        """Of logs that began anew, what was committed of the one before."""

    def begins_anew(self, partition: TopicPartition) -> None:
        """As a topic that was lost and is filled again: below what is committed of it."""
        self.records[partition] = []
        self.ends[partition] = 0
        for place in [place for place in self.visible if place[0] == partition]:
            del self.visible[place]
        if partition in self.committed:
            self.anew[partition] = self.committed[partition]

    def nothing_committed(self, partition: TopicPartition) -> bool:
        """Of the log as it is now; what is committed was said of another."""
        return partition in self.anew and self.committed[partition] is self.anew[partition]


class FakeProducer:
    """Transactions that are troubled in every way that librdkafka reports, as often as ``random`` wants."""

    def __init__(self, cluster: Cluster, client: FakeClient, random: Random) -> None:
        self._cluster = cluster
        self._client = client
        self._random = random
        self._reports: list[Any] = []
        self._pending: list[Place] = []
        self._offsets: dict[TopicPartition, Offset] = {}
        self.open = False
        self._took = False
        self.calm = False

    def init_transactions(self, _timeout: float, /) -> None:
        raise AssertionError("not here")

    def begin_transaction(self) -> None:
        assert not self.open
        self.open, self._took = True, False
        self._reports, self._pending, self._offsets = [], [], {}

    def produce(self, _topic: str, **message: Any) -> None:
        assert self.open
        self._now_and_then(BufferError("full"), 0.1)
        where, _, offset = message["value"].rpartition(" ")
        topic, _, number = where.rpartition("-")
        self._pending.append((TopicPartition(topic, int(number)), int(offset)))
        self._reports.append(message["on_delivery"])

    def poll(self, _timeout: float, /) -> int:
        return 0

    def send_offsets_to_transaction(
        self, offsets: list[Any], group_metadata: Any, _timeout: float, /
    ) -> None:
        assert self.open
        self._trouble()
        if group_metadata != self._cluster.generation:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "", False, False, True))
        self._offsets = {
            TopicPartition(each.topic, each.partition): Offset(each.offset, each.metadata or "")
            for each in offsets
        }

    def commit_transaction(self, _timeout: float, /) -> None:
        assert self.open
        if not self._took:
            if not self.calm and self._reports and self._random.random() < 0.1:
                self._random.choice(self._reports)(KafkaError(KafkaError._MSG_TIMED_OUT), None)
                raise KafkaException(KafkaError(KafkaError._INCONSISTENT, "", False, False, True))
            self._trouble()
            self._cluster.visible.update(self._pending)
            self._cluster.committed.update(self._offsets)
            self._took = True
            if not self.calm and self._random.random() < 0.2:  # the answer did not come through
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "", False, True, False))
        self.open = False

    def abort_transaction(self, _timeout: float, /) -> None:
        assert self.open
        assert not self._took
        self._now_and_then(KafkaException(KafkaError(KafkaError._TIMED_OUT, "", False, True, False)), 0.2)
        self.open = False

    def _trouble(self) -> None:
        for chance, fatal, retriable, requires_abort in (
            (0.1, False, True, False),
            (0.1, False, False, True),
            (0.01, True, False, False),
        ):
            code = KafkaError.NOT_COORDINATOR if not fatal else KafkaError._FENCED
            try:
                self._now_and_then(
                    KafkaException(KafkaError(code, "", fatal, retriable, requires_abort)), chance
                )
            except KafkaException:
                self.open = self.open and not fatal  # whoever fenced it has ended its transaction
                raise

    def _now_and_then(self, error: Exception, chance: float) -> None:
        if not self.calm and self._random.random() < chance:
            raise error


class Stepped(Transactions):
    """Its thread goes on when the test says so, and whenever somebody waits for it."""

    def step(self) -> None:
        if not self._jobs.empty():
            job = self._jobs.get()
            assert job is not None
            self._do(job)

    def _await(self, job: _Job, deadline: float) -> None:
        self.step()
        super()._await(job, deadline)


class Numbered(Outputs):
    """The output of a record is its name."""

    def done(self, message: Any, _outputs: Any) -> None:
        super().done(message, [Output("copies", f"{message.where} {message.at}")])


class ExactlyOnce(RuleBasedStateMachine):
    @initialize(
        order=st.sampled_from(["key", "partition", "none"]),
        seed=st.integers(0, 10_000),
        metadata=st.sampled_from([0, 10, 14, 20, 4095]),
    )
    def begin(self, order: Order, seed: int, metadata: int) -> None:
        self.order: Order = order
        self.metadata = metadata
        self.random = Random(seed)
        self.cluster = Cluster()
        self.clock = FakeClock()
        self.holding = False
        self.held: set[Place] = set()
        self.start_process()
        for partition in PARTITIONS:
            self.produce(partition, [b"a", b"b", b"a", b"c", b"b", b"a"])
        self.client.assign(PARTITIONS)

    def start_process(self) -> None:
        self.cluster.generation += 1
        self.client = Member(self.cluster)
        self.outputs = Numbered()
        returned = FakeReturned(self.random, self.clock)
        self.workers = FakeWorkers(WORKERS, returned, self.handle, outputs=self.outputs)
        ours = Ours()
        lanes = Lanes(ordering_for(self.order, 16, "partition"), self.workers.ready, ours.owns)
        route = Route(
            "copy",
            lanes,
            self.workers,
            Policy(Retry(attempts=1_000, backoff=(0.01, 0.05))),
            outputs=self.outputs,
        )
        self.producer = FakeProducer(self.cluster, self.client, self.random)
        self.posted: list[Any] = []
        self.transactions = Stepped(
            self.producer, [self.outputs], lambda: self.cluster.generation, self.committed_here
        )
        self.transactions.post = self.posted.append
        self.engine = Engine(
            self.client, {"orders": route}, ours, returned, self.clock, self.random,
            limits=Limits(
                in_flight=IN_FLIGHT, in_flight_per_partition=25, commit_interval=50, commit_every=5, commit_spacing=5,
                metadata_bytes=self.metadata, slow=30, revoke_drain=100, shutdown_drain=100,
            ),
            committer=self.transactions,
        )  # fmt: skip
        self.engine.start()
        self.client.subscribe(["orders"], self.engine)

    def committed_here(self, partition: TopicPartition) -> Offset | None:
        known = self.engine.partitions.get(partition)
        return None if known is None else known.committed

    def handle(self, message: FakeMessage, _task: Task) -> Iterator[None]:
        place = (message.where, message.at)
        if self.holding:
            self.held.add(place)
        while place in self.held:
            yield
        for _ in range(self.random.choice([0, 1, 1, 2, 30])):
            yield
        if self.random.random() < 0.15:
            raise TimeoutError("the handler's own")

    def tell(self) -> None:
        while self.posted:
            self.posted.pop(0)()

    @rule(
        partition=partitions, keys=st.lists(st.sampled_from([b"a", b"b", b"c", None]), min_size=1, max_size=8)
    )
    def produce(self, partition: TopicPartition, keys: list[bytes | None]) -> None:
        for key in keys:
            self.cluster.produce(partition, key)
        if self.random.random() < 0.3:
            self.cluster.mark(partition)

    @rule(turns=st.integers(1, 20))
    def life_goes_on(self, turns: int) -> None:
        for _ in range(turns):
            if (room := self.engine.room()) > 0:
                self.engine.dispatch(self.client.consume(min(5, room), 0))
            for _ in range(10):
                self.workers.step(self.random.randrange(WORKERS))
            self.clock.now += self.random.choice([0, 1, 10])
            self.engine.tick()
            if self.random.random() < 0.5:
                self.transactions.step()
            if self.random.random() < 0.5:
                self.tell()
            self.stop_if_fenced()

    @rule(steps=st.integers(1, 100))
    def work(self, steps: int) -> None:
        for _ in range(steps):
            self.workers.step(self.random.randrange(WORKERS))

    @rule(holding=st.booleans())
    def records_take_long(self, holding: bool) -> None:
        """From now on they end when they are told to."""
        self.holding = holding
        if not holding:
            self.held.clear()

    @rule(turns=st.integers(5, 20))
    def the_last_one_ends_first(self, turns: int) -> None:
        """First every second one: what was done is named range by range, in one commit after the other."""
        for _ in range(turns):
            if self.held:
                self.held.remove(max(self.held, key=lambda place: (place[1] % 2, place[1])))
            self.life_goes_on(8)

    @rule()
    def a_transaction_ends(self) -> None:
        self.transactions.step()

    @rule()
    def the_owner_hears_of_it(self) -> None:
        self.tell()

    @rule(chosen=some)
    def assign(self, chosen: set[TopicPartition]) -> None:
        fresh = sorted(chosen - set(self.client.fetch_at))
        if fresh:
            self.cluster.generation += 1
            self.client.assign(fresh)

    @rule(chosen=some)
    def revoke(self, chosen: set[TopicPartition]) -> None:
        going = sorted(chosen & set(self.client.fetch_at))
        if going:
            self.client.withdraw(going, lost=False)
            assert self.producer.open is False, "the transaction ends before partitions go"
            self.cluster.generation += 1
            self.stop_if_fenced()

    @rule(chosen=some)
    def lose(self, chosen: set[TopicPartition]) -> None:
        going = sorted(chosen & set(self.client.fetch_at))
        if going:
            self.cluster.generation += 1
            self.client.withdraw(going, lost=True)

    @rule(chosen=some)
    def somebody_else_does_some(self, chosen: set[TopicPartition]) -> None:
        """Another member has a partition for a while, and commits what it has copied."""
        for partition in sorted(chosen - set(self.client.fetch_at)):
            if self.cluster.nothing_committed(partition):
                continue
            upto = self.random.choice(self.cluster.records[partition]).at + 1
            offset, metadata = self.cluster.committed.get(partition, Offset(0))
            if upto > offset:
                for message in self.cluster.records[partition]:
                    if message.at < upto and not covers(self.cluster.committed, partition, message.at):
                        self.cluster.visible[partition, message.at] += 1
                later = [Range(max(first, upto + 1), end) for first, end in decode_done(offset, metadata)]
                beyond = [item for item in later if item.first < item.end]
                while covers(self.cluster.committed, partition, upto):
                    upto += 1
                beyond = [item for item in beyond if item.first > upto]
                self.cluster.committed[partition] = Offset(upto, encode_done(upto, beyond))

    @rule(chosen=some, keys=st.lists(st.sampled_from([b"a", b"b", None]), min_size=1, max_size=8))
    def logs_begin_anew(self, chosen: set[TopicPartition], keys: list[bytes | None]) -> None:
        """While nobody reads them; the group keeps what it has committed. (At offset 0 nobody could see it.)"""
        self.start_process()
        self.held.clear()
        for partition in sorted(chosen):
            if self.cluster.committed.get(partition, Offset(1)).offset > 0:
                self.cluster.begins_anew(partition)
                self.produce(partition, keys)

    @rule(politely=st.booleans(), metadata=st.sampled_from([0, 10, 14, 20, 4095]))
    def the_process_ends(self, politely: bool, metadata: int) -> None:
        """The next one may have been told to write shorter texts."""
        if politely:
            self.engine.finish()
        self.metadata = metadata
        self.start_process()

    @rule()
    def everything_ends(self) -> None:
        """Left alone, everything is copied."""
        self.records_take_long(holding=False)
        self.tell()
        self.engine.tick()
        self.stop_if_fenced()
        self.producer.calm = True
        missing = sorted(set(PARTITIONS) - set(self.client.fetch_at))
        if missing:
            self.cluster.generation += 1
            self.client.assign(missing)
        for _ in range(20_000):
            if (room := self.engine.room()) > 0:
                self.engine.dispatch(self.client.consume(room, 0))
            for index in self.workers.able:
                self.workers.step(index)
            self.clock.now += 1
            self.engine.tick()
            self.transactions.step()
            self.tell()
            if all(self.copied(partition) for partition in PARTITIONS):
                self.producer.calm = False
                return
        raise AssertionError(f"stuck: {self.cluster.committed} {self.engine.stopping}")

    def copied(self, partition: TopicPartition) -> bool:
        return all(self.cluster.visible[partition, message.at] for message in self.cluster.records[partition])

    def stop_if_fenced(self) -> None:
        if self.engine.stopping is not None:
            assert (
                "_FENCED" in self.engine.stopping or "Fenced" in self.engine.stopping or self.engine.stopping
            )
            self.engine.finish()
            self.start_process()

    @invariant()
    def outputs_are_bounded(self) -> None:
        assert not hasattr(self, "outputs") or self.outputs.waiting <= IN_FLIGHT

    @invariant()
    def visible_if_and_only_if_committed(self) -> None:
        if not hasattr(self, "cluster"):
            return
        for partition, records in self.cluster.records.items():
            for message in records:
                done = covers(self.cluster.committed, partition, message.at)
                expected = int(done and not self.cluster.nothing_committed(partition))
                assert self.cluster.visible[partition, message.at] == expected, message


class Member(FakeClient):
    """Commits of offsets alone are not for it. ``kafka`` is a `Cluster`."""

    def start(self, starts: Mapping[TopicPartition, int | None]) -> None:
        """Where nothing is, as ``auto.offset.reset=earliest`` says."""
        assert isinstance(self.kafka, Cluster)
        anew = self.kafka.nothing_committed
        super().start({where: 0 if anew(where) else offset for where, offset in starts.items()})

    def commit(self, _offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        raise AssertionError("a commit without a transaction")

    def commit_soon(self, _offsets: Mapping[TopicPartition, Offset], _answered: Any) -> None:
        raise AssertionError("a commit without a transaction")


def covers(committed: Mapping[TopicPartition, Offset], partition: TopicPartition, at: int) -> bool:
    offset, metadata = committed.get(partition, Offset(0))
    return at < offset or any(first <= at < end for first, end in decode_done(offset, metadata))


ExactlyOnce.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestExactlyOnce = ExactlyOnce.TestCase


class Script:
    """A producer whose calls do what they are told, once for each name."""

    def __init__(self, **troubles: list[Any]) -> None:
        self.calls: list[str] = []
        self._troubles = troubles

    def __getattr__(self, name: str) -> Any:
        def call(*_arguments: Any, **_named: Any) -> None:
            self.calls.append(name)
            if self._troubles.get(name):
                trouble = self._troubles[name].pop(0)
                if trouble is not None:
                    raise trouble

        return call


def failure(
    code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    return KafkaException(KafkaError(code, "some words", fatal, retriable, abort))


COVERED = [
    Covered(PARTITIONS[0], 4, [Output("copies", b"x", headers=(("a", b"b"),), partition=1, timestamp_ms=5)])
]
OFFSETS = {PARTITIONS[0]: Offset(5)}


def tried(producer: Script) -> CommitError | None:
    return attempt(producer, COVERED, OFFSETS, "metadata")


def test_a_transaction_is_these_calls() -> None:
    producer = Script()
    assert tried(producer) is None
    assert producer.calls == [
        "begin_transaction", "produce", "poll", "send_offsets_to_transaction", "commit_transaction",
    ]  # fmt: skip


def test_what_another_call_may_cure_is_called_again() -> None:
    passing = failure(KafkaError._TIMED_OUT, retriable=True)
    producer = Script(send_offsets_to_transaction=[passing, passing], commit_transaction=[passing])
    assert tried(producer) is None
    assert producer.calls.count("send_offsets_to_transaction") == 3
    assert producer.calls.count("commit_transaction") == 2
    assert "abort_transaction" not in producer.calls


@pytest.mark.parametrize(
    ("code", "fatal", "fenced", "lost"),
    [
        (KafkaError.ILLEGAL_GENERATION, False, False, True),
        (KafkaError.FENCED_INSTANCE_ID, False, True, False),
        (KafkaError._FENCED, True, True, False),
        (KafkaError._INCONSISTENT, False, False, False),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, False, True, False),
    ],
)
def test_what_ends_a_transaction(code: int, fatal: bool, fenced: bool, lost: bool) -> None:
    producer = Script(send_offsets_to_transaction=[failure(code, fatal=fatal, abort=not fatal)])
    error = tried(producer)
    assert error is not None
    assert (error.fenced, error.lost) == (fenced, lost)
    assert ("abort_transaction" in producer.calls) is not fatal


def test_an_abort_that_cannot_be_is_left_to_the_coordinator(caplog: pytest.LogCaptureFixture) -> None:
    producer = Script(
        commit_transaction=[failure(KafkaError._INCONSISTENT, abort=True)],
        abort_transaction=[failure(KafkaError._FENCED, fatal=True)],
    )
    error = tried(producer)
    assert error is not None
    assert error.fenced
    assert "its coordinator will" in caplog.text


def test_a_full_queue_is_waited_for() -> None:
    producer = Script(produce=[BufferError("full"), None])
    assert tried(producer) is None
    assert producer.calls.count("produce") == 2


def test_a_transaction_that_ends_in_an_error_of_our_own_is_aborted() -> None:
    """Those who read the topics need not wait for its time-out."""
    producer = Script(produce=[TypeError("a bytes-like object is required, not 'int'")])
    with pytest.raises(TypeError):
        tried(producer)
    assert producer.calls[-1] == "abort_transaction"
