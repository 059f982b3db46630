"""Alive, ready, stuck: judged from snapshots made by hand; no clock, no thread."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.consumer.states import EMPTY, IDLE, blocking, partition, state

from rota.consumer.operations.health import Health, Movement, live, ready, reason
from rota.consumer.operations.snapshot import State
from rota.model import RotaError, TopicPartition

P0 = TopicPartition("orders", 0)
HEALTH = Health(owner_silent=60_000, partition_stuck=60_000)


def looks(states: list[tuple[int, State, dict[TopicPartition, int]]], patience_ms: int = 60_000) -> list[str]:
    """What is stuck after the last of several looks: (when, the state, what the brokers say)."""
    movement = Movement(patience_ms)
    found: list[str] = []
    for now_ms, seen, ends in states:
        asked = movement.quiet(seen, now_ms)
        found = movement.stuck(seen, {name: end for name, end in ends.items() if name in asked}, now_ms)
    return found


@pytest.mark.parametrize("kind", ["running", "retry", "sending", "behind"])
def test_a_record_that_is_at_something_is_a_reason(kind: str) -> None:
    seen = state(partition(blocking=blocking(kind), in_flight=5))
    why = reason(seen.partitions[0], seen)
    assert why is not None
    assert why.startswith("offset 5 ")
    assert looks([(0, seen, {}), (90_000, seen, {}), (900_000, seen, {})]) == []


def test_a_pause_is_a_reason() -> None:
    seen = state(partition(position=3, end=10, paused="paused by the application"))
    assert reason(seen.partitions[0], seen) == "paused by the application"
    assert looks([(0, seen, {P0: 10}), (900_000, seen, {P0: 10}), (1_800_000, seen, {P0: 10})]) == []


def test_to_wait_for_a_worker_is_a_reason_only_while_all_of_them_are_busy() -> None:
    busy = state(partition(blocking=blocking("queued", attempts=0), in_flight=5), busy=4)
    assert reason(busy.partitions[0], busy) == "waits for one of 4 workers, all of which are busy"
    idle = state(partition(blocking=blocking("queued", attempts=0), in_flight=5), busy=3)
    assert reason(idle.partitions[0], idle) is None


def test_a_record_that_waits_for_long_beside_idle_workers_is_stuck() -> None:
    seen = state(partition(blocking=blocking("queued", attempts=0), in_flight=5))
    assert looks([(0, seen, {}), (59_999, seen, {})]) == []
    (words,) = looks([(0, seen, {}), (30_000, seen, {}), (60_000, seen, {})])
    assert words == (
        "orders-0 is stuck: offset 5 waits for a worker, and workers are idle; nothing has begun for 60 s"
    )


def test_records_that_nobody_fetches_make_a_partition_stuck() -> None:
    """The client's own idea of the end is as old as its last fetch: the broker is asked."""
    seen = state(partition(position=10, end=10))
    assert looks([(0, seen, {P0: 14}), (20_000, seen, {P0: 14}), (79_000, seen, {P0: 14})]) == []
    (words,) = looks([(0, seen, {P0: 14}), (20_000, seen, {P0: 14}), (80_000, seen, {P0: 14})])
    assert words == (
        "orders-0 is stuck: records go up to 14, and the last answer to a fetch knew of 10; "
        "nothing has begun for 80 s"
    )


def test_a_partition_without_records_is_never_stuck() -> None:
    seen = state(partition(position=10, end=10))
    assert looks([(0, seen, {}), (100_000, seen, {P0: 10}), (900_000, seen, {P0: 10})]) == []


def test_records_that_are_fetched_and_never_handed_out_make_no_partition_stuck() -> None:
    """Those of open and aborted transactions, and those that were deleted."""
    seen = state(partition(position=10, end=14))
    assert looks([(at, seen, {P0: 14}) for at in range(0, 900_000, 30_000)]) == []


def test_a_partition_that_was_never_fetched_is_stuck() -> None:
    seen = state(partition(position=None, end=None))
    assert looks([(0, seen, {P0: 3}), (20_000, seen, {P0: 3}), (80_000, seen, {P0: 3})]) != []
    assert looks([(0, seen, {P0: 0}), (20_000, seen, {P0: 0}), (80_000, seen, {P0: 0})]) == []


