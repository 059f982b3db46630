"""Real threads, which lose the processor after every few instructions, held against the model's oracle."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from queue import SimpleQueue
from random import Random
from typing import Any

import pytest
from tests.consumer.fakes import FakeKafka
from tests.consumer.oracle import CheckedClient, Oracle
from tests.kafka.ports import PATIENCE_S

from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import Order, ordering_for
from rota.consumer.core.policy import Policy, Retry
from rota.consumer.core.state import Limits, Observer, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.handlers import Batch
from rota.consumer.workers.runners import each, in_batches
from rota.consumer.workers.threads import Threads
from rota.model import TopicPartition

PARTITIONS = [TopicPartition("orders", number) for number in range(3)]
RECORDS = 600


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Clock:
    """The owner's: a tenth of a millisecond later each time that it looks. So what is slow, and what outlasts a
    drain, is not the machine's business.
    """

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self) -> int:
        self._looks += 1
        return self.now

    @property
    def now(self) -> int:
        return self._looks // 10


class Slow(Observer):
    """Counts the records that were found slow."""

    def __init__(self) -> None:
        self.found = 0

    def slow(self, _message: object, _running_ms: int, _attempt: int) -> None:
        self.found += 1


class Member:
    """Threads at work; the test's own thread is the owner."""

    def __init__(self, order: Order, batch: Batch | None, seed: int) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.slow = Slow()
        self.withdrawals: Counter[TopicPartition] = Counter()
        self.outlasted = 0
        self.kafka = FakeKafka()
        self.oracle = Oracle(order)
        self.lock = threading.Lock()
        self.problems: list[BaseException] = []
        self.client = CheckedClient(self.kafka, {"orders": self.oracle})
        self.returned: SimpleQueue[Task] = SimpleQueue()
        ours = Ours()
        runner = each if batch is None else in_batches
        work = runner(self.handle, lambda message: message, lambda task: task)
        self.workers = Threads(6, work, self.returned, "worker")
        ordering = ordering_for(order, 8, "partition")
        lanes = Lanes(ordering, self.workers.ready, ours.owns, batch=batch)
        self.route = Route("handle", lanes, self.workers, Policy(Retry(attempts=50, backoff=(0.001, 0.002))))
        self.engine = Engine(
            self.client,
            {"orders": self.route},
            ours,
            self.returned,
            self.clock,
            self.random,
            observer=self.slow,
            limits=Limits(
                in_flight=100,
                in_flight_per_partition=60,
                commit_interval=10,
                commit_every=10,
                commit_spacing=1,
                slow=4,
                revoke_drain=3,
            ),
        )
        for partition in PARTITIONS:
            for _ in range(RECORDS):
                key = self.random.choice([b"a", b"b", b"c", b"d", None])
                self.oracle.produced(self.kafka.produce(partition, key))

    def handle(self, given: Any, _task: Any) -> None:
        messages = getattr(given, "messages", None) or [given.message]
        with self.lock:
            try:
                self.oracle.begin(messages)
            except AssertionError as problem:
                self.problems.append(problem)
            chance = self.random.random()
        where = TopicPartition("orders", messages[0].partition())
        withdrawn = self.withdrawals[where]
        if chance < 0.02:
            until = self.clock.now + 12  # slow: set apart, or beyond the end of the drain
            while self.clock.now < until:
                time.sleep(0.0002)
        with self.lock:
            self.outlasted += self.withdrawals[where] != withdrawn
            self.oracle.end(messages, 0 if chance > 0.95 else len(messages))
        if chance > 0.95:
            raise TimeoutError("now and then")

    def turn(self) -> None:
        if (room := self.engine.room()) > 0:
            found = self.client.fetch(min(room, self.random.randrange(1, 30)))
            self.engine.dispatch(found)
        self.engine.wait(1)
        self.engine.tick()
        self.client.answer()
        assert self.engine.stopping is None, self.engine.stopping
        assert not self.problems, self.problems[0]

    def rebalance(self) -> None:
        chosen = [partition for partition in PARTITIONS if self.random.random() < 0.5]
        gone = [partition for partition in chosen if partition in self.client.fetch_at]
        came = [partition for partition in chosen if partition not in self.client.fetch_at]
        if gone:
            self.client.withdraw(gone, lost=self.random.random() < 0.3)
            self.withdrawals.update(gone)
        if came:
            self.client.assign(came)

    def all_committed(self) -> bool:
        return all(
            self.kafka.committed.get(partition, (0,))[0] == self.kafka.ends[partition]
            for partition in PARTITIONS
        )


@pytest.mark.parametrize("batch", [None, Batch(5, 2)], ids=["each", "batches"])
@pytest.mark.parametrize("order", ["key", "partition", "none"])
def test_nothing_is_lost_overtaken_or_done_twice_at_once(order: Order, batch: Batch | None) -> None:
    member = Member(order, batch, seed=5)
    member.engine.start()
    member.client.subscribe(["orders"], member.engine)
    member.client.assign(PARTITIONS)
    deadline = time.monotonic() + PATIENCE_S
    turns = 0
    while not member.all_committed():
        turns += 1
        member.turn()
        if turns % 4 == 0 and turns < 700:
            member.rebalance()
        if turns >= 700:
            missing = [partition for partition in PARTITIONS if partition not in member.client.fetch_at]
            if missing:
                member.client.assign(missing)
        assert time.monotonic() < deadline, "stuck"
    member.engine.close()
    assert member.slow.found > 0
    assert member.outlasted > 0 or batch is not None  # batches are few: by chance none may
    assert all(len(member.oracle.done[partition]) == RECORDS for partition in PARTITIONS)


def test_workers_end_when_they_are_closed() -> None:
    returned: SimpleQueue[Task] = SimpleQueue()
    workers = Threads(3, lambda _task: None, returned, "worker")
    workers.start()
    workers.close()
    for thread in workers._threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
