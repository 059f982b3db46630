"""Records that fail, in a whole engine: who waits, who goes on, what is committed, when the consumer stops."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from random import Random

import pytest
from tests.consumer.fakes import FakeClient, FakeClock, FakeKafka, FakeReturned, FakeWorkers

from rota.consumer.clients.client import Message
from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ordering_for
from rota.consumer.core.policy import DeadLetter, Policy, Retry, skip
from rota.consumer.core.state import Limits, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.failed.retry_topics import RetryTopics, hops_of
from rota.model import TopicPartition

RETRY = TopicPartition("orders.g.retry.10s", 0)
HOPS = hops_of(RetryTopics("10s"), ["orders"], "g")
P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)
Handler = Callable[[Message, int], None]


class FakeLetters:
    """Keeps what was sent until the test answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str, int, int | None]] = []
        self.under_way: deque[Callable[[str | None], None]] = deque()
        self.answers: deque[str | None] = deque()
        self.prompt = False

    def send(
        self,
        message: Message,
        failure: BaseException,
        attempts: int,
        topic: str,
        delivered: Callable[[str | None], None],
        wait_ms: int | None = None,
    ) -> None:
        assert isinstance(failure, OSError)
        self.sent.append((message.offset(), topic, attempts, wait_ms))
        self.under_way.append(delivered)

    def serve(self) -> None:
        while self.under_way and (self.answers or self.prompt):
            self.under_way.popleft()(self.answers.popleft() if self.answers else None)


class Desk:
    """One consumer with two workers, and what its handler did: (offset, attempt) in the order of the ends."""

    def __init__(
        self,
        policy: Policy,
        handler: Handler,
        in_flight: int = 10_000,
        due_ms: Callable[[Message], int] | None = None,
        letters: FakeLetters | None = None,
    ) -> None:
        self.kafka = FakeKafka()
        self.clock = FakeClock()
        self.client = FakeClient(self.kafka)
        self.letters = letters or FakeLetters()
        self.handler = handler
        self.ran: list[tuple[int, int]] = []
        random = Random(7)
        returned = FakeReturned(random, self.clock)
        ours = Ours()
        self.workers = FakeWorkers(2, returned, self.handle)
        self.lanes = Lanes(ordering_for("key", 4, "partition"), self.workers.ready, ours.owns, due_ms=due_ms)
        route = Route("handler", self.lanes, self.workers, policy)
        self.engine = Engine(
            self.client,
            dict.fromkeys(["orders", *policy.retry_topics], route),
            ours,
            returned,
            self.clock,
            random,
            limits=Limits(commit_interval=20, commit_spacing=1, in_flight=in_flight),
            dead_letters=self.letters,
        )
        self.client.subscribe(["orders"], self.engine)
        self.client.assign([P0, P1])

    def handle(self, message: Message, task: Task) -> Iterator[None]:
        yield
        try:
            self.handler(message, task.attempt)
        finally:
            self.ran.append((message.offset(), task.attempt))

    def produce(self, *keys: bytes, partition: TopicPartition = P0) -> None:
        for key in keys:
            self.kafka.produce(partition, key)

    def go(self, ms: int) -> None:
        """So many milliseconds in which everybody does what there is to do."""
        for _ in range(ms):
            if self.engine.stopping is None and (room := self.engine.room()):
                self.engine.dispatch(self.client.consume(room, 0))
            for _ in range(200):
                for index in self.workers.able:
                    self.workers.step(index)
            self.engine.tick()
            self.client.answer(ok=True)
            self.clock.now += 1

    def committed(self, partition: TopicPartition = P0) -> int:
        found = self.kafka.committed.get(partition)
        return 0 if found is None else found.offset


def waiting(delay_ms: int) -> Callable[[Message], int]:
    """Records of the retry topic wait, whatever anybody's clock says."""
    return lambda message: 0 if message.topic() == "orders" else delay_ms


