"""What `KafkaLetters` hands to its producer, and what it makes of the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.consumer.stored_message import StoredMessage

from rota.consumer.failed.dead_letters import KafkaLetters
from rota.consumer.failed.letter_topics import Facts
from rota.consumer.failed.letters import Letter, Origin, read_letter

NOW = 1_700_000_000_000
CONFIG = {
    "bootstrap.servers": "b:9092",
    "group.id": "billing",
    "security.protocol": "SASL_SSL",
    "sasl.username": "u",
    "ssl.ca.location": "/ca",
    "client.id": "pod-1",
    "session.timeout.ms": 6000,
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "fetch.queue.backoff.ms": 5,
    "partition.assignment.strategy": "range",
    "group.instance.id": "a",
}


class FakeProducer:
    """Takes ``room`` records; answers each when polled with the next of ``errors``."""

    def __init__(self) -> None:
        self.room = 1_000
        self.errors: deque[int | None] = deque()
        self.raises: deque[int] = deque()
        self.sent: list[dict[str, Any]] = []
        self.answers: deque[Callable[..., None]] = deque()
        self.purged = False

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **record: Any) -> None:
        if self.raises:
            raise KafkaException(KafkaError(self.raises.popleft()))
        if len(self.answers) >= self.room:
            raise BufferError
        self.sent.append({"topic": topic, **record})
        self.answers.append(on_delivery)

    def poll(self, _timeout: float) -> None:
        while self.answers:
            code = self.errors.popleft() if self.errors else None
            self.answers.popleft()(None if code is None else KafkaError(code), None)

    def purge(self) -> None:
        self.purged = True

    def flush(self, _timeout: float) -> None:
        self.errors = deque([KafkaError._PURGE_QUEUE] * len(self.answers))
        self.poll(0)


class Told:
    """A delivery of whose end the desk is told."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @property
    def wanted(self) -> bool:
        return self.desk.ours

    def __call__(self, problem: str | None) -> None:
        self.desk.told.append(problem)


class Desk:
    """A `KafkaLetters` on a fake producer."""

    def __init__(self, **more: Any) -> None:
        self.producer = FakeProducer()
        self.configs: list[dict[str, Any]] = []
        self.told: list[str | None] = []
        self.ours = True
        self.letters = KafkaLetters(CONFIG, wall_ms=lambda: NOW, make=self.make, **more)

    def make(self, config: dict[str, Any]) -> FakeProducer:
        self.configs.append(config)
        return self.producer

    def send(self, message: StoredMessage, attempts: int = 1, wait_ms: int | None = None) -> None:
        try:
            raise ValueError("too odd")
        except ValueError as failure:
            self.letters.send(message, failure, attempts, "orders.dlq", Told(self), wait_ms)  # type: ignore[arg-type]

    def letter(self, index: int = -1) -> Letter:
        found = read_letter(self.producer.sent[index]["headers"])
        assert found is not None
        return found


def test_the_record_stays_as_it_was_and_its_headers_say_what_happened() -> None:
    desk = Desk()
    own = [("trace-id", b"\x00\xff"), ("empty", None), ("trace-id", b"again")]
    desk.send(StoredMessage("orders", 2, 7, b"k", b"\x00v", own, NOW - 1_000), attempts=3)
    assert desk.told == [], "not before the delivery report"
    desk.letters.serve()
    assert desk.told == [None]
    (sent,) = desk.producer.sent
    assert (sent["topic"], sent["key"], sent["value"]) == ("orders.dlq", b"k", b"\x00v")
    assert sent["timestamp"] == NOW - 1_000
    assert sent["headers"][:3] == own
    letter = desk.letter()
    assert letter.origin == Origin("orders", 2, 7, NOW - 1_000, 3)
    assert (letter.group, letter.exception, letter.message) == ("billing", "ValueError", "too odd")
    assert (letter.failed_at_ms, letter.due_at_ms) == (NOW, None)
    assert letter.trace.rstrip().endswith("ValueError: too odd")


def test_the_producer_connects_as_the_consumer_does_and_is_made_when_it_is_needed() -> None:
    desk = Desk()
    desk.letters.serve()
    assert desk.configs == []
    desk.send(StoredMessage())
    (config,) = desk.configs
    same = ("bootstrap.servers", "security.protocol", "sasl.username", "ssl.ca.location", "client.id")
    assert {name: config[name] for name in same} == {name: CONFIG[name] for name in same}
    assert (config["enable.idempotence"], config["acks"]) == (True, "all")
    consumer_only = set(CONFIG) - set(same)
    assert not consumer_only & set(config)


def test_a_retry_topic_is_told_when_the_record_is_due_and_origin_and_attempts_go_along() -> None:
    desk = Desk(retry_topics={"orders.retry.10s"})
    desk.send(StoredMessage("orders", 2, 7), attempts=3, wait_ms=10_000)
    first = desk.letter()
    assert (first.due_at_ms, first.origin) == (NOW + 10_000, Origin("orders", 2, 7, attempts=3))
    assert first.trace == ""
    waited = StoredMessage("orders.retry.10s", 0, 0, its_headers=desk.producer.sent[0]["headers"])
    desk.send(waited, attempts=3)
    last = desk.letter()
    assert last.origin == Origin("orders", 2, 7, attempts=6)
    assert last.due_at_ms is None
    names = [name for name, _ in desk.producer.sent[-1]["headers"]]
    assert len(names) == len(set(names))


