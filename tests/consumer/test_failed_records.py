"""Records that fail, on real brokers: nothing is lost, whatever the topic behind them does."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.consumer.desk import Desk, until, why_it_ended
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer import App, DeadLetter, Limits, PayloadError, Record, Retry, RetryTopics
from rota.consumer.failed.letters import Letter, Origin, read_letter
from rota.model import RotaError

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

QUICK = Limits(commit_interval=50)


@pytest.fixture
def desk(broker: BrokerUnderTest) -> Desk:
    return Desk(broker.bootstrap_servers)


def letter_of(message: Any) -> Letter:
    letter = read_letter(message.headers())
    assert letter is not None
    return letter


def test_what_cannot_be_handled_is_found_in_the_dead_letter_topic_as_it_was(desk: Desk) -> None:
    topic, dlq, group = desk.topic("orders", 2), desk.topic("orders-dlq", 3), desk.name("billing")
    now_ms = time.time_ns() // 1_000_000
    own = [("trace-id", b"\x00\xff"), ("empty", None)]
    desk.write(
        topic,
        [
            {
                "key": b"k%d" % n,
                "value": b"\x00%d" % n,
                "partition": n % 2,
                "headers": own,
                "timestamp": now_ms - n,
            }
            for n in range(40)
        ],
    )
    app = App(desk.config(group), limits=QUICK)

    @app.handler(topic, retry=Retry(attempts=2, backoff=(0.01, 0.01)), dead_letter=DeadLetter(dlq))
    def handle(record: Record[bytes]) -> None:
        if int(record.value[1:]) % 10 == 3:
            raise ValueError(f"order {record.value[1:].decode()} is odd")

    with app.start() as running:
        until("four dead letters", lambda: len(desk.read(dlq)) >= 4, running)
        desk.wait_committed(group, topic, 40)
    letters = desk.read(dlq, 4)
    for message in letters:
        number = int((message.value() or b"")[1:])
        assert message.key() == b"k%d" % number
        assert message.timestamp()[1] == now_ms - number
        assert list(message.headers() or ())[:2] == own
        letter = letter_of(message)
        assert letter.origin == Origin(topic, 1, number // 2, now_ms - number, 2)
        assert (letter.group, letter.exception) == (group, "ValueError")
        assert letter.message == f"order {number} is odd"
        assert "in handle" in letter.trace
    assert sorted(int((message.value() or b"")[1:]) for message in letters) == [3, 13, 23, 33]


def test_through_the_retry_topics_to_the_dead_letters(desk: Desk) -> None:
    topic, dlq, group = desk.topic("orders"), desk.name("orders-dlq"), desk.name("g")
    desk.write(
        topic, [{"key": b"cured", "value": b"1"}, {"key": b"hopeless", "value": b"2"}, {"value": b"3"}]
    )
    app = App(desk.config(group), limits=QUICK)
    ran: list[tuple[bytes, str, Origin, float]] = []

    @app.handler(
        topic,
        retry_topics=RetryTopics("300ms", "700ms", create=True),
        dead_letter=DeadLetter(dlq, create=True),
    )
    def handle(record: Record[bytes]) -> None:
        ran.append((record.value, record.topic, record.origin, time.monotonic()))
        if record.value == b"2" or (record.value == b"1" and record.topic == topic):
            raise TimeoutError("not now")

    with app.start() as running:
        until("a dead letter", lambda: desk.read(dlq), running)
        desk.wait_committed(group, topic, 3)
        desk.wait_committed(group, f"{topic}.{group}.retry.700ms", 1)
    chain = [topic, f"{topic}.{group}.retry.300ms", f"{topic}.{group}.retry.700ms"]
    mine = [run for run in ran if run[0] == b"2"]
    assert [run[1] for run in mine] == chain
    assert [run[2]._replace(timestamp_ms=0) for run in mine] == [Origin(topic, 0, 1, 0, n) for n in range(3)]
    waits = [after[3] - before[3] for before, after in itertools.pairwise(mine)]
    assert waits[0] > 0.29
    assert waits[1] > 0.69
    assert [run[1] for run in ran if run[0] == b"1"] == chain[:2]
    (dead,) = desk.read(dlq)
    assert (dead.key(), dead.value()) == (b"hopeless", b"2")
    assert letter_of(dead).origin._replace(timestamp_ms=0) == Origin(topic, 0, 1, 0, 3)
    values = {
        config.name: config.value
        for config in desk.cluster.describe_topics([dlq])[dlq].configs  # type: ignore[union-attr]
    }
    assert values["retention.ms"] == "-1"


def test_what_waits_in_a_retry_topic_survives_the_consumer(desk: Desk) -> None:
    topic, group = desk.topic("orders"), desk.name("g")
    desk.write(topic, [{"value": b"1"}])
    ran: list[str] = []

    def app() -> App:
        made = App(desk.config(group), limits=QUICK)

        @made.handler(topic, retry_topics=RetryTopics("2s", create=True))
        def handle(record: Record[bytes]) -> None:
            ran.append(record.topic)
            if record.topic == topic:
                raise TimeoutError

        return made

    waits_in = f"{topic}.{group}.retry.2s"
    with app().start() as running:
        until(
            "it waits", lambda: ran and desk.cluster.topics().get(waits_in) and desk.read(waits_in), running
        )
        desk.wait_committed(group, topic, 1)
    with app().start() as running:
        desk.wait_committed(group, waits_in, 1)
    assert ran == [topic, waits_in]


def test_a_letter_that_is_too_large_goes_without_its_trace_and_one_that_is_so_even_then_stops_it(
    desk: Desk,
) -> None:
    topic, dlq = desk.topic("orders"), desk.topic("orders-dlq", max_message_bytes="4000")
    group = desk.name("g")
    desk.write(topic, [{"value": b"x" * 2_500}, {"value": b"ok"}, {"value": b"x" * 3_950}])

    def app() -> App:
        made = App(desk.config(group), limits=QUICK)

        @made.handler(topic, dead_letter=DeadLetter(dlq))
        def handle(record: Record[bytes]) -> None:
            def deep(depth: int) -> None:
                if depth:
                    deeper(depth - 1)
                raise ValueError("at the end")

            def deeper(depth: int) -> None:
                deep(depth)

            if record.value != b"ok":
                deep(15)

        return made

    for _ in range(2):
        words = why_it_ended(app().start())
        assert f"{dlq} did not take a record: it is too large for it with its headers" in words
        assert f"the record in {topic}-0 at offset 2 failed 1 time, at last with ValueError" in words
        assert {p: o.offset for p, o in desk.committed(group, topic).items()} == {0: 2}
    (message,) = desk.read(dlq)
    assert letter_of(message).origin.offset == 0
    assert letter_of(message).trace == ""


def test_an_outage_stops_it_at_the_limit_and_the_next_start_goes_on_without_loss(desk: Desk) -> None:
    topic, dlq, group = desk.topic("orders", 2), desk.topic("orders-dlq"), desk.name("g")
    desk.write(topic, [{"key": b"%d" % (n % 7), "value": b"%d" % n} for n in range(200)])
    down = True
    done: set[bytes] = set()

    def app() -> App:
        made = App(desk.config(group), limits=QUICK, concurrency=4)

        @made.handler(topic, dead_letter=DeadLetter(dlq, limit=20))
        def handle(record: Record[bytes]) -> None:
            if down:
                raise ConnectionError("the database is away")
            done.add(record.value)

        return made

    words = why_it_ended(app().start())
    assert words.startswith(f"20 records in a row went to {dlq} (limit); the record in {topic}-")
    assert len(desk.read(dlq)) == 20
    down = False
    with app().start():
        desk.wait_committed(group, topic, 200)
    dead = {message.value() for message in desk.read(dlq)}
    assert len(dead) == 20
    assert done | dead == {b"%d" % n for n in range(200)}
    assert not done & dead


def test_missing_topics_are_told_at_the_start_with_the_commands_that_make_them(desk: Desk) -> None:
    topic, dlq, group = desk.topic("orders", 3), desk.name("orders-dlq"), desk.name("g")
    app = App(desk.config(group))

    @app.handler(topic, dead_letter=DeadLetter(dlq), retry_topics=RetryTopics("1s"))
    def handle(record: Record[bytes]) -> None: ...

    with pytest.raises(RotaError) as caught:
        app.start()
    retry = f"{topic}.{group}.retry.1s"
    assert str(caught.value) == (
        f"failed records are to go to {retry}, {dlq}, which do not exist at {desk.bootstrap_servers}: "
        f"`rota topics create {retry} --bootstrap-server {desk.bootstrap_servers} --partitions 3; "
        f"rota topics create {dlq} --bootstrap-server {desk.bootstrap_servers} --partitions 3`, "
        "or create=True where the handler names them"
    )


@pytest.mark.parametrize(
    ("configs", "words"),
    [
        ({"cleanup.policy": "compact"}, "is compacted"),
        (
            {"retention.ms": "15000"},
            r"keeps records for 15,000 ms \(retention.ms\), and they wait there for 10,000 ms",
        ),
    ],
)
def test_a_topic_that_would_lose_records_is_refused(desk: Desk, configs: dict[str, str], words: str) -> None:
    topic = desk.topic("orders")
    desk.cluster.create_topic(f"{topic}.again.10s", partitions=1, configs=configs)
    app = App(desk.config(desk.name("g")))

    @app.handler(topic, retry_topics=RetryTopics("10s", name="{topic}.again.{delay}"))
    def handle(record: Record[bytes]) -> None: ...

    with pytest.raises(RotaError, match=words):
        app.start()


def test_a_handler_that_ends_the_program_ends_the_consumer_and_its_record_comes_again(desk: Desk) -> None:
    topic, dlq, group = desk.topic("orders"), desk.topic("orders-dlq"), desk.name("g")
    desk.write(topic, [{"key": b"a", "value": b"1"}, {"key": b"a", "value": b"2"}])
    ran: list[bytes] = []

    def app() -> App:
        made = App(desk.config(group), limits=QUICK)

        @made.handler(topic, retry=Retry(attempts=5), dead_letter=DeadLetter(dlq))
        def handle(record: Record[bytes]) -> None:
            ran.append(record.value)
            if ran == [b"1"]:
                raise SystemExit(3)

        return made

    assert why_it_ended(app().start()) == (
        f"sys.exit(3) was called for the record in {topic}-0 at offset 0, which comes again"
    )
    with app().start():
        desk.wait_committed(group, topic, 2)
    assert ran == [b"1", b"1", b"2"]
    assert desk.read(dlq) == []


def test_a_dead_letter_topic_that_is_deleted_meanwhile_stops_it(desk: Desk) -> None:
    """Also where the broker makes topics for whoever names them, as it does unless told otherwise."""
    topic, dlq, group = desk.topic("orders"), desk.topic("orders-dlq"), desk.name("g")
    app = App(desk.config(group, **{"topic.metadata.propagation.max.ms": 300}), limits=QUICK)

    @app.handler(topic, dead_letter=DeadLetter(dlq))
    def handle(record: Record[bytes]) -> None:
        raise ValueError("no")

    running = app.start()
    assert desk.cluster.delete_topics([dlq]) == {dlq: None}
    desk.write(topic, [{"value": b"1"}])
    assert why_it_ended(running).startswith(
        f"{dlq} did not take a record: it does not exist; `rota topics create {dlq} "
        f"--bootstrap-server {desk.bootstrap_servers}` makes it; the record in"
    )
    assert desk.committed(group, topic) in ({}, {0: (0, "")})
    assert dlq not in desk.cluster.topics()


def test_a_record_whose_headers_nobody_can_read_goes_to_the_dead_letters(desk: Desk) -> None:
    from kafka import KafkaProducer  # type: ignore[import-untyped]

    class NoText(str):
        __slots__ = ()

        def encode(self, *_: object) -> bytes:
            return b"\xff"

    topic, dlq, group = desk.topic("orders"), desk.topic("orders-dlq"), desk.name("g")
    producer = KafkaProducer(bootstrap_servers=desk.bootstrap_servers)
    for _ in range(100):  # by then calls are quick
        producer.send(topic, value=b"1", headers=[("name", b"x")])
    producer.send(topic, value=b"2", headers=[(NoText("name"), b"x")]).get(60)
    producer.close()
    app = App(desk.config(group), limits=QUICK)

    @app.handler(topic, dead_letter=DeadLetter(dlq), retry_topics=RetryTopics("100ms", create=True))
    def handle(record: Record[bytes]) -> None:
        if record.value == b"1":
            assert record.headers == [("name", b"x")]
            return
        if record.topic == topic:
            for _ in range(2):
                with pytest.raises(PayloadError, match="cannot be read"):
                    assert record.headers
        raise ValueError

    with app.start():
        desk.wait_committed(group, topic, 101)
        desk.wait_committed(group, f"{topic}.{group}.retry.100ms", 1)
    (message,) = desk.read(dlq)
    assert letter_of(message).origin[:3] == (topic, 0, 100)
    assert letter_of(message).origin.attempts == 2


def test_kill_9_loses_nothing_on_the_way_through_retry_topics_and_dead_letters(
    desk: Desk, tmp_path: Path
) -> None:
    count = 1_500
    topic, dlq, group = desk.topic("orders", 3), desk.name("orders-dlq"), desk.name("g")
    desk.write(topic, [{"key": b"%d" % (n % 50), "value": b"%d" % n} for n in range(count)])
    file = tmp_path / "handled"
    hopeless = set(range(0, count, 5))

    def handled() -> set[int]:
        return {int(line) for line in file.read_text().splitlines()} if file.exists() else set()

    def dead() -> set[int]:
        there = dlq in desk.cluster.topics()
        return {int(message.value() or b"") for message in desk.read(dlq)} if there else set()

    def start() -> subprocess.Popen[bytes]:
        words = ("tests.consumer.failing_member", desk.bootstrap_servers, group, topic, dlq, str(file))
        return subprocess.Popen([sys.executable, "-m", *words])

    for run in range(1, 4):
        member = start()
        try:
            wait_until("it gets on", lambda: len(handled()) > 100 * run)  # noqa: B023
        finally:
            member.kill()
            member.wait()
    member = start()
    try:
        wait_until("every record is handled or dead", lambda: handled() | dead() == set(range(count)))
    finally:
        member.terminate()
        member.wait(PATIENCE_S)
    assert member.returncode == 0
    assert dead() == hopeless
    assert handled() == set(range(count)) - hopeless
    for message in desk.read(dlq):
        letter = letter_of(message)
        assert (letter.origin.topic, letter.origin.attempts) == (topic, 3)


def test_a_broker_that_is_away_for_a_while_costs_neither_letters_nor_the_consumer(
    own_broker: BrokerUnderTest,
) -> None:
    desk = Desk(own_broker.bootstrap_servers)
    topic, dlq, group = desk.topic("orders"), desk.topic("orders-dlq"), desk.name("g")
    desk.write(topic, [{"key": b"%d" % n, "value": b"%d" % n} for n in range(200)])
    app = App(desk.config(group), limits=QUICK, concurrency=4)
    handled: set[int] = set()

    @app.handler(topic, dead_letter=DeadLetter(dlq))
    def handle(record: Record[str]) -> None:
        time.sleep(0.01)
        if int(record.value) % 4 == 0:
            raise ValueError(record.value)
        handled.add(int(record.value))

    with app.start() as running:
        until("it gets on", lambda: len(handled) > 20, running)
        own_broker.kill()
        until("it gets on without", lambda: len(handled) > 30, running)
        own_broker.start()
        until("all else is dead", lambda: len(desk.read(dlq)) >= 50, running)
        desk.wait_committed(group, topic, 200)
    assert {int(message.value() or b"") for message in desk.read(dlq)} == set(range(0, 200, 4))
    assert handled == set(range(200)) - set(range(0, 200, 4))
