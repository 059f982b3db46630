"""A producer of transactions whose coordinator does not answer: waited for, unless another client is answered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from tests.consumer.desk import Desk, why_it_ended

from rota.broker.handlers import metadata, produce, transactions
from rota.broker.request import PARKED
from rota.consumer import App, Context, Limits, Record
from rota.consumer.effects import eos, in_vain
from rota.consumer.effects.eos import attempt
from rota.consumer.effects.in_vain import ForgottenError, Waiting, is_another_answered, is_answered
from rota.testing import Broker
from rota.wire.messages.end_txn import EndTxnRequest
from rota.wire.messages.metadata import MetadataRequest

if TYPE_CHECKING:
    from collections.abc import Sequence


class Asked:
    """Whether the producer, and another client, are answered; and a clock."""

    def __init__(self, *, itself: bool, another: bool) -> None:
        self.itself, self.another = itself, another
        self.now = 0.0
        self.waiting = Waiting(lambda: self.itself, lambda: self.another, lambda: self.now)

    def waits(self, seconds: int) -> None:
        """Calls of five seconds."""
        for _ in range(0, seconds, 5):
            self.now += 5.0
            self.waiting.goes_on("Local: Timed out")


@pytest.mark.parametrize(("itself", "another"), [(True, True), (True, False), (False, False)])
def test_a_coordinator_that_is_away_is_waited_for_without_end(itself: bool, another: bool) -> None:
    Asked(itself=itself, another=another).waits(100_000)


def test_a_producer_that_has_forgotten_the_brokers_is_given_up_after_a_minute() -> None:
    asked = Asked(itself=False, another=True)
    asked.waits(60)
    with pytest.raises(ForgottenError, match="does not find the brokers any more"):
        asked.waits(10)


def test_what_was_in_vain_before_an_answer_does_not_count() -> None:
    asked = Asked(itself=False, another=True)
    for _ in range(20):
        asked.waits(60)
        asked.waiting.is_over()
    asked.waits(50)
    asked.itself = True
    asked.waits(10)
    asked.itself = False
    asked.waits(50)


def test_a_wait_is_told_once_a_minute_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked(itself=True, another=True)
    asked.waits(5)
    asked.waiting.is_over()
    assert not caplog.records, "it was short"
    asked.waits(115)
    asked.waiting.is_over()
    asked.waiting.is_over()
    assert [record.message for record in caplog.records] == [
        "a transaction still waits for its coordinator: Local: Timed out",
        "a transaction still waits for its coordinator: Local: Timed out",
        "the coordinator of transactions has answered; going on",
    ]


def test_another_client_is_made_to_see_whether_brokers_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_vain, "_ANSWER_S", 0.2)
    nowhere = {"bootstrap.servers": "127.0.0.1:1"}
    assert not is_answered(Producer({**nowhere, "log_level": 0}))
    assert not is_another_answered(nowhere)
    monkeypatch.setattr(in_vain, "_ANSWER_S", 60.0)  # however slow this machine is
    with Broker() as broker:
        connection = {"bootstrap.servers": broker.bootstrap_servers}
        assert is_answered(Producer(connection))
        assert is_another_answered(connection)


class Forgetful:
    """A producer; each of its calls is in vain from the one on that is named."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._in_vain = False

    def __getattr__(self, name: str) -> Any:
        def call(*_arguments: Any, **_named: Any) -> None:
            self._in_vain |= name == self._name
            if self._in_vain:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "some words", False, True, False))

        return call


@pytest.mark.parametrize("name", ["send_offsets_to_transaction", "commit_transaction"])
def test_a_transaction_of_which_nobody_hears_any_more_has_no_end(name: str) -> None:
    asked = Asked(itself=False, another=True)

    class Timed(Waiting):
        def goes_on(self, why: str) -> None:
            asked.now += 5.0
            super().goes_on(why)

    waiting = Timed(lambda: False, lambda: True, lambda: asked.now)
    with pytest.raises(ForgottenError):
        attempt(Forgetful(name), [], {}, None, waiting=waiting)


def test_a_consumer_whose_producer_has_forgotten_the_brokers_ends_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It hears neither whether its transaction is committed nor of topics; who comes anew does."""
    monkeypatch.setattr(eos, "_CALL_S", 0.2)
    monkeypatch.setattr(in_vain, "_ASK_EVERY_S", 0.1)
    monkeypatch.setattr(in_vain, "_ANSWER_S", 0.5)
    theirs: set[object] = set()
    deaf: list[bool] = []

    def listen(module: Any, *, parks: Sequence[type]) -> None:
        handle = module.handle

        def handled(broker: Any, message: Any, request: Any) -> Any:
            if not deaf and module is not metadata:
                theirs.add(request.connection)
            parked = deaf and request.connection in theirs and isinstance(message, tuple(parks))
            return PARKED if parked else handle(broker, message, request)

        monkeypatch.setattr(module, "handle", handled)

    listen(produce, parks=[])
    listen(transactions, parks=[EndTxnRequest])
    listen(metadata, parks=[MetadataRequest])

    with Broker() as broker:
        desk = Desk(broker.bootstrap_servers)
        source, target, group = desk.topic("source"), desk.topic("target"), desk.name("group")

        def app() -> App:
            config = desk.config(group, **{"group.instance.id": "one"})
            made = App(config, limits=Limits(commit_interval=20))

            @made.handler(source, exactly_once=True)
            def handle(record: Record[bytes], context: Context) -> None:
                context.produce(target, record.value)

            return made

        def copied() -> Counter[bytes | None]:
            return Counter(message.value() for message in desk.read(target))

        desk.write(source, [{"value": b"0"}])
        running = app().start()
        desk.wait_committed(group, source, 1)
        deaf.append(True)
        desk.write(source, [{"value": b"1"}])
        assert "does not find the brokers any more" in why_it_ended(running)
        deaf.clear()
        with app().start():
            desk.wait_committed(group, source, 2)
        assert copied() == Counter([b"0", b"1"])
