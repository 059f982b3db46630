"""Handlers that are the slowest part: they never wait for what the runtime does."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tests.consumer.stage import Stage

from rota.consumer.core.gates import PATIENCE_MS
from rota.consumer.handlers import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.model import TopicPartition


def test_a_handler_that_works_off_its_records_is_not_paused_and_gets_more_in_batches() -> None:
    """It is full most of the time, for far longer than a handler may be that does nothing at all."""
    stage = Stage(order="partition", in_flight=64, in_flight_per_partition=64, slow=10**6)
    stage.produce(["a"] * 300)
    stage.stuck = {0}
    assert stage.fetch() == 64
    fetched = []
    for at in range(1, 100):
        stage.stuck = {at}
        stage.work()
        stage.tick(20)
        fetched.append(stage.fetch())
        assert stage.client.paused == set()
    assert stage.clock.now > 3 * PATIENCE_MS
    assert {count for count in fetched if count} == {4}, "not record by record"
    assert sum(fetched) == 96


def test_a_batch_does_not_wait_for_more_when_nothing_more_may_come() -> None:
    stage = Stage(batch=Batch(most=10, wait_ms=200), in_flight=16, in_flight_per_partition=16)
    stage.produce(["a", "b", "c", "d", "e", "f", "g", "h"])
    stage.fetch()
    stage.tick()
    stage.work()
    assert stage.begun == [], "there is room: they wait for others"
    stage.produce(["a", "b", "c", "d", "e", "f", "g", "h"])
    stage.fetch()
    stage.tick()
    stage.work()
    assert sorted(stage.begun) == list(range(16))
    assert all(len(batch) > 1 for batch in stage.batches)


def test_looking_for_what_is_done_takes_a_small_part_of_the_time() -> None:
    """Here every look takes 10 ms, whatever the reason."""
    stage = Stage(commit_every=1, commit_spacing=1)
    looks = []
    positions = stage.client.positions

    def slow(partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        looks.append(stage.clock.now)
        stage.clock.now += 10
        return positions(partitions)

    stage.client.positions = slow  # type: ignore[method-assign]
    while stage.clock.now < 2_000:
        stage.produce(["a"])
        stage.go_on(1)
    assert 5 <= len(looks) <= 11
    assert min(later - at for at, later in pairwise(looks)) >= 200