def test_headers_on_records_from_elsewhere_are_somebody_else_s() -> None:
    theirs = Letter(Origin("other", 1, 1, attempts=9), "them", "KeyError", "", 5).headers()
    desk = Desk(retry_topics={"orders.retry.10s"})
    desk.send(StoredMessage("orders", 2, 7, its_headers=theirs))
    assert desk.letter().origin == Origin("orders", 2, 7, attempts=1)


def test_headers_that_cannot_be_read_do_not_keep_a_record_from_its_way() -> None:
    class Odd(StoredMessage):
        def headers(self) -> Any:
            raise SystemError("as confluent-kafka does for a name that is no UTF-8")

    desk = Desk(retry_topics={"odd"})
    desk.send(Odd("odd", 2, 7))
    desk.letters.serve()
    assert desk.told == [None]
    assert desk.producer.sent[0]["headers"][0] == ("rota-unreadable-headers", b"lost")
    assert desk.letter().origin == Origin("odd", 2, 7, attempts=1)


def test_a_record_that_is_too_large_goes_without_its_trace() -> None:
    desk = Desk()
    desk.producer.errors.append(KafkaError.MSG_SIZE_TOO_LARGE)
    desk.send(StoredMessage())
    desk.letters.serve()
    assert desk.told == []
    assert (desk.letter(0).trace != "", desk.letter(1).trace) == (True, "")
    desk.letters.serve()
    assert desk.told == [None]


@pytest.mark.parametrize("by", ["the broker", "the client"])
def test_one_that_is_too_large_even_so_is_a_failure_in_words(by: str) -> None:
    desk = Desk()
    refusals = desk.producer.errors if by == "the broker" else desk.producer.raises
    refusals.extend([KafkaError.MSG_SIZE_TOO_LARGE] * 2)
    desk.send(StoredMessage())
    for _ in range(3):
        desk.letters.serve()
    assert len(desk.told) == 1
    assert "too large" in str(desk.told)
    assert "raise max.message.bytes of orders.dlq" in str(desk.told)


def test_a_timestamp_that_the_topic_refuses_is_left_out() -> None:
    desk = Desk()
    desk.producer.errors.append(KafkaError.INVALID_TIMESTAMP)
    desk.send(StoredMessage(at_ms=NOW + 10**10))
    for _ in range(2):
        desk.letters.serve()
    assert desk.told == [None]
    assert [record.get("timestamp") for record in desk.producer.sent] == [NOW + 10**10, None]
    assert desk.letter().origin.timestamp_ms == NOW + 10**10


@pytest.mark.parametrize(
    ("facts", "age_ms", "kept"),
    [
        (Facts(None, 1_000), 499, True),
        (Facts(None, 1_000), 501, False),
        (Facts(None, None), 10**12, True),
        (Facts(), 86_400_000, True),
        (Facts(), 6 * 86_400_000, False),
    ],
)
def test_a_topic_that_would_delete_an_old_record_is_given_it_as_of_now(
    facts: Facts, age_ms: int, kept: bool
) -> None:
    desk = Desk(facts={"orders.dlq": facts})
    desk.send(StoredMessage(at_ms=NOW - age_ms))
    assert ("timestamp" in desk.producer.sent[0]) == kept
    assert desk.letter().origin.timestamp_ms == NOW - age_ms


def test_a_topic_that_takes_none_is_told_in_words() -> None:
    desk = Desk()
    codes = [
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._MSG_TIMED_OUT,
        KafkaError.KAFKA_STORAGE_ERROR,
    ]
    desk.producer.errors.extend(codes)
    for offset in range(len(codes)):
        desk.send(StoredMessage(its_offset=offset))
    desk.letters.serve()
    assert [str(problem).partition(";")[0] for problem in desk.told] == [
        "this user may not write to it",
        "it does not exist",
        "no acknowledgement came in time",
        "Broker: Disk error when trying to access log file on disk",
    ]


def test_a_full_queue_is_waited_for_and_nothing_is_lost() -> None:
    desk = Desk()
    desk.producer.room = 2
    for offset in range(5):
        desk.send(StoredMessage(its_offset=offset))
    assert len(desk.producer.sent) == 2
    for _ in range(3):
        desk.letters.serve()
    assert desk.told == [None] * 5
    assert [desk.letter(i).origin.offset for i in range(5)] == list(range(5))


def test_what_is_under_way_at_the_end_is_given_up() -> None:
    desk = Desk()
    desk.letters.close()
    desk.send(StoredMessage())
    desk.letters.close()
    assert desk.producer.purged
    assert desk.told == [], "not done: it comes again"


@pytest.mark.parametrize("why", ["no room", "too large"])
def test_what_was_not_sent_when_its_partition_was_lost_is_not_sent_after_that(why: str) -> None:
    desk = Desk()
    if why == "no room":
        desk.producer.room = 0
    else:
        desk.producer.errors.append(KafkaError.MSG_SIZE_TOO_LARGE)
    desk.send(StoredMessage())
    desk.ours = False
    before = len(desk.producer.sent)
    desk.producer.room = 10
    for _ in range(3):
        desk.letters.serve()
    assert len(desk.producer.sent) == before
    assert desk.told == ["its partition was lost"]