def failing(*offsets: int, times: int = 1_000_000) -> Handler:
    def handle(message: Message, attempt: int) -> None:
        if message.offset() in offsets and attempt <= times:
            raise OSError("not now")

    return handle


def test_between_attempts_other_keys_go_on_and_the_same_key_waits() -> None:
    desk = Desk(Policy(Retry(attempts=3, backoff=(1.0, 10.0))), failing(0, times=2))
    desk.produce(b"a", b"b", b"a", b"c")
    desk.go(500)
    assert sorted(desk.ran) == [(0, 1), (1, 1), (3, 1)]
    assert desk.committed() == 0
    (waiting,) = desk.engine.failures.waiting()
    assert (waiting.message.offset(), waiting.attempt) == (0, 2)
    assert 750 <= waiting.due_ms <= 1_050
    desk.go(3_500)
    assert desk.ran[-3:] == [(0, 2), (0, 3), (2, 1)]
    assert desk.committed() == 4
    assert list(desk.engine.failures.waiting()) == []


def test_records_that_wait_count_as_in_flight() -> None:
    desk = Desk(Policy(Retry(attempts=2, backoff=(60.0, 60.0))), failing(*range(100)), in_flight=4)
    desk.produce(*(b"%d" % n for n in range(10)))
    desk.go(300)
    assert len(desk.ran) == 4
    assert desk.engine.room() == 0


def test_a_dead_letter_is_done_only_after_its_delivery_report() -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq")), failing(0))
    desk.produce(b"a", b"a", b"b")
    desk.go(100)
    assert desk.letters.sent == [(0, "orders.dlq", 1, None)]
    assert sorted(desk.ran) == [(0, 1), (2, 1)], "its key waits"
    assert desk.committed() == 0
    desk.letters.answers.append(None)
    desk.go(100)
    assert desk.ran[-1] == (1, 1)
    assert desk.committed() == 3
    assert desk.engine.stopping is None


def test_a_topic_that_does_not_take_a_record_stops_the_consumer_and_nothing_is_lost() -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq")), failing(0))
    desk.produce(b"a", b"b")
    desk.letters.answers.append("this user may not write to it")
    desk.go(100)
    assert desk.engine.stopping == (
        "orders.dlq did not take a record: this user may not write to it; the record in orders-0 at offset 0 "
        "failed 1 time, at last with OSError: not now"
    )
    desk.engine.finish()
    assert desk.committed() == 0


def test_more_in_a_row_than_the_limit_stop_the_consumer_instead_of_being_dropped() -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq", limit=3)), failing(*range(100)))
    desk.letters.prompt = True
    desk.produce(*[b"a"] * 10)
    desk.go(200)
    desk.engine.finish()
    assert [offset for offset, _, _, _ in desk.letters.sent] == [0, 1, 2]
    assert desk.committed() == 3
    assert (desk.engine.stopping or "").startswith(
        "3 records in a row went to orders.dlq (limit); the record"
    )


@pytest.mark.parametrize("between", ["a success", "a record that needs no work"])
def test_what_is_handled_between_ends_the_row(between: str) -> None:
    def handle(message: Message, attempt: int) -> None:
        if message.offset() % 3 < 2:
            raise OSError
        if between != "a success":
            raise skip("known")

    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq", limit=2)), handle)
    desk.letters.prompt = True
    desk.produce(*[b"a"] * 30)
    desk.go(500)
    assert len(desk.letters.sent) == 20
    assert desk.committed() == 30
    assert desk.engine.stopping is None


def test_too_many_among_the_last_ones_stop_the_consumer() -> None:
    def handle(message: Message, attempt: int) -> None:
        if message.offset() >= 100 and message.offset() % 2:
            raise OSError

    letter = DeadLetter("orders.dlq", max_ratio=0.1, window=50)
    desk = Desk(Policy(dead_letter=letter), handle)
    desk.letters.prompt = True
    desk.produce(*[b"a"] * 200)
    desk.go(2_000)
    assert len(desk.letters.sent) == 5
    assert (desk.engine.stopping or "").startswith(
        "5 of the last 50 records went to orders.dlq (max_ratio 0.1); the record in orders-0 at offset 111"
    )


