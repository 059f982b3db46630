"""Records that wait for their turn: what is no number of seconds fails in the handler, and never ends the owner."""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.consumer.stage import P0, P1, Stage

from rota.consumer.core.later import RetryLaterError, later
from rota.consumer.core.policy import Crash, Policy, Retry
from rota.consumer.workers.process_wire import pack_failure, unpack_failure

NO_NUMBERS: list[Any] = [math.inf, -math.inf, math.nan, None, "soon", 10**400]


class MuteError(RetryLaterError):
    """Nobody can say what it says."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("wait_s", NO_NUMBERS)
def test_what_is_no_number_of_seconds_fails_in_the_handler(wait_s: Any) -> None:
    with pytest.raises(ValueError, match="it wants a number of seconds"):
        later(wait_s)


@pytest.mark.parametrize("wait_s", NO_NUMBERS)
def test_and_where_somebody_has_set_it_since_it_waits_a_second(wait_s: Any) -> None:
    failure = later(5)
    failure.wait_s = wait_s
    stage = Stage()
    stage.produce(["a", "b"])
    stage.fails = {0: failure}
    stage.fetch()
    stage.work()
    stage.tick()
    assert [wait.due_ms for wait in stage.engine.failures.waiting()] == [1_000]


@pytest.mark.parametrize(
    ("wait_s", "wait_ms"), [(0.0, 1), (-1, 1), (0.5, 500), (Decimal(2), 2_000), (1e300, 86_400_000)]
)
def test_how_long_it_waits(wait_s: Any, wait_ms: int) -> None:
    assert Policy().decide(later(wait_s), 1, Random(1)) == ("later", wait_ms, "")


def test_one_that_cannot_tell_its_message_waits_as_others_do() -> None:
    stage = Stage()
    stage.produce(["a", "b"])
    stage.fails = {0: MuteError("", 5)}
    stage.fetch()
    stage.work()
    stage.tick()
    assert [wait.due_ms for wait in stage.engine.failures.waiting()] == [5_000]
    assert stage.engine.stopping is None


def test_it_crosses_from_the_process_of_a_handler_with_its_wait() -> None:
    crossed = unpack_failure(pack_failure(later(7, "not yet")))
    assert isinstance(crossed, RetryLaterError)
    assert (str(crossed), crossed.wait_s) == ("not yet", 7)


class Whimsical(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError("I cannot tell")


class WhimError(Exception, metaclass=Whimsical):
    """Its `isinstance` is code of the application's."""


def test_classes_that_cannot_tell_what_is_theirs_end_the_consumer_in_order() -> None:
    policy = Policy(Retry(attempts=3, on=(WhimError,)))
    assert policy.decide(ValueError(), 1, Random(1)) == Crash


def test_of_partitions_that_went_nothing_is_kept() -> None:
    stage = Stage(order="none")
    stage.produce(["a"] * 20)
    stage.produce(["b"], P1)
    stage.fails = {number: later(3600) for number in (*range(20), 1000)}
    for _ in range(3):
        stage.go_on(50)
        assert len(list(stage.engine.failures.waiting())) == 21
        stage.client.withdraw([P0], lost=False)
        assert len(stage.engine.failures._due) == 1
        stage.client.assign([P0])
    stage.fails = {}
    stage.tick(3_700_000)
    stage.go_on()
    assert stage.committed(P1) == 1
    assert stage.committed() == 20
