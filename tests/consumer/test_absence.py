"""A client that has forgotten the brokers: when it is asked, and another one in its place."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as ClientPartition
from tests.consumer.running_app import broker_with, config, produce, started
from tests.consumer.test_kafka_client import client
from tests.kafka.ports import wait_until

from rota.broker.handlers import metadata
from rota.consumer import App, Record
from rota.consumer.clients import absence, inquiry
from rota.consumer.clients.absence import Absence
from rota.consumer.clients.client_errors import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.consumer.clients.kafka import KafkaClient
    from rota.consumer.operations.snapshot import PartitionState
    from rota.consumer.running import Running
    from rota.wire.messages.metadata import MetadataRequest, MetadataResponse

REPLACED = "another one takes its place"


def shares(running: Running) -> Sequence[PartitionState]:
    state = running.state
    return state.partitions if state is not None else ()


def test_who_hears_something_asks_nothing() -> None:
    it = Absence(45.0, 0.0)
    for now in range(9, 500, 9):
        assert not it.is_due(now)
        it.heard(now)
    assert it.is_due(now + 10.0)


def test_another_client_is_due_after_a_session_of_questions_in_vain() -> None:
    it = Absence(45.0, 0.0)
    asked = []
    for now in range(500):
        if it.is_due(now):
            asked.append(now)
            if (lasted_s := it.in_vain(now)) is not None:
                break
    assert asked == [10, 20, 30, 40, 50, 60]
    assert lasted_s == 50.0


@pytest.mark.parametrize("sign", ["heard", "tries"])
def test_what_was_in_vain_before_a_sign_does_not_count(sign: str) -> None:
    it = Absence(45.0, 0.0)
    assert it.in_vain(10.0) is None
    assert it.in_vain(54.9) is None
    getattr(it, sign)(55.0)
    assert it.in_vain(65.0) is None
    assert it.in_vain(109.0) is None
    assert it.in_vain(110.0) == 45.0


def test_each_client_that_is_of_no_use_gives_the_next_one_more_time() -> None:
    it = Absence(45.0, 0.0)
    now, patience = 0.0, []
    for _ in range(6):
        it.begins_anew(now)
        began = now
        while it.in_vain(now) is None:
            now += 1.0
        patience.append(now - began)
    assert patience == [90.0, 180.0, 360.0, 600.0, 600.0, 600.0]
    it.heard(now)
    assert it.in_vain(now) is None
    assert it.in_vain(now + 45.0) == 45.0


def impatient(monkeypatch: pytest.MonkeyPatch, session_s: float = 0.2, answer_s: float = 0.1) -> None:
    monkeypatch.setattr(absence, "_ASK_AFTER_S", 0.1)
    monkeypatch.setattr(inquiry, "_ANSWER_S", answer_s)
    monkeypatch.setattr(inquiry, "_patience_s", lambda _config: session_s)


def polled_for(made: KafkaClient, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        made.consume(1, 0.01)


def test_where_nobody_listens_no_other_client_would_be_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with client() as (made, _):
        first = made._consumer
        polled_for(made, 1.5)
        assert made._consumer is first


def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client where nobody is says so all the time; one that has forgotten everybody does not."""
    monkeypatch.setattr(Outage, "__call__", lambda _outage, _error: None)
    monkeypatch.setattr(inquiry, "_listens", lambda _bootstrap: True)


def test_who_says_that_it_tries_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody listens, but hangs up: a balancer whose brokers are away."""
    impatient(monkeypatch)
    monkeypatch.setattr(inquiry, "_listens", lambda _bootstrap: True)
    with client() as (made, _):
        first = made._consumer
        for _ in range(100):
            made._outage(KafkaError(-187))
            made.consume(1, 0.01)
        assert made._consumer is first


def test_the_one_that_was_replaced_is_not_heard_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    silent(monkeypatch)
    with client() as (made, told):
        first = made._consumer
        wait_until(
            "another one takes its place", lambda: made.consume(1, 0.01) or made._consumer is not first
        )
        made._on_assign(first, [ClientPartition("orders", 0)])
        assert told.heard == []
        assert not made.joined()
        made._consumer.close()


def test_who_waits_for_a_rebalance_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, answer_s=60.0)  # however slow this machine is
    with (
        broker_with({"group.initial.rebalance.delay.ms": 3_000}, orders=2) as broker,
        client(**config(broker)) as (made, told),
    ):
        first = made._consumer
        wait_until("it has joined", lambda: made.consume(1, 0.01) or told.heard)
        polled_for(made, 0.5)
        assert made._consumer is first


def test_where_no_other_client_can_be_made_the_old_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    impatient(monkeypatch)
    silent(monkeypatch)
    with client() as (made, told):
        first = made._consumer
        made._config["ssl.ca.location"] = "/nowhere"
        made._config["security.protocol"] = "ssl"
        with caplog.at_level(logging.WARNING, "rota.consumer"):
            wait_until(
                "it was tried",
                lambda: made.consume(1, 0.01) or "no other client can be made now" in caplog.text,
            )
        assert made._consumer is first
        assert told.heard == []


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_another_client_takes_the_place_of_one_that_finds_no_brokers(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that stops: its answers name no broker, and then their connection ends."""
    impatient(monkeypatch, session_s=2.0)
    stopping: list[bool] = []
    told = metadata.handle

    def tell(broker: Broker, message: MetadataRequest, request: Request) -> MetadataResponse:
        answer = told(broker, message, request)
        if stopping and REPLACED not in caplog.text:
            answer.brokers = []
            server = request.connection.server
            for connection in list(server._connections):
                server.loop.call_soon(partial(connection.close, "closed by the broker: a test"))
        return answer

    monkeypatch.setattr(metadata, "handle", tell)
    handled: list[bytes] = []

    def work(record: Record[bytes]) -> None:
        handled.append(record.value)

    session: dict[str, Any] = {"session.timeout.ms": 6_000} if protocol == "classic" else {}
    sessions_of_groups = {
        "group.consumer.min.session.timeout.ms": 1_000,
        "group.consumer.session.timeout.ms": 2_000,
    }
    with broker_with(sessions_of_groups, orders=2) as broker:
        often = {"group.protocol": protocol, "topic.metadata.refresh.interval.ms": 200}
        app = App(config(broker, **session, **often))
        app.handler("orders")(work)
        produce(broker, "orders", 10)
        with caplog.at_level(logging.WARNING, "rota.consumer"), started(app) as running:
            wait_until("the first are handled", lambda: len(handled) == 10)
            wait_until(
                "they are committed", lambda: sum(each.committed or 0 for each in shares(running)) == 10
            )
            stopping.append(True)
            wait_until("another client takes its place", lambda: REPLACED in caplog.text)
            produce(broker, "orders", 10)
            wait_until("the others are handled", lambda: len(handled) >= 20)
            wait_until("it has its partitions", lambda: len(shares(running)) == 2)
    assert sorted(handled) == sorted([b"%d" % number for number in range(10)] * 2)
