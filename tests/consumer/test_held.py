"""Records that may not begin yet."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.consumer.fakes import FakeMessage
from tests.consumer.stage import P0, Stage

from rota.consumer.core.held import Rate

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(
    per_second=st.floats(0.5, 5_000),
    turns=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 50)), min_size=1, max_size=60),
)
def test_in_no_span_of_time_more_begin_than_the_rate_allows(
    per_second: float, turns: list[tuple[int, int]]
) -> None:
    rate = Rate(per_second)
    now_ms = 0
    begun: list[tuple[int, int]] = []
    for wait_ms, came in turns:
        now_ms += wait_ms
        rate.waiting.extend(FakeMessage(P0, at, None) for at in range(came))
        begun.append((now_ms, len(rate.take(1_000, now_ms))))
    for index, (first_ms, _) in enumerate(begun):
        count = 0
        for at_ms, more in begun[index:]:
            count += more
            assert count <= rate.burst + (at_ms - first_ms) * per_second / 1000 + 1e-6


def test_a_rate_is_used_up_as_time_goes_on() -> None:
    rate = Rate(200)
    rate.waiting.extend(FakeMessage(P0, at, None) for at in range(1_000))
    count = sum(len(rate.take(1_000, now_ms)) for now_ms in range(0, 2_001, 7))
    assert 400 <= count <= 400 + rate.burst


def test_another_attempt_is_paid_for_later() -> None:
    rate = Rate(10)
    rate.waiting.extend(FakeMessage(P0, at, None) for at in range(5))
    assert len(rate.take(9, 0)) == 1
    rate.owe(3)
    assert rate.next_ms(0) == pytest.approx(401, abs=1)
    assert rate.take(9, 399) == []
    assert len(rate.take(9, 401)) == 1


def test_a_handler_with_a_rate_begins_no_faster_and_loses_nothing() -> None:
    stage = Stage(rate=100, order="none")
    stage.produce(["a"] * 60)
    stage.go_on(300)
    assert 30 <= len(stage.begun) <= 10 + 31
    stage.go_on(500)
    assert stage.committed() == 60


def test_a_record_that_is_not_due_waits_with_those_of_its_key_and_no_others() -> None:
    stage = Stage(due_ms=lambda message: message.due_ms - stage.clock.now)
    stage.kafka.produce(P0, b"a", due_ms=200)
    stage.kafka.produce(P0, b"a")
    stage.kafka.produce(P0, b"b")
    stage.go_on(100)
    assert stage.done == [2]
    stage.go_on(99)
    assert stage.done == [2]
    stage.go_on(160)
    assert stage.done == [2, 0, 1]
    assert stage.committed() == 3


def test_what_is_not_due_when_its_partition_goes_is_not_done() -> None:
    stage = Stage(due_ms=lambda message: message.due_ms - stage.clock.now)
    stage.kafka.produce(P0, b"a", due_ms=200)
    stage.kafka.produce(P0, b"b")
    stage.go_on(20)
    stage.client.withdraw([P0], lost=False)
    assert stage.committed() == 0
    stage.go_on(300)
    assert stage.done == [1]
