"""Clients that are replaced in the middle of work: nothing is lost, no key is handled twice at once."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as ClientPartition
from tests.consumer.kafka_tools import total_committed
from tests.consumer.running_app import GROUP, broker_with, config, started
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer import App, Context, Record
from rota.consumer.clients.inquiry import Inquiry

if TYPE_CHECKING:
    from rota.consumer.running import Running
    from rota.testing import Broker

KEYS, RECORDS, TIMES, WORKERS = 20, 600, 3, 8
TOPICS = {"in": 4, "out": 1}
STATIC = {"group.instance.id": "one"}
MODERN = {"group.protocol": "consumer"}


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Put something in, and the client is replaced."""
    now: list[bool] = []
    monkeypatch.setattr(Inquiry, "is_due", lambda _inquiry: bool(now))
    monkeypatch.setattr(Inquiry, "has_forgotten", lambda *_: now.pop())
    return now


class Handler:
    """Holds what it has begun after ``most`` records until it is ``open``."""

    def __init__(self) -> None:
        self.handled: Counter[bytes] = Counter()
        self.at_once: list[bytes] = []
        self.most = 0
        self.open = threading.Event()
        self.at_work: set[bytes] = set()
        self._lock = threading.Lock()

    def has_handled(self, count: int) -> bool:
        return len(self.handled) == count

    def __call__(self, record: Record[bytes]) -> None:
        key = record.key or b""
        with self._lock:
            if key in self.at_work:
                self.at_once.append(key)
            self.at_work.add(key)
        if len(self.handled) >= self.most:
            assert self.open.wait(PATIENCE_S)
        with self._lock:
            self.at_work.discard(key)
            self.handled[record.value] += 1


def fill(broker: Broker, first: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(first, first + count):
        producer.produce("in", key=b"%d" % (number % KEYS), value=b"%d" % number)
    assert producer.flush(PATIENCE_S) == 0


def has_work(running: Running) -> bool:
    state = running.state
    return state is not None and any(partition.in_flight for partition in state.partitions)


def replaced(broker: Broker, app: App, handler: Handler, forgotten: list[bool]) -> None:
    """Three times, while records are being handled; those come again while they are at work."""
    share = RECORDS // (TIMES + 1)
    with started(app) as running:
        for turn in range(TIMES):
            handler.most = turn * share + share // 3
            handler.open.clear()
            fill(broker, turn * share, share)
            wait_until("all workers are at it", lambda: len(handler.at_work) == WORKERS)
            forgotten.append(True)
            wait_until("another client takes its place", lambda: not forgotten)
            wait_until("it has work", lambda: has_work(running))
            handler.open.set()
            wait_until("all are handled", partial(handler.has_handled, (turn + 1) * share))
        fill(broker, TIMES * share, share)
        wait_until("all are handled", partial(handler.has_handled, RECORDS))
    assert handler.at_once == []
    assert sum(handler.handled.values()) > RECORDS, "what was at work has come again"


@pytest.mark.parametrize(
    "more", [{}, STATIC, MODERN, {**MODERN, **STATIC}], ids=["classic", "static", "kip-848", "kip-848-static"]
)
def test_nothing_is_lost_and_no_key_is_handled_twice_at_once(
    more: dict[str, Any], forgotten: list[bool]
) -> None:
    handler = Handler()
    with broker_with(None, **TOPICS) as broker:
        app = App(config(broker, **more))
        app.handler("in", concurrency=WORKERS)(handler.__call__)
        replaced(broker, app, handler, forgotten)
        assert total_committed(broker, "in", 4, GROUP) == RECORDS


@pytest.mark.parametrize("more", [{}, MODERN], ids=["classic", "kip-848"])
def test_outputs_appear_once(more: dict[str, Any], forgotten: list[bool]) -> None:
    handler = Handler()

    def copy(record: Record[bytes], context: Context) -> None:
        handler(record)
        context.produce("out", record.value, key=record.key)

    with broker_with(None, **TOPICS) as broker:
        app = App(config(broker, **more))
        app.handler("in", concurrency=WORKERS, exactly_once=True)(copy)
        replaced(broker, app, handler, forgotten)
        assert total_committed(broker, "in", 4, GROUP) == RECORDS
        assert outputs(broker) == {b"%d" % number: 1 for number in range(RECORDS)}


def outputs(broker: Broker) -> Counter[bytes | None]:
    """What a reader of what is committed gets."""
    reader = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader", "enable.partition.eof": True}
    )
    found: Counter[bytes | None] = Counter()
    try:
        reader.assign([ClientPartition("out", 0, 0)])
        while True:
            message = reader.poll(PATIENCE_S)
            assert message is not None
            if message.error() is not None:
                return found
            found[message.value()] += 1
    finally:
        reader.close()
