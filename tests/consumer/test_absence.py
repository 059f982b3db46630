"""A member without its group: when it asks, and another client in the place of one that never finds it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError
from tests.consumer.running_app import broker_with, config, produce, started
from tests.consumer.test_kafka_client import client
from tests.kafka.ports import wait_until

from rota.broker.handlers import find_coordinator, metadata
from rota.broker.request import PARKED
from rota.consumer import App, Record
from rota.consumer.clients import absence, kafka
from rota.consumer.clients.absence import Absence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.broker.broker import Broker
    from rota.broker.request import NoAnswer, Request
    from rota.consumer.operations.snapshot import PartitionState
    from rota.consumer.running import Running
    from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
    from rota.wire.messages.metadata import MetadataRequest, MetadataResponse

REPLACED = "another one takes its place"


def shares(running: Running) -> Sequence[PartitionState]:
    state = running.state
    return state.partitions if state is not None else ()


def test_who_hears_of_its_group_asks_nothing() -> None:
    it = Absence(45.0)
    assert not it.is_due(1e9), "it has not even subscribed"
    it.without_partitions(0.0)
    for now in range(5, 500, 50):
        assert not it.is_due(now)
        it.over(now)


def test_it_asks_after_ten_seconds_without_partitions_and_else_when_its_session_must_be_over() -> None:
    it = Absence(45.0)
    it.over(0.0)
    assert not it.is_due(54.9)
    assert it.is_due(55.0)
    it.without_partitions(20.0)
    assert not it.is_due(29.9)
    assert it.is_due(30.0)
    it.over(25.0)
    it.without_partitions(75.0)
    assert it.is_due(80.0), "what was due is not put off"


def test_it_asks_again_and_again() -> None:
    it = Absence(45.0)
    it.without_partitions(0.0)
    it.goes_on(12.0)
    assert not it.is_due(21.9)
    assert it.is_due(22.0)


def test_each_client_that_is_of_no_use_makes_the_next_one_wait_longer() -> None:
    it = Absence(45.0)
    it.without_partitions(0.0)
    now, waits = 0.0, []
    for _ in range(8):
        began = now
        while not it.is_due(now):
            now += 1.0
        waits.append(now - began)
        assert it.begins_anew(now) == waits[-1]
        it.without_partitions(now)
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]
    it.over(now)
    it.without_partitions(now)
    assert it.is_due(now + 10.0)


def test_where_nobody_listens_no_other_client_would_be_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "_ASK_AFTER_S", 0.0)
    monkeypatch.setattr(kafka, "_ANSWER_S", 0.1)
    with client() as (made, _):
        first = made._consumer
        for _ in range(3):
            assert not made.consume(1, 0.01)
        assert made._consumer is first


@pytest.mark.parametrize("refused", [True, False])
def test_who_is_refused_would_be_so_again(refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "_ASK_AFTER_S", 0.0)
    monkeypatch.setattr(kafka, "_ANSWER_S", 0.1)
    monkeypatch.setattr(kafka, "_listens", lambda _bootstrap: True)
    with client() as (made, _):
        first = made._consumer
        if refused:
            made._outage(KafkaError(-169, "SASL authentication error: Bad password"))
        assert not made.consume(1, 0.01)
        assert (made._consumer is first) == refused
        if not refused:
            made._consumer.close()


def test_a_client_whose_group_answers_stays() -> None:
    with broker_with(orders=2) as broker, client(**config(broker)) as (made, told):
        made.subscribe(["orders"], told)
        wait_until("it has joined", lambda: made.consume(1, 0.01) or told.heard)
        first = made._consumer
        made._absence.over(-100.0)
        assert made._absence.is_due(0.0)
        assert not made.consume(1, 0.01)
        assert made._consumer is first
        assert not made._absence.is_due(0.0)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_another_client_takes_the_place_of_one_that_does_not_find_its_group(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connections are cut, and its questions for the coordinator are not answered."""
    monkeypatch.setattr(absence, "_ASK_AFTER_S", 0.5)
    monkeypatch.setattr(kafka, "_ANSWER_S", 1.0)
    monkeypatch.setattr(kafka, "_SESSION_MS", 2_000)
    cut: list[bool] = []
    deaf: list[bool] = []
    told, found = metadata.handle, find_coordinator.handle

    def tell(broker: Broker, message: MetadataRequest, request: Request) -> MetadataResponse | NoAnswer:
        if not cut:
            return told(broker, message, request)
        deaf.append(cut.pop())
        for connection in list(request.connection.server._connections):
            connection.close("closed by the broker: a test")
        return PARKED

    def find(
        broker: Broker, message: FindCoordinatorRequest, request: Request
    ) -> FindCoordinatorResponse | NoAnswer:
        if not deaf or REPLACED in caplog.text:
            return found(broker, message, request)
        return PARKED

    monkeypatch.setattr(metadata, "handle", tell)
    monkeypatch.setattr(find_coordinator, "handle", find)
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
            cut.append(True)
            wait_until("another client takes its place", lambda: REPLACED in caplog.text)
            produce(broker, "orders", 10)
            wait_until("the others are handled", lambda: len(handled) >= 20)
            wait_until("it has its partitions", lambda: len(shares(running)) == 2)
    assert sorted(handled) == sorted([b"%d" % number for number in range(10)] * 2)
