"""Whether a client that hands out nothing has forgotten the brokers: asked, and judged."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from rota.consumer.clients import inquiry
from rota.consumer.clients.client_errors import Outage
from rota.consumer.clients.inquiry import Inquiry

ALL_DOWN, TRANSPORT, RESOLVE, TIMED_OUT, AUTHENTICATION, SSL = -187, -195, -193, -185, -169, -181
NOT_AVAILABLE = 5


class Stage:
    """A client that answers as a test says (``problem``), and time; ``listens``: somebody, where brokers should be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        self.now = 0.0
        self.problem: int | None = TRANSPORT
        self.listens = True
        self.asked: list[float] = []
        monkeypatch.setattr(inquiry, "_listens", lambda _bootstrap: self.listens)
        self.outage = Outage("kafka:9092")
        self.inquiry = Inquiry({"bootstrap.servers": "kafka:9092", **config}, self.outage, lambda: self.now)

    def list_topics(self, _topic: str, timeout: float) -> None:
        assert timeout > 0
        self.asked.append(self.now)
        if self.problem is not None:
            raise KafkaException(KafkaError(self.problem))

    def forgotten_at(self, until: float, says: tuple[int, float] | None = None) -> float | None:
        """When it is to be replaced. ``says``: an error, and how often."""
        said = self.now
        while self.now < until:
            self.now += 0.5
            if says is not None and self.now - said >= says[1]:
                said = self.now
                self.outage(KafkaError(says[0]))
            if self.inquiry.is_due() and self.inquiry.has_forgotten(self, ["orders"]):  # type: ignore[arg-type]
                return self.now
        return None


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_who_answers_nothing_and_says_nothing_for_a_session_has_forgotten(stage: Stage) -> None:
    assert stage.forgotten_at(1_000) == 60
    assert stage.asked == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize("code", [ALL_DOWN, TRANSPORT, AUTHENTICATION, SSL])
def test_what_was_said_before_the_silence_does_not_count(stage: Stage, code: int) -> None:
    """The bug may begin with an error; and one refusal long ago is no reason to stay stuck for ever."""
    stage.now = 5.0
    stage.outage(KafkaError(code))
    assert stage.forgotten_at(1_000) == 70


@pytest.mark.parametrize(
    ("code", "every_s"),
    [(ALL_DOWN, 10.5), (TRANSPORT, 10.5), (AUTHENTICATION, 10.5), (SSL, 0.5), (RESOLVE, 31.0)],
)
def test_who_tries_in_vain_or_is_refused_again_and_again_is_left_alone(
    stage: Stage, code: int, every_s: float
) -> None:
    """As often as librdkafka says it."""
    assert stage.forgotten_at(10_000, (code, every_s)) is None


def test_a_short_session_ends_between_two_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, **{"session.timeout.ms": 6_000})
    assert stage.forgotten_at(10_000, (RESOLVE, 31.0)) is None


def test_who_has_a_connection_and_no_answer_has_not_forgotten(stage: Stage) -> None:
    stage.problem = TIMED_OUT
    assert stage.forgotten_at(10_000) is None


@pytest.mark.parametrize("problem", [None, NOT_AVAILABLE])
def test_an_answer_ends_an_outage_though_there_is_no_record(
    stage: Stage, problem: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    stage.problem = problem
    stage.outage(KafkaError(ALL_DOWN))
    assert stage.outage.on
    assert stage.forgotten_at(100) is None
    assert not stage.outage.on
    assert caplog.messages[-1] == "going on: kafka:9092 answers again"


def test_where_nobody_listens_another_one_waits_until_somebody_does(stage: Stage) -> None:
    stage.listens = False
    assert stage.forgotten_at(600) is None
    stage.listens = True
    assert stage.forgotten_at(1_000) == 610


def test_a_record_that_was_handed_out_is_an_answer(stage: Stage) -> None:
    assert stage.forgotten_at(55) is None
    stage.inquiry.heard()
    assert stage.forgotten_at(1_000) == 115


def test_a_static_member_of_kip_848_waits_until_its_former_self_is_forgotten() -> None:
    one = {"group.instance.id": "one"}
    assert inquiry._patience_s({**one, "session.timeout.ms": 60_000}) == 60.0
    assert inquiry._patience_s({**one, "session.timeout.ms": 6_000}) == 45.0
    assert inquiry._patience_s({"group.protocol": "consumer"}) == 45.0
    assert inquiry._patience_s({**one, "group.protocol": "consumer"}) == 90.0


@contextmanager
def port(*, is_open: bool) -> Iterator[int]:
    """Bound; it answers only if it listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if is_open:
            bound.listen()
        yield bound.getsockname()[1]


def test_one_address_that_can_be_reached_is_enough_wherever_it_stands() -> None:
    with port(is_open=True) as there, port(is_open=False) as gone:
        closed = ",".join([f"127.0.0.1:{gone}"] * 5)
        assert inquiry._listens(f"{closed},127.0.0.1:{there}")
        assert inquiry._listens(f"PLAINTEXT://127.0.0.1:{there},{closed}")
        assert not inquiry._listens(closed)


def test_what_librdkafka_passes_over_in_a_list_is_passed_over() -> None:
    with port(is_open=True) as there:
        assert inquiry._listens(f"127.0.0.1:{there},")
        assert inquiry._listens(f", no host ,127.0.0.1:{there}")
        assert not inquiry._listens("")
        assert not inquiry._listens("no host")