def test_few_among_many_do_not() -> None:
    letter = DeadLetter("orders.dlq", max_ratio=0.1, window=50)
    desk = Desk(Policy(dead_letter=letter), failing(*range(0, 400, 10)))
    desk.letters.prompt = True
    desk.produce(*[b"a"] * 400)
    desk.go(3_000)
    assert desk.engine.stopping is None
    assert desk.committed() == 400


def test_a_record_that_fails_with_all_its_attempts_goes_to_the_first_retry_topic() -> None:
    hops = hops_of(RetryTopics("10s", "1m"), ["orders"], "g")
    desk = Desk(Policy(Retry(attempts=2, backoff=(0.01, 0.01)), DeadLetter("d"), hops=hops), failing(0))
    desk.letters.prompt = True
    desk.produce(b"a", b"a")
    desk.go(200)
    assert desk.letters.sent == [(0, "orders.g.retry.10s", 2, 10_000)]
    assert desk.committed() == 2


def test_a_revoke_waits_for_what_is_on_its_way_and_commits_it() -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq")), failing(0))
    desk.produce(b"a")
    desk.go(50)
    assert desk.letters.sent
    assert desk.committed() == 0
    desk.letters.prompt = True
    desk.client.withdraw([P0], lost=False)
    assert desk.committed() == 1


def test_after_a_lost_partition_nothing_of_it_is_sent_or_committed() -> None:
    desk = Desk(Policy(Retry(attempts=2, backoff=(0.1, 0.1)), DeadLetter("orders.dlq")), failing(0, 1))
    desk.produce(b"a", b"b")
    desk.go(50)
    assert desk.letters.sent == []
    desk.client.withdraw([P0], lost=True)
    desk.letters.prompt = True
    desk.go(500)
    assert desk.letters.sent == []
    assert desk.committed() == 0


def test_a_delivery_that_is_reported_after_the_loss_changes_nothing() -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq")), failing(0))
    desk.produce(b"a", b"a")
    desk.go(50)
    desk.client.withdraw([P0], lost=True)
    for answer in (None, "it is away"):
        desk.letters.answers.append(answer)
        desk.go(50)
    assert desk.engine.stopping is None
    assert desk.committed() == 0
    desk.letters.answers.clear()
    desk.client.assign([P0])
    desk.letters.prompt = True
    desk.go(100)
    assert [offset for offset, _, _, _ in desk.letters.sent] == [0, 0], "whoever has it next does it again"
    assert desk.committed() == 2


def test_what_fails_while_its_partition_goes_is_left_to_its_next_owner() -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq")), failing(0))
    desk.produce(b"a")
    desk.engine.dispatch(desk.client.consume(10, 0))
    desk.workers.step(0)
    desk.workers.step(0)
    desk.client.withdraw([P0], lost=False)
    assert desk.letters.sent == []
    assert desk.committed() == 0


def test_without_a_policy_the_consumer_stops_and_the_record_comes_again() -> None:
    desk = Desk(Policy(), failing(1))
    desk.produce(b"a", b"a", b"a")
    desk.go(100)
    desk.engine.finish()
    assert desk.committed() == 1
    assert desk.engine.stopping == (
        "the record in orders-0 at offset 1 failed 1 time, at last with OSError: not now"
    )


def test_those_that_were_under_way_when_the_consumer_gave_up_are_counted_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq", limit=1)), failing(*range(100)))
    desk.letters.prompt = True
    for number in range(40):
        desk.produce(b"%d" % number)
    desk.go(50)
    desk.engine.finish()
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    failed = len(desk.ran)
    assert failed > 3, "workers had begun with several"
    assert len(errors) == 2, errors
    assert errors[1] == f"{failed - 2} more failed meanwhile, and come again"


