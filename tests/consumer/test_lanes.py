"""Lanes: who waits for whom, by name."""

from __future__ import annotations

from tests.consumer.stage import P0, P1, Stage

KEYS = "abcdefgh"


def two_keys_of_one_lane(stage: Stage) -> tuple[str, str]:
    """Keys that share a lane."""
    lanes: dict[int, str] = {}
    for number in range(1000):
        key = f"k{number}"
        message = stage.kafka.produce(P1, key.encode())
        lane = stage.lanes.ordering.lane(message)
        if lane in lanes:
            stage.kafka.records[P1].clear()
            stage.kafka.ends[P1] = 0
            return lanes[lane], key
        lanes[lane] = key
    raise AssertionError("a thousand keys have a thousand lanes")


def test_records_of_one_key_run_one_after_the_other() -> None:
    stage = Stage()
    stage.produce(["a", "a", "a"])
    stage.stuck = {0}
    stage.fetch()
    stage.work()
    assert stage.begun == [0]
    stage.stuck = set()
    stage.work()
    assert stage.begun == stage.done == [0, 1, 2]


def test_another_key_of_the_lane_goes_on_when_one_takes_long() -> None:
    stage = Stage(slow=100)
    one, other = two_keys_of_one_lane(stage)
    stage.produce([one, other, one])
    stage.stuck = {0}
    stage.fetch()
    stage.work()
    assert stage.begun == [0]
    for _ in range(6):
        stage.tick(30)
    stage.work()
    assert stage.done == [1], "the other key went on; the same key waits"
    stage.stuck = set()
    stage.work()
    stage.tick()
    stage.work()
    assert stage.done == [1, 0, 2]


def test_a_lane_that_is_recalled_waits_for_the_record_that_runs() -> None:
    stage = Stage(order="partition")
    stage.produce(["a", "b", "c"])
    stage.produce(["a"], P1)
    stage.stuck = {0}
    stage.fetch()
    stage.work()
    stage.client.withdraw([P1], lost=True)
    stage.work()
    assert [name for name in stage.begun if name < 1000] == [0], "its successor waits, by whatever worker"
    stage.stuck = set()
    stage.go_on(20)
    assert [name for name in stage.done if name < 1000] == [0, 1, 2]


def test_a_record_that_runs_on_after_its_partition_went_is_not_overtaken() -> None:
    stage = Stage(revoke_drain=50)
    stage.produce(["a", "a"])
    stage.stuck = {0}
    stage.fetch()
    stage.work()
    stage.client.withdraw([P0], lost=False)
    stage.client.assign([P0])
    stage.go_on(50)
    assert stage.begun == [0], "it came again, and waits for its former self"
    stage.stuck = set()
    stage.go_on(120)
    assert stage.begun == [0, 0, 1]
    assert stage.committed() == 2


def test_what_has_not_begun_is_dropped_with_its_partition_and_only_that() -> None:
    stage = Stage(workers=1, order="none")
    stage.produce(KEYS)
    stage.produce(KEYS, P1)
    stage.stuck = {0}
    stage.fetch()
    stage.work()
    (first,) = stage.begun
    stage.client.withdraw([P1], lost=True)
    stage.stuck = set()
    stage.go_on(50)
    assert {name for name in stage.done if name < 1000} == set(range(8))
    assert [name for name in stage.begun if name >= 1000] == []
    assert first == 0


def test_revoked_partitions_commit_what_has_ended_meanwhile() -> None:
    stage = Stage(revoke_drain=1_000, order="none")
    stage.produce(["a", "b", "c"])
    stage.stuck = {1}
    stage.fetch()
    stage.work()

    def soon() -> None:
        if stage.clock.now > 100:
            stage.stuck = set()

    stage.engine.meanwhile = soon
    stage.client.withdraw([P0], lost=False)
    assert stage.committed() == 3, "it was waited for"
    assert stage.clock.now < 1_000


def test_lost_partitions_are_not_waited_for_and_not_committed() -> None:
    stage = Stage()
    stage.produce(["a", "b", "c"])
    stage.stuck = {2}
    stage.fetch()
    stage.work()
    stage.client.withdraw([P0], lost=True)
    assert stage.clock.now == 0
    assert stage.committed() is None


def test_one_stuck_record_keeps_no_other_key_from_going_on_and_memory_flat() -> None:
    stage = Stage(in_flight=200, in_flight_per_partition=200, slow=20)
    stage.produce(["stuck"])
    stage.stuck = {0}
    for _ in range(30):
        stage.produce([f"key{number}" for number in range(100)])
        stage.go_on(20)
        assert len(stage.lanes.running()) < 50
        assert stage.route.in_flight_now < 200
    stage.go_on(100)
    assert len(stage.done) == 3_000, "all but one"
    assert stage.committed() == 0
    assert len(stage.kafka.committed[P0].metadata) < 30, "one range"
    stage.stuck = set()
    stage.go_on(200)
    assert stage.committed() == 3_001


def test_behind_a_stuck_record_of_a_partition_no_more_waits_than_the_limit() -> None:
    stage = Stage(order="partition", in_flight=100, in_flight_per_partition=30, slow=20)
    stage.produce(["a"] * 200)
    stage.produce(["b"] * 200, P1)
    stage.stuck = {0}
    stage.go_on(900)
    assert stage.done == [1000 + at for at in range(200)], "the other partition went on"
    assert len(stage.client.open[P0]) == 30
    (reason,) = stage.engine.gates.reasons(stage.clock.now).values()
    assert reason == "30 of its records are under way (in_flight_per_partition)"
    stage.stuck = set()
    stage.go_on(900)
    assert stage.committed() == 200


def test_what_a_worker_has_only_taken_in_hand_does_not_begin_once_its_partition_has_gone() -> None:
    given_back = 0
    for steps in range(1, 12):
        stage = Stage(workers=1)
        stage.produce(["a", "a"])
        stage.fetch()
        for _ in range(steps):
            stage.workers.step(0)
        in_hand = not any(lane.tasks for lane in stage.lanes._lanes) and not stage.begun
        stage.client.withdraw([P0], lost=True)
        stage.work()
        assert stage.begun in ([], [0]), "at most the one that it was about to begin"
        given_back += in_hand and not stage.begun
        stage.tick()
        assert stage.route.in_flight == 0
    assert given_back > 0
