"""A handler with a backlog makes way for the others of its consumer, and loses little by it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.consumer.running_app import broker_with, config, produce, started
from tests.consumer.two_handlers import FAST, FETCH_WAIT_MS, SLOW, TwoHandlers
from tests.kafka.ports import wait_until

from rota.consumer import App, Limits, Record
from rota.consumer.core.gates import AGAIN_MS
from rota.consumer.core.state import Observer
from rota.model import TopicPartition

REASON = "64 records are under way (in_flight), and other handlers are given theirs"


class Heard(Observer):
    def __init__(self) -> None:
        self.paused_for: list[Mapping[TopicPartition, str]] = []
        self.resumed_again: list[list[TopicPartition]] = []

    def paused(self, reasons: Mapping[TopicPartition, str]) -> None:
        self.paused_for.append(dict(reasons))

    def resumed(self, partitions: Sequence[TopicPartition]) -> None:
        self.resumed_again.append(list(partitions))


def test_a_full_handler_makes_way_at_once_and_goes_on_when_half_is_done() -> None:
    heard = Heard()
    two = TwoHandlers(in_flight=64, per_ms=0.02, observer=heard)
    two.produce(SLOW, 500)
    two.client.assign([SLOW, FAST])
    two.go_on(1)
    assert two.client.paused == {SLOW}
    assert two.engine.gates.reasons(two.clock.now) == {SLOW: REASON}
    assert two.engine.room() == 64
    two.produce(FAST)
    assert two.until_handled(1) <= 2
    while two.done["slow"] < 31:
        two.go_on(1)
        assert two.client.paused == {SLOW}
    two.go_on(300 + FETCH_WAIT_MS)
    assert heard.resumed_again == [[SLOW]]
    assert len(heard.paused_for) == 2, "it had its fill again at once"


@pytest.mark.parametrize("held", [[SLOW], [SLOW, FAST]])
def test_nobody_makes_way_for_a_handler_that_can_be_given_nothing(held: list[TopicPartition]) -> None:
    heard = Heard()
    two = TwoHandlers(in_flight=64, per_ms=1, observer=heard)
    two.engine.pause(FAST)
    two.produce(SLOW, 500)
    two.client.assign(held)
    two.go_on(400)
    assert two.done["slow"] > 380
    assert [reasons for reasons in heard.paused_for if SLOW in reasons] == []


def test_a_handler_that_is_quick_makes_way_once_in_a_while() -> None:
    """What the client had fetched ahead is fetched again after each time."""
    heard = Heard()
    two = TwoHandlers(in_flight=64, per_ms=5, observer=heard)
    two.produce(SLOW, 20_000)
    two.client.assign([SLOW, FAST])
    two.go_on(4_500)
    assert len(heard.paused_for) == 5
    assert two.done["slow"] > 4_500 * 2


@settings(max_examples=15, deadline=None)
@given(
    in_flight=st.sampled_from([1, 2, 20, 100]),
    per_ms=st.sampled_from([0.001, 0.02, 0.3, 2]),
    gaps_ms=st.lists(st.integers(1, 400), min_size=1, max_size=2),
)
def test_whatever_the_pace_the_others_wait_no_longer_than_a_second(
    in_flight: int, per_ms: float, gaps_ms: list[int]
) -> None:
    two = TwoHandlers(in_flight=in_flight, per_ms=per_ms)
    two.produce(SLOW, 6_000)
    two.client.assign([SLOW, FAST])
    for count, gap_ms in enumerate(gaps_ms, 1):
        two.go_on(gap_ms)
        two.produce(FAST)
        assert two.until_handled(count) <= AGAIN_MS + 20


@pytest.mark.parametrize("per_ms", [0.02, 0.1, 0.3, 0.5])
def test_a_handler_that_makes_way_never_runs_out_of_work(per_ms: float) -> None:
    """As long as what it may have under way lasts longer than a fetch may wait."""
    two, alone = (TwoHandlers(in_flight=500, per_ms=per_ms) for _ in range(2))
    for each, partitions in ((two, [SLOW, FAST]), (alone, [SLOW])):
        each.produce(SLOW, 5_000)
        each.client.assign(partitions)
        each.go_on(6_000)
    assert two.done["slow"] == alone.done["slow"]
    assert two.done["slow"] >= int(6_000 * per_ms) - 1


def test_on_a_broker_the_state_says_who_makes_way_and_others_are_handled_meanwhile() -> None:
    may, handled = threading.Semaphore(0), threading.Semaphore(0)
    heard: set[int] = set()

    with broker_with(slow=1, fast=1) as broker:
        app = App(config(broker), limits=Limits(in_flight=64, in_flight_per_partition=64))

        @app.handler("slow")
        def slow(record: Record[bytes]) -> None:
            may.acquire()
            heard.add(record.offset)

        @app.handler("fast")
        def fast(record: Record[bytes]) -> None:
            handled.release()

        def reached(count: int) -> bool:
            return len(heard) == count

        def makes_way() -> bool:
            state = running.state
            return state is not None and any(each.paused == REASON for each in state.partitions)

        produce(broker, "slow", 5_000)
        with started(app) as running:
            for most in (64, 128):
                wait_until("slow makes way", makes_way)
                produce(broker, "fast", 3)
                for _ in range(3):
                    handled.acquire()
                may.release(64)
                wait_until("slow goes on", partial(reached, most))
            may.release(5_000)
            wait_until("everything is handled", partial(reached, 5_000))
