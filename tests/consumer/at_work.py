"""A group member with real workers on a fake Kafka: the engine is turned by the test's own thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from random import Random
from threading import Lock
from typing import Any

from tests.consumer.fakes import FakeClient, FakeKafka
from tests.kafka.ports import PATIENCE_S

from rota.consumer.clients.client import Message
from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import Order, ordering_for
from rota.consumer.core.policy import Policy, Retry
from rota.consumer.core.state import Limits, Observer, Ours, Route, Workers
from rota.consumer.core.work import Task
from rota.consumer.handlers import Batch
from rota.model import TopicPartition

TOPIC = "orders"
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(2)]
Build = Callable[[SimpleQueue[Task], Ours], Workers]


class Member:
    """``turn`` is what the owner thread does once; `until` does it until something is so."""

    def __init__(
        self,
        build: Build,
        *,
        order: Order = "key",
        lanes: int = 16,
        attempts: int = 3,
        retry_on: tuple[type[BaseException], ...] = (Exception,),
        slow_ms: int = 100_000,
        batch: Batch | None = None,
        drain_ms: int = int(PATIENCE_S * 1000),
        kafka: FakeKafka | None = None,
        task: type[Task] = Task,
        failures: list[BaseException] | None = None,
    ) -> None:
        self.kafka = kafka or FakeKafka()
        self.client = FakeClient(self.kafka)
        self.ours = Ours()
        returned: SimpleQueue[Task] = SimpleQueue()
        self.workers = build(returned, self.ours)
        self.lanes = Lanes(
            ordering_for(order, lanes, "partition"),
            self.workers.ready,
            self.ours.owns,
            batch=batch,
            task=task,
        )
        policy = Policy(Retry(attempts=attempts, backoff=(0.001, 0.002), on=retry_on))
        self.engine = Engine(
            self.client,
            {TOPIC: Route("handler", self.lanes, self.workers, policy)},
            self.ours,
            returned,
            lambda: int(time.monotonic() * 1000),
            Random(1),
            limits=Limits(
                commit_interval=20,
                commit_every=50,
                slow=slow_ms,
                revoke_drain=drain_ms,
                shutdown_drain=drain_ms,
            ),
            observer=_Failures(failures) if failures is not None else None,
        )
        self.client.subscribe([TOPIC], self.engine)

    def turn(self) -> None:
        room = self.engine.gates.room()
        batch = self.client.consume(min(room, 200), 0) if room else ()
        if batch:
            self.engine.dispatch(batch)
        else:
            self.engine.wait(2)
        self.engine.tick()
        self.client.answer(ok=True)
        assert self.engine.stopping is None, self.engine.stopping

    def until(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"still waiting: {what}"
            self.turn()

    def until_all_is_committed(self) -> None:
        self.until("all is committed", lambda: all(self.caught_up(p) for p in self.client.fetch_at))

    def caught_up(self, partition: TopicPartition) -> bool:
        log = self.kafka.records.get(partition, [])
        committed = self.kafka.committed.get(partition)
        return not log or (committed is not None and committed.offset >= log[-1].at + 1)

    def undone(self) -> list[tuple[int, int]]:
        """Partition and offset of what was handed to the lanes and is not done."""
        return [(m.partition(), m.offset()) for messages, _ in self.lanes.undone() for m in messages]

    def produce(self, keys: Sequence[bytes | None], partition: TopicPartition = PARTITIONS[0]) -> None:
        for key in keys:
            self.kafka.produce(partition, key)


class _Failures(Observer):
    def __init__(self, failures: list[BaseException]) -> None:
        self._failures = failures

    def failed(self, _message: Message, failure: BaseException, _attempt: int, _action: str) -> None:
        self._failures.append(failure)


@contextmanager
def at_work(build: Build, **options: Any) -> Iterator[Member]:
    """A member that has begun; its workers are closed at the end."""
    member = Member(build, **options)
    member.engine.start()
    try:
        member.client.assign(PARTITIONS)
        yield member
    finally:
        member.workers.close()


class Journal:
    """What handlers did, in its order; looked at afterwards. Threads may write."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int, int, bytes | None]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._lock = Lock()

    def begin(self, message: Message) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.entries.append(("begin", message.partition(), message.offset(), message.key()))

    def end(self, message: Message, how: str = "done") -> None:
        with self._lock:
            self.at_once -= 1
            self.entries.append((how, message.partition(), message.offset(), message.key()))

    @property
    def done(self) -> list[tuple[int, int]]:
        return [(partition, offset) for how, partition, offset, _ in self.entries if how == "done"]

    def check(self, kafka: FakeKafka) -> None:
        """Everything was done once; of one key nothing ran at once, and all in order."""
        check_entries(self.entries, kafka)


def check_entries(entries: Sequence[tuple[str, int, int, bytes | None]], kafka: FakeKafka) -> None:
    """See `Journal.check`."""
    running: dict[object, int] = {}
    last_done: dict[object, int] = {}
    done: list[tuple[int, int]] = []
    for how, partition, offset, key in entries:
        order_key = partition, key
        if how == "begin":
            assert order_key not in running, f"{offset} began while {running[order_key]} of its key ran"
            assert last_done.get(order_key, -1) < offset, (
                f"{offset} began after a later one of its key was done"
            )
            running[order_key] = offset
            continue
        assert running.pop(order_key) == offset
        if how == "done":
            last_done[order_key] = offset
            done.append((partition, offset))
    assert not running
    wanted = sorted((m.partition(), m.offset()) for log in kafka.records.values() for m in log)
    assert sorted(done) == wanted
