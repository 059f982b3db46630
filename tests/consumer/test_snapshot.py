"""The state as data: which record blocks a partition, and what that record is at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

from tests.consumer.fakes import FakeClient, FakeClock, FakeKafka, FakeMessage, FakeReturned, FakeWorkers

from rota.consumer.clients.client import Message
from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ordering_for
from rota.consumer.core.policy import Policy, Retry
from rota.consumer.core.state import Limits, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.operations.counts import Counts
from rota.consumer.operations.snapshot import About, Memory, PartitionState, State, key_preview, take, to_json
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)
P1 = TopicPartition("orders", 1)


class Bench:
    """An engine on fakes; a handler that runs as long as the test says and may fail."""

    def __init__(
        self,
        workers: int = 2,
        retry: Retry | None = None,
        due_ms: Callable[[Message], int] | None = None,
        rate: float | None = None,
        slow_ms: int = 50,
        lanes: int = 8,
    ) -> None:
        self.concurrency = workers
        self.clock = FakeClock()
        self.kafka = FakeKafka()
        self.client = FakeClient(self.kafka)
        self.fails: set[int] = set()
        self.held: set[int] = set()
        returned = FakeReturned(Random(1), self.clock)
        self.workers = FakeWorkers(workers, returned, self._handle)
        ours = Ours()
        ordering = ordering_for("key", lanes, "partition")
        its_lanes = Lanes(ordering, self.workers.ready, ours.owns, rate=rate, due_ms=due_ms)
        policy = Policy(retry or Retry(attempts=1))
        route = Route("handle", its_lanes, self.workers, policy)
        self.counts = Counts(self.clock, lambda: 1_700_000_000_000 + self.clock.now)
        self.engine = Engine(
            self.client,
            {"orders": route},
            ours,
            returned,
            self.clock,
            Random(1),
            limits=Limits(slow=slow_ms),
            observer=self.counts,
        )
        self.client.subscribe(["orders"], self.engine)
        self.memory = Memory()

    def _handle(self, message: Message, _task: Task) -> Iterator[None]:
        while message.offset() in self.held:
            yield
        if message.offset() in self.fails:
            raise OSError("the shop is closed")
        yield

    def produce(self, partition: TopicPartition, *keys: bytes | None) -> None:
        for key in keys:
            self.kafka.produce(partition, key)

    def turn(self, ms: int = 10) -> None:
        """Fetch, let the workers do what they can, let time pass."""
        batch = self.client.consume(100, 0)
        if batch:
            self.engine.dispatch(batch)
        for _ in range(100):
            for index in self.workers.able:
                self.workers.step(index)
        for _ in range(max(1, ms // 10)):
            self.clock.now += 10
            self.engine.tick()

    def settle(self) -> None:
        """Let the workers, and who takes back what they give, do what they can in no time."""
        for _ in range(20):
            for _ in range(30):
                for index in self.workers.able:
                    self.workers.step(index)
            self.engine.wait(0)

    def state(self) -> State:
        ends = {partition: log[-1].at + 1 for partition, log in self.kafka.records.items()}
        return take(
            self.engine,
            self.counts,
            About("billing", "billing-1", {"handle": self.concurrency}),
            self.memory,
            self.client.positions(self.engine.partitions),
            ends,
            self.clock.now,
            self.clock.now,
            joined=True,
        )

    def partition(self, name: TopicPartition = P0) -> PartitionState:
        found = self.state().of(name)
        assert found is not None
        return found


def test_a_partition_that_is_done_waits_for_nothing() -> None:
    bench = Bench()
    bench.produce(P0, b"a", b"b", b"c")
    bench.client.assign([P0])
    bench.turn()
    found = bench.partition()
    assert (found.position, found.in_flight, found.blocking, found.paused) == (3, 0, None, None)
    assert found.lag == 0  # nothing is committed yet, but all is done
    assert found.handler == "handle"
    assert bench.state().handlers[0].done == 3
    assert bench.state().handlers[0].topics == ("orders",)


def test_lag_is_counted_from_the_committed_offset() -> None:
    bench = Bench()
    bench.produce(P0, *[b"a"] * 5)
    bench.client.assign([P0])
    bench.held.add(2)
    bench.turn()
    bench.turn(1_100)
    bench.client.answer(ok=True)
    found = bench.partition()
    assert (found.committed, found.end, found.lag, found.in_flight) == (2, 5, 3, 3)


def test_a_running_record_blocks_with_its_time() -> None:
    bench = Bench()
    bench.produce(P0, b"customer-7", b"b")
    bench.client.assign([P0])
    bench.held.add(0)
    bench.turn()
    bench.turn(400)
    blocking = bench.partition().blocking
    assert blocking is not None
    assert (blocking.offset, blocking.key, blocking.state, blocking.attempts) == (
        0,
        "customer-7",
        "running",
        1,
    )
    assert blocking.running_ms is not None
    assert 300 <= blocking.running_ms <= 410
    assert blocking.age_ms >= blocking.running_ms
    assert "is running for 0." in blocking.words
    handler = bench.state().handlers[0]
    assert handler.longest == "orders-0 at offset 0"
    assert handler.longest_ms == blocking.running_ms


def test_a_failed_record_waits_for_its_next_attempt() -> None:
    bench = Bench(retry=Retry(attempts=5, backoff=(10.0, 10.0)))
    bench.produce(P0, b"a", b"a", b"b")
    bench.client.assign([P0])
    bench.fails.add(0)
    bench.turn()
    bench.turn(200)
    blocking = bench.partition().blocking
    assert blocking is not None
    assert (blocking.state, blocking.attempts) == ("retry", 1)
    assert blocking.failure == "OSError: the shop is closed"
    assert blocking.failing_ms is not None
    assert blocking.failing_ms >= 190
    assert blocking.words.startswith("waits for attempt 2, due in ")
    assert blocking.words.endswith("it failed at last with OSError: the shop is closed")


def test_a_record_behind_that_of_another_partition_says_so() -> None:
    bench = Bench(workers=1)
    keys = _keys_of_one_lane(bench)
    bench.produce(P0, keys[0])
    bench.produce(P1, keys[1])
    bench.client.assign([P0, P1])
    bench.held.add(0)  # of both partitions
    bench.turn()
    running, behind = bench.partition(P0).blocking, bench.partition(P1).blocking
    assert running is not None
    assert behind is not None
    assert running.state == "running"
    assert behind.state == "behind"
    assert behind.words == "waits in its lane behind orders-0 at offset 0, which is running"


def test_a_record_in_a_lane_that_a_worker_is_at_waits_behind_it_however_many_are_idle() -> None:
    """A batch, say, that takes minutes: what was fetched after it for the same lane has a reason to wait."""
    bench = Bench(workers=2, slow_ms=1_000_000)
    keys = _keys_of_one_lane(bench)
    bench.client.assign([P0, P1])
    bench.produce(P0, *[b"done"] * 10)
    bench.turn()
    bench.produce(P0, keys[0])
    bench.held.add(10)
    bench.turn()
    bench.produce(P1, keys[1])  # at offset 0, before the offset that runs
    bench.turn()
    behind = bench.partition(P1).blocking
    assert behind is not None
    assert behind.state == "behind"
    assert behind.words == "waits in its lane behind orders-0 at offset 10, which is running"
    assert bench.state().handlers[0].busy == 1


def test_a_record_waits_for_the_one_in_its_lane_after_a_rebalance_too() -> None:
    """What has not begun is taken back and handed out anew; its lane still waits for the record that runs."""
    bench = Bench(workers=2, slow_ms=1_000_000)
    keys = _keys_of_one_lane(bench)
    other = TopicPartition("orders", 2)
    bench.client.assign([P0, P1, other])
    bench.produce(P0, keys[0])
    bench.held.add(0)
    bench.turn()
    bench.produce(P1, keys[1], keys[1])
    bench.turn()
    bench.client.withdraw([other], lost=False)
    bench.turn()
    behind = bench.partition(P1).blocking
    assert behind is not None
    assert (behind.state, behind.offset) == ("behind", 0)


def test_a_record_behind_one_of_its_task_with_a_larger_offset_of_another_partition_does_not_run() -> None:
    bench = Bench(workers=1, slow_ms=1_000_000)
    keys = _keys_of_one_lane(bench)
    bench.client.assign([P0, P1])
    bench.produce(P0, *[b"done"] * 10)
    bench.turn()
    bench.produce(P0, keys[0])
    bench.produce(P1, keys[1])
    bench.held.add(10)
    bench.turn()
    behind = bench.partition(P1).blocking
    assert behind is not None
    assert behind.state == "behind"


def test_a_record_that_no_worker_has_come_to_waits_for_one() -> None:
    bench = Bench(workers=1)
    bench.produce(P0, *[b"%d" % number for number in range(40)])
    bench.client.assign([P0])
    bench.held.update(range(40))
    bench.engine.dispatch(bench.client.consume(100, 0))
    blocking = bench.partition().blocking
    assert blocking is not None
    assert (blocking.state, blocking.attempts) == ("queued", 0)


def test_a_paused_partition_says_why() -> None:
    bench = Bench()
    bench.client.assign([P0])
    bench.engine.pause(P0)
    bench.turn(200)
    assert bench.partition().paused == "paused by the application"


def test_the_age_of_a_blocking_record_grows_from_when_it_was_first_seen() -> None:
    memory = Memory()
    assert memory.first_seen(P0, 7, 100) == 100
    assert memory.first_seen(P0, 7, 900) == 100
    assert memory.first_seen(P0, 8, 900) == 900
    memory.keep([P1])
    assert memory.first_seen(P0, 8, 1_000) == 1_000


def test_the_state_can_be_written_as_json() -> None:
    bench = Bench(retry=Retry(attempts=5, backoff=(10.0, 10.0)))
    bench.produce(P0, b"\xff\x00", b"b")
    bench.client.assign([P0, P1])
    bench.fails.add(0)
    bench.turn()
    read = json.loads(json.dumps(to_json(bench.state())))
    assert read["group"] == "billing"
    assert [each["partition"] for each in read["partitions"]] == [0, 1]
    assert read["partitions"][0]["blocking"]["key"] == "\\xff\\x00"
    assert read["partitions"][1]["blocking"] is None


def test_keys_are_shown_as_text_where_they_are_and_never_long() -> None:
    assert key_preview(None) is None
    assert key_preview(b"") == ""
    assert key_preview("Zoë".encode()) == "Zoë"
    assert key_preview(b"\x00\x01") == "\\x00\\x01"
    assert key_preview(b"a\nb") == "a\\nb"
    assert key_preview(b"x" * 100) == "x" * 60 + "…"
    assert key_preview("€".encode() * 90) == "€" * 60 + "…"  # cut between its bytes
    assert key_preview(b"a" + "😀".encode() * 90) == "a" + "😀" * 59 + "…"
    assert key_preview(b"\xff" * 500) == "\\xff" * 15 + "…"


def _keys_of_one_lane(bench: Bench) -> tuple[bytes, bytes]:
    """Two keys that share a lane."""
    lane: Callable[[Message], int] = bench.engine.routes["orders"].lanes.ordering.lane
    first = b"k0"
    at = lane(FakeMessage(P0, 0, first))
    second = next(
        key for key in (b"k%d" % number for number in range(1, 1_000)) if lane(FakeMessage(P1, 0, key)) == at
    )
    return first, second


def test_a_record_of_a_retry_topic_that_is_not_due_is_named_and_not_in_flight() -> None:
    bench = Bench(due_ms=lambda _: 600_000)
    bench.produce(P0, b"a", b"b")
    bench.client.assign([P0])
    bench.turn()
    found = bench.partition()
    assert found.blocking is not None
    assert (found.blocking.offset, found.blocking.state) == (0, "waiting")
    assert found.blocking.words == "is not due yet (retry topic)"
    assert found.in_flight == 2
    assert bench.state().handlers[0].in_flight == 0


def test_a_record_that_waits_for_its_turn_is_named() -> None:
    bench = Bench(rate=0.01)
    bench.produce(P0, b"a", b"b", b"c")
    bench.client.assign([P0])
    bench.turn()
    found = bench.partition()
    assert found.blocking is not None
    assert (found.blocking.offset, found.blocking.words) == (1, "waits for its turn (rate)")
    assert bench.state().handlers[0].in_flight == 2