def test_each_record_that_is_skipped_is_named_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rota.consumer")
    policy = Policy(Retry(attempts=2, backoff=(0.01, 0.01)), skip_failed=True)
    desk = Desk(policy, failing(0, 2))
    desk.produce(b"a", b"a", b"a")
    desk.go(200)
    assert desk.committed() == 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"skipped: the record in orders-0 at offset {offset} failed 2 times, at last with OSError: not now"
        for offset in (0, 2)
    ]


def test_a_record_that_needs_no_work_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def handle(message: Message, attempt: int) -> None:
        raise skip("old")

    desk = Desk(Policy(), handle)
    desk.produce(b"a")
    desk.go(100)
    assert desk.committed() == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_record_of_a_retry_topic_waits_for_the_delay_and_no_longer() -> None:
    """Also where the clock that wrote when it is due goes wrong: it is asked once."""
    desk = Desk(Policy(hops=HOPS), failing(), due_ms=waiting(300))
    desk.client.assign([RETRY])
    desk.produce(b"a", b"a", partition=RETRY)
    desk.go(290)
    assert desk.ran == []
    assert desk.committed(RETRY) == 0
    desk.go(60)
    assert desk.ran == [(0, 1), (1, 1)]
    assert desk.committed(RETRY) == 2


def test_what_is_not_due_keeps_nobody_from_being_fetched() -> None:
    desk = Desk(Policy(hops=HOPS), failing(), in_flight=50, due_ms=waiting(600_000))
    desk.client.assign([RETRY])
    desk.produce(*(b"%d" % n for n in range(500)), partition=RETRY)
    desk.go(100)
    assert RETRY in desk.client.paused
    assert desk.engine.gates.reasons(desk.clock.now)[RETRY] == "its records are not due yet (retry topic)"
    assert desk.lanes.not_due(*RETRY) <= 100, "as many as one fetch brings, and no more"
    desk.produce(*(b"%d" % n for n in range(300)))
    desk.go(500)
    assert desk.committed() == 300
    assert desk.engine.room() == 50


def test_a_partition_is_fetched_again_when_its_records_are_due() -> None:
    desk = Desk(Policy(hops=HOPS), failing(), in_flight=50, due_ms=waiting(200))
    desk.client.assign([RETRY])
    desk.produce(*(b"%d" % n for n in range(500)), partition=RETRY)
    desk.go(5_000)
    assert desk.committed(RETRY) == 500
    assert RETRY not in desk.client.paused


def test_what_waits_for_its_time_goes_with_its_partition() -> None:
    desk = Desk(Policy(hops=HOPS), failing(), due_ms=waiting(200))
    desk.client.assign([RETRY])
    desk.produce(b"a", b"b", b"a", partition=RETRY)
    desk.go(50)
    desk.client.withdraw([RETRY], lost=False)
    desk.go(500)
    assert desk.ran == []
    assert desk.lanes.not_due(*RETRY) == 0
    assert desk.engine.room() == 10_000
    desk.client.assign([RETRY])
    desk.go(500)
    assert sorted(desk.ran) == [(0, 1), (1, 1), (2, 1)]
    assert desk.committed(RETRY) == 3


def test_a_producer_that_cannot_be_made_ends_the_consumer_in_order() -> None:
    class NoLetters(FakeLetters):
        def send(self, *_: object, **__: object) -> None:
            raise OSError("no more threads")

    desk = Desk(Policy(dead_letter=DeadLetter("orders.dlq")), failing(1), letters=NoLetters())
    desk.produce(b"a", b"a", b"a")
    desk.go(100)
    assert desk.engine.stopping is not None
    assert desk.engine.stopping.startswith(
        "orders.dlq did not take a record: OSError: no more threads; the record"
    )
    assert desk.engine.finish()
    assert desk.committed() == 1
