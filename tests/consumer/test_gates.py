"""Back-pressure: limits hold, what is paused has a reason, and is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.consumer.stage import P0, P1, Stage

from rota.consumer.core.gates import PATIENCE_MS
from rota.consumer.core.state import Observer
from rota.model import TopicPartition


class Heard(Observer):
    def __init__(self) -> None:
        self.paused_for: list[Mapping[TopicPartition, str]] = []
        self.resumed_again: list[list[TopicPartition]] = []

    def paused(self, reasons: Mapping[TopicPartition, str]) -> None:
        self.paused_for.append(dict(reasons))

    def resumed(self, partitions: Sequence[TopicPartition]) -> None:
        self.resumed_again.append(list(partitions))


def test_no_more_are_fetched_than_may_be_under_way() -> None:
    stage = Stage(in_flight=32, in_flight_per_partition=32)
    stage.produce(["a"] * 100)
    stage.stuck = {0}
    assert stage.fetch() == 32
    stage.work()
    assert stage.engine.room() == 0


def test_what_a_handler_has_done_of_a_task_makes_room_before_it_ends() -> None:
    stage = Stage(in_flight=32, in_flight_per_partition=32, order="partition")
    stage.produce(["a"] * 100)
    stage.stuck = {20}
    assert stage.fetch() == 32
    stage.work()
    assert stage.route.in_flight == 32
    assert stage.route.in_flight_now == 12
    assert stage.engine.room() == 20


def test_a_handler_that_stays_full_has_its_partitions_paused_and_resumed_when_half_is_done() -> None:
    heard = Heard()
    stage = Stage(in_flight=32, in_flight_per_partition=32, observer=heard, slow=10**6)
    stage.produce(["a"] * 100)
    stage.stuck = {0, 10, 20}
    stage.fetch()
    for _ in range(PATIENCE_MS // 100):
        stage.work()
        stage.tick(99)
        assert stage.engine.room() == 0
        assert stage.client.paused == set()
    stage.tick(110)
    assert stage.client.paused == {P0, P1}
    assert stage.engine.room() > 0, "it goes on polling"
    assert set(stage.engine.gates.reasons(stage.clock.now).values()) == {
        "32 records are under way (in_flight)"
    }
    stage.stuck = {10, 20}
    stage.work()
    stage.tick(100)
    assert stage.client.paused == {P0, P1}
    stage.stuck = {20}
    stage.work()
    stage.tick(100)
    assert stage.client.paused == set()
    assert heard.paused_for == [dict.fromkeys((P0, P1), "32 records are under way (in_flight)")]
    assert heard.resumed_again == [[P0, P1]]


def test_a_partition_that_has_its_share_is_paused_and_the_other_goes_on() -> None:
    stage = Stage(in_flight=100, in_flight_per_partition=10)
    stage.produce(["a"] * 50)
    stage.stuck = {0}
    stage.go_on(300)
    assert stage.client.paused == {P0}
    assert len(stage.client.open[P0]) == 10
    stage.produce(["b"] * 30, P1)
    stage.go_on(300)
    assert [name for name in stage.done if name >= 1000] == list(range(1000, 1030))
    stage.stuck = set()
    stage.go_on(600)
    assert stage.committed() == 50


def test_who_pauses_a_partition_resumes_it_whatever_rebalances_come_between() -> None:
    stage = Stage()
    stage.engine.pause(P0)
    stage.produce(["a"])
    stage.tick()
    assert stage.client.paused == {P0}
    assert stage.engine.gates.reasons(0) == {P0: "paused by the application"}
    stage.client.withdraw([P0], lost=False)
    stage.client.assign([P0])
    assert stage.client.paused == {P0}, "at once: nothing of it is fetched"
    stage.go_on(200)
    assert stage.done == []
    stage.engine.resume(P0)
    stage.tick()
    stage.go_on(200)
    assert stage.done == [0]


def test_a_pause_that_survived_in_the_client_is_undone_when_the_partition_comes() -> None:
    stage = Stage()
    stage.client.withdraw([P0], lost=False)
    stage.client.paused.add(P0)
    stage.client.assign([P0])
    assert stage.client.paused == set()