def test_a_broker_that_does_not_answer_makes_no_partition_stuck() -> None:
    seen = state(partition(position=10, end=10))
    assert looks([(at, seen, {}) for at in range(0, 900_000, 30_000)]) == []
    lost = [(0, seen, {P0: 14}), (30_000, seen, {P0: 14}), (60_000, seen, {}), (95_000, seen, {P0: 14})]
    assert looks(lost) == []  # counted anew from the answer


def test_whoever_gets_on_is_not_stuck_however_far_behind() -> None:
    looked = [(at * 40_000, state(partition(position=10 + at, end=1_000)), {P0: 100_000}) for at in range(20)]
    assert looks(looked) == []


def test_after_a_reason_the_patience_begins_anew() -> None:
    queued = state(partition(blocking=blocking("queued", attempts=0), in_flight=5))
    busy = state(partition(blocking=blocking("queued", attempts=0), in_flight=5), busy=4)
    assert looks([(0, queued, {}), (50_000, busy, {}), (100_000, queued, {})]) == []


def test_brokers_are_asked_only_for_partitions_that_have_been_quiet() -> None:
    movement = Movement(60_000)
    quiet, paused, working = (
        partition(0, position=10),
        partition(1, paused="paused by the application"),
        partition(2, blocking=blocking("running")),
    )
    seen = state(quiet, paused, working, partition(3, position=None, end=None))
    assert movement.quiet(seen, 0) == []
    assert movement.quiet(seen, 15_000) == [P0, TopicPartition("orders", 3)]


def test_an_owner_that_is_silent_for_long_is_dead_and_says_what_it_is_at() -> None:
    assert live(None, [], 59_000, HEALTH).ok
    verdict = live(None, [], 61_000, HEALTH, "partitions are being revoked for 61.0 s")
    assert not verdict.ok
    assert verdict.words == (
        "the owner thread has not turned for 61.0 s: partitions are being revoked for 61.0 s",
    )


def test_an_owner_that_answers_is_alive_even_if_it_was_silent_before() -> None:
    """A process that was frozen and thawed must not be ended for it."""
    assert live(state(), [], 600_000, HEALTH).ok


def test_stuck_partitions_make_a_consumer_dead() -> None:
    verdict = live(state(), ["orders-0 is stuck: …"], 0, HEALTH)
    assert verdict == (False, ("orders-0 is stuck: …",))


def test_reasons_are_told_while_it_is_alive() -> None:
    verdict = live(state(partition(end=20, blocking=blocking("running"), in_flight=5)), [], 0, HEALTH)
    assert verdict == (True, ("orders-0: offset 5 is running for 1.0 s, attempt 1",))


def test_a_record_may_run_for_ever_unless_a_bound_was_given() -> None:
    handler = replace(IDLE, busy=1, longest_ms=300_000, longest="orders-0 at offset 5")
    seen = replace(EMPTY, handlers=(handler,))
    assert live(seen, [], 0, HEALTH).ok
    verdict = live(seen, [], 0, Health(record_running=300_000))
    assert verdict == (False, ("orders-0 at offset 5 has been running for 300.0 s in handle",))


def test_ready_is_who_is_in_the_group_and_not_leaving() -> None:
    assert ready(replace(EMPTY, joined=False), None) == (False, ("not a member of the group billing yet",))
    assert ready(state(partition()), None) == (True, ("a member of the group billing with 1 partition",))
    assert ready(None, None) == (False, ("the owner thread does not answer",))
    assert ready(state(partition()), "it was asked to stop") == (False, ("it was asked to stop",))


def test_a_member_without_partitions_is_ready_and_says_that_it_is_idle() -> None:
    assert ready(state(), None) == (
        True,
        ("a member of the group billing, idle: others have all the partitions",),
    )


@pytest.mark.parametrize("name", ["owner_silent", "partition_stuck", "record_running"])
def test_a_bound_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(RotaError, match=rf"Health\({name}=0\): it must be 1 millisecond or more"):
        Health(**{name: 0})
