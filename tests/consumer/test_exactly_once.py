"""Exactly-once from topic to topic, on Rota's broker and on Apache Kafka: whoever reads committed records finds what
each record produced once, whatever is killed in the middle.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as ClientPartition
from tests.brokers import BrokerUnderTest
from tests.children import ending_with_parent
from tests.consumer.desk import Desk, until
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.broker.handlers import api_versions
from rota.consumer import App, Context, DeadLetter, Limits, Record, Records, Retry, RetryTopics
from rota.consumer.core.offset_metadata import decode_done
from rota.model import RotaError
from rota.testing import Broker

KILLS = 8


@pytest.fixture
def desk(broker: BrokerUnderTest) -> Desk:
    return Desk(broker.bootstrap_servers)


class Reader:
    """Reads what is committed in a topic, from its beginning."""

    def __init__(self, desk: Desk, topic: str) -> None:
        self._values: set[bytes | None] = set()
        settings = {"isolation.level": "read_committed", "auto.offset.reset": "earliest", "log_level": 0}
        self._consumer = Consumer(desk.config(desk.name(uuid4().hex), **settings))
        self._consumer.subscribe([topic])

    def read_until(self, count: int) -> None:
        """Until there are so many different values."""
        wait_until(f"{count} outputs", lambda: self._read() >= count, every_s=0)

    def _read(self) -> int:
        for message in self._consumer.consume(1_000, 0.2):
            assert message.error() is None
            self._values.add(message.value())
        return len(self._values)


@contextmanager
def reader_of(desk: Desk, topic: str) -> Iterator[Reader]:
    reader = Reader(desk, topic)
    try:
        yield reader
    finally:
        reader._consumer.close()


def values(desk: Desk, topic: str) -> Counter[bytes | None]:
    """How often each value is in a topic, as far as it is committed."""
    return Counter(message.value() for message in desk.read(topic))


def app_for(desk: Desk, group: str, **options: Any) -> App:
    config = {"bootstrap.servers": desk.bootstrap_servers, "group.id": group}
    return App(config, limits=Limits(commit_interval=50), **options)


def numbers(count: int) -> list[dict[str, Any]]:
    return [{"key": b"%d" % (number % 20), "value": b"%d" % number} for number in range(count)]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_every_record_produces_once(desk: Desk, protocol: str) -> None:
    source, target = desk.topic("source", 2), desk.topic("target", 3)
    desk.write(source, numbers(400))
    config = desk.config(desk.name("group"), **{"group.protocol": protocol})
    app = App(config, limits=Limits(commit_interval=50), concurrency=8)
    luck = Random(1)

    @app.handler(source, exactly_once=True, retry=Retry(attempts=50, backoff=(0.001, 0.01)))
    def handle(record: Record[bytes], context: Context) -> None:
        context.produce(target, record.value, key=record.key, headers=[("from", str(record).encode())])
        if luck.random() < 0.1:
            raise OSError("produced, and not done")

    with app.start(), reader_of(desk, target) as reader:
        reader.read_until(400)
    assert values(desk, target) == Counter(b"%d" % number for number in range(400))


def test_asynchronous_handlers_and_batches(desk: Desk) -> None:
    source, batches, target = desk.topic("source", 2), desk.topic("batches", 2), desk.topic("target", 2)
    desk.write(source, numbers(200))
    desk.write(batches, numbers(200))
    app = app_for(desk, desk.name("group"))

    @app.handler(source, exactly_once=True)
    async def handle(record: Record[bytes], context: Context) -> None:
        context.produce(target, b"one " + record.value)

    @app.handler(batches, exactly_once=True, order="partition", batch=_batch(20))
    def handle_many(records: Records[bytes], context: Context) -> None:
        for value in records.values:
            context.produce(target, b"many " + value)

    with app.start(), reader_of(desk, target) as reader:
        reader.read_until(400)
    assert values(desk, target) == Counter(
        word + b"%d" % number for word in (b"one ", b"many ") for number in range(200)
    )


def _batch(most: int) -> Any:
    from rota.consumer import Batch

    return Batch(most=most, wait_ms=5)


def test_what_is_done_beyond_the_offset_is_in_the_same_transaction(desk: Desk) -> None:
    """A record that cannot go on: those after it are done, their outputs are visible, and a second member that
    takes over produces only what is missing.
    """
    source, target, group = desk.topic("source"), desk.topic("target"), desk.name("group")
    desk.write(source, numbers(100))
    release = False

    def member() -> App:
        app = app_for(desk, group, concurrency=4)

        @app.handler(source, exactly_once=True, retry=Retry(attempts=1_000_000, backoff=(0.01, 0.02)))
        def handle(record: Record[bytes], context: Context) -> None:
            context.produce(target, record.value)
            if record.offset == 3 and not release:
                raise OSError("not yet")

        return app

    with member().start(), reader_of(desk, target) as reader:
        reader.read_until(95)  # key 3 has five records; one is blocked, four wait behind it
    committed = desk.committed(group, source)[0]
    assert committed.offset == 3
    assert sum(end - first for first, end in decode_done(*committed)) == 95 - 3
    release = True
    with member().start(), reader_of(desk, target) as reader:
        reader.read_until(100)
    assert values(desk, target) == Counter(b"%d" % number for number in range(100))


@pytest.mark.parametrize("more", [0, 140])
def test_a_log_that_lies_below_what_is_committed_is_copied_all_the_same(desk: Desk, more: int) -> None:
    """It begins anew, or was cut off: what is committed was said of other records. With ``more`` the first commit
    already lies beyond it.
    """
    source, target, group = desk.topic("source"), desk.topic("target"), desk.name("group")
    desk.write(source, numbers(10))
    before = Consumer(desk.config(group))
    before.commit(offsets=[ClientPartition(source, 0, 100)], asynchronous=False)
    before.close()
    app = App(
        desk.config(group), limits=Limits(commit_interval=600_000 if more else 50, commit_every=100_000)
    )
    handled: list[int] = []

    @app.handler(source, exactly_once=True)
    def handle(record: Record[bytes], context: Context) -> None:
        context.produce(target, record.value)
        handled.append(record.offset)

    with app.start() as running:
        until("the first are handled", lambda: len(handled) >= 10, running)
        desk.write(source, numbers(10 + more)[10:])
        until("all are handled", lambda: len(handled) >= 10 + more, running)
    assert desk.committed(group, source)[0].offset >= 10 + more
    assert values(desk, target) == everything(10 + more)


def test_failed_records_are_in_the_transaction_too(desk: Desk) -> None:
    """Retry topics and dead letters; headers of the record are kept, and an output may be as large as it may."""
    source, target = desk.topic("source", 2), desk.topic("target")
    dead, group = desk.topic("dead"), desk.name("group")
    desk.write(source, [{**each, "headers": [("k", b"v")]} for each in numbers(60)])
    app = app_for(desk, group)
    large = b"y" * 999_990

    @app.handler(
        source,
        exactly_once=True,
        retry=Retry(attempts=2, backoff=(0.001, 0.01)),
        retry_topics=RetryTopics("100ms", create=True),
        dead_letter=DeadLetter(dead),
    )
    def handle(record: Record[bytes], context: Context) -> None:
        context.produce(target, large if record.value == b"0" else record.value)
        if record.value.endswith(b"3") or (record.value.endswith(b"5") and record.topic == source):
            raise OSError("not this one")

    with app.start(), reader_of(desk, target) as reader, reader_of(desk, dead) as dead_reader:
        reader.read_until(54)
        dead_reader.read_until(6)
    expected = everything(60)
    assert values(desk, target) - Counter([large]) == Counter(
        {value: 1 for value in expected if value != b"0" and not str(value).endswith("3'")}
    )
    letters = desk.read(dead)
    assert sorted(int(letter.value() or b"") for letter in letters) == [3, 13, 23, 33, 43, 53]
    assert all(("k", b"v") in (letter.headers() or []) for letter in letters)


def test_a_large_record_that_fails_goes_without_the_trace_where_it_does_not_fit(desk: Desk) -> None:
    """And without its timestamp where that is refused: the transaction would be, and each one after it."""
    source, group = desk.topic("source", max_message_bytes="4000000"), desk.name("group")
    dead = desk.topic("dead", max_message_bytes="1500000", message_timestamp_before_max_ms="60000")
    fits, just = b"x" * 1_200_000, b"y" * (1_500_000 - 2_000)
    hour_ago = int(time.time() * 1_000) - 3_600_000
    desk.write(source, [{"value": fits}, {"value": just}, {"value": b"old", "timestamp": hour_ago}])
    app = app_for(desk, group)

    @app.handler(source, exactly_once=True, dead_letter=DeadLetter(dead), retry=Retry(attempts=1))
    def handle(_record: Record[bytes], _context: Context) -> None:
        error = None
        for _ in range(40):  # a long trace
            try:
                raise OSError("not this one") from error
            except OSError as failure:
                error = failure
        assert error is not None
        raise error

    with app.start():
        desk.wait_committed(group, source, 3)
    letters = {letter.value(): letter for letter in desk.read(dead, 3)}
    assert set(letters) == {fits, just, b"old"}
    traces = {
        value: dict(letter.headers() or []).get("rota-exception-trace") for value, letter in letters.items()
    }
    assert traces[fits]
    assert traces[b"old"]
    assert not traces[just]
    assert letters[b"old"].timestamp()[1] > hour_ago


def test_a_record_that_no_dead_letter_topic_takes_is_told(desk: Desk) -> None:
    source = desk.topic("source", max_message_bytes="4000000")
    dead = desk.topic("dead", max_message_bytes="1000000")
    desk.write(source, [{"value": b"x" * 1_200_000}])
    app = app_for(desk, desk.name("group"))

    @app.handler(source, exactly_once=True, dead_letter=DeadLetter(dead), retry=Retry(attempts=1))
    def handle(_record: Record[bytes], _context: Context) -> None:
        raise OSError("not this one")

    with pytest.raises(RotaError, match=f"raise max.message.bytes of {dead}"):
        app.start().wait()


def test_an_output_that_the_producer_would_not_take_is_a_failure_of_its_record(desk: Desk) -> None:
    source, target, dead, group = (
        desk.topic("source"),
        desk.topic("target"),
        desk.topic("dead"),
        desk.name("group"),
    )
    wrong: list[dict[str, Any]] = [
        {"timestamp_ms": time.time() * 1_000}, {"timestamp_ms": -5}, {"timestamp_ms": 2**63}, {"partition": 1.0},
        {"partition": -7}, {"partition": 2**31}, {"value": 5}, {"value": {"a": 1}}, {"value": "\ud800"}, {"key": 3},
        {"headers": [("name", 1)]}, {"headers": [("\ud800", b"")]}, {"topic": ""}, {"topic": "a\0b"},
        {"topic": b"bytes"}, {"topic": None},
    ]  # fmt: skip
    desk.write(source, numbers(len(wrong) + 1))
    app = app_for(desk, group)

    @app.handler(source, exactly_once=True, dead_letter=DeadLetter(dead), retry=Retry(attempts=1))
    def handle(record: Record[bytes], context: Context) -> None:
        if record.offset < len(wrong):
            context.produce(**{"topic": target, "value": record.value, **wrong[record.offset]})
        context.produce(target, record.value)

    with app.start():
        desk.wait_committed(group, source, len(wrong) + 1)
    assert values(desk, dead) == everything(len(wrong))
    assert values(desk, target) == Counter([b"%d" % len(wrong)])


def test_mistakes_are_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    source, group = desk.topic("source"), desk.name("group")
    desk.write(source, numbers(1))

    def ends_with(said: str, handle: Any, **options: Any) -> None:
        app = app_for(desk, group)
        app.handler(source, **options)(handle)
        with pytest.raises(RotaError, match=said):
            app.start().wait()

    ends_with("for handlers with exactly_once=True", lambda _, context: context.produce("x", b"y"))
    large = b"y" * 1_000_001
    ends_with("1,000,001 bytes", lambda _, context: context.produce("x", large), exactly_once=True)
    ends_with("order='partition'", lambda _, _context: None, exactly_once=True, batch=_batch(2))
    wrong = desk.name("no such topic!")
    ends_with("produced", lambda _, context: context.produce(wrong, b"y"), exactly_once=True)


def copies(count: int) -> int:
    """Of so many numbers, those that do not end in 7."""
    return sum(number % 10 != 7 for number in range(count))


def everything(count: int) -> Counter[bytes | None]:
    return Counter(b"%d" % number for number in range(count))


class Members:
    """Processes of one group."""

    def __init__(self, desk: Desk, source: str, group: str, log: Path) -> None:
        self._program = [sys.executable, "-m", "tests.consumer.eos_process"]
        self.source = source
        self._arguments = [desk.bootstrap_servers, group, source, str(log)]
        self.running: list[subprocess.Popen[bytes]] = []

    def make_targets(self, desk: Desk) -> tuple[str, str]:
        """Where records go: the topics of copies and of dead letters."""
        names = [self.source.replace("source", name) for name in ("target", "dead")]
        for name in names:
            desk.cluster.create_topic(name, partitions=3)
        return names[0], names[1]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ending_with_parent([*self._program, *self._arguments, *more]), cwd=Path(__file__).parents[2]
        )
        self.running.append(process)
        return process

    def end_one(self, process: subprocess.Popen[bytes], how: signal.Signals) -> None:
        self.running.remove(process)
        process.send_signal(how)
        assert process.wait(PATIENCE_S) == (0 if how == signal.SIGTERM else -how)

    def kill_all(self) -> None:
        for process in self.running:
            process.kill()
            process.wait(PATIENCE_S)


@pytest.fixture
def members(desk: Desk, tmp_path: Path) -> Iterator[Members]:
    some = Members(desk, desk.topic("source", 4), desk.name("group"), tmp_path / "members.log")
    yield some
    some.kill_all()


@pytest.mark.timeout(600)
def test_members_are_killed_and_others_come(desk: Desk, members: Members, tmp_path: Path) -> None:
    """kill -9, rebalances and polite ends, under load."""
    source = members.source
    target, dead = members.make_targets(desk)
    luck = Random(7)
    for _ in range(3):
        members.start()
    written = 0
    with reader_of(desk, target) as reader, reader_of(desk, dead) as dead_reader:
        for turn in range(KILLS):
            desk.write(source, numbers(written + 300)[written:])
            written += 300
            reader.read_until(copies(written) - 200)
            time.sleep(luck.random() / 5)  # at any point of a transaction
            if turn % 4 == 3:
                members.end_one(members.running[0], signal.SIGTERM)  # that one is at work for sure
            else:
                members.end_one(luck.choice(members.running), signal.SIGKILL)
            members.start()
        reader.read_until(copies(written))
        dead_reader.read_until(written - copies(written))
        members.kill_all()
    log = (tmp_path / "members.log").read_text()
    assert values(desk, target) + values(desk, dead) == everything(written), log[-4000:]


@pytest.mark.timeout(600)
def test_a_frozen_member_wakes_when_others_have_gone_past(
    desk: Desk, members: Members, tmp_path: Path
) -> None:
    """It has outputs in hand, maybe an open transaction, and a generation that is over."""
    source = members.source
    target, dead = members.make_targets(desk)
    frozen = members.start()
    with reader_of(desk, target) as reader, reader_of(desk, dead) as dead_reader:
        desk.write(source, numbers(400))
        reader.read_until(40)
        frozen.send_signal(signal.SIGSTOP)
        members.start()
        reader.read_until(copies(400))
        frozen.send_signal(signal.SIGCONT)
        desk.write(source, numbers(600)[400:])
        reader.read_until(copies(600))
        dead_reader.read_until(600 - copies(600))
    members.kill_all()
    log = (tmp_path / "members.log").read_text()
    assert values(desk, target) + values(desk, dead) == everything(600), log[-4000:]


def test_a_broker_without_transactions_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    served = api_versions._served
    transactions = {22, 24, 25, 26, 28}
    monkeypatch.setattr(
        api_versions, "_served", lambda: [api for api in served() if api.api_key not in transactions]
    )
    with Broker() as broker:
        desk = Desk(broker.bootstrap_servers)
        app = app_for(desk, "group")
        app.handler("orders", exactly_once=True)(lambda _record: None)
        with pytest.raises(RotaError, match="exactly_once=True needs a broker with transactions"):
            app.start()
