"""A client that has forgotten the brokers: when it is asked, and another one in its place."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as ClientPartition
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
    from rota.consumer.clients.kafka import KafkaClient
    from rota.consumer.operations.snapshot import PartitionState
    from rota.consumer.running import Running
    from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
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


@pytest.mark.parametrize("sign", ["heard", "nobody_there"])
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


def test_a_static_member_of_kip_848_waits_until_its_former_self_is_forgotten() -> None:
    of_classic = {"session.timeout.ms": 6_000, "group.instance.id": "one"}
    assert kafka._patience_s(of_classic) == 6.0
    assert kafka._patience_s({"group.protocol": "consumer"}) == 45.0
    assert kafka._patience_s({"group.protocol": "consumer", "group.instance.id": "one"}) == 90.0


def impatient(monkeypatch: pytest.MonkeyPatch, session_s: float = 0.2, answer_s: float = 0.1) -> None:
    monkeypatch.setattr(absence, "_ASK_AFTER_S", 0.1)
    monkeypatch.setattr(kafka, "_ANSWER_S", answer_s)
    monkeypatch.setattr(kafka, "_patience_s", lambda _config: session_s)


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


@pytest.mark.parametrize("refused", [True, False])
def test_who_is_refused_would_be_so_again(refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    monkeypatch.setattr(kafka, "_listens", lambda _bootstrap: True)
    with client() as (made, told):
        first = made._consumer
        if refused:
            made._outage(KafkaError(-169, "SASL authentication error: Bad password"))
            polled_for(made, 1.5)
            assert made._consumer is first
        else:
            wait_until(
                "another one takes its place", lambda: made.consume(1, 0.01) or made._consumer is not first
            )
            made._on_assign(first, [ClientPartition("orders", 0)])
            assert told.heard == [], "the former one is not heard any more"
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
    monkeypatch.setattr(kafka, "_listens", lambda _bootstrap: True)
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
    """Its connections are cut, and what it asks afterwards is not answered."""
    impatient(monkeypatch, session_s=2.0)
    cut: list[bool] = []
    deaf: list[bool] = []
    told, found = metadata.handle, find_coordinator.handle

    def tell(broker: Broker, message: MetadataRequest, request: Request) -> MetadataResponse | NoAnswer:
        if deaf and REPLACED not in caplog.text:
            return PARKED
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
