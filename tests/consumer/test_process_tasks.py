"""Tasks that are done in another process: what the owner sees, and what it can take back, at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.consumer.fakes import FakeMessage

from rota.consumer.core.work import Lane
from rota.consumer.workers.process_tasks import Permits, ProcessTask
from rota.model import TopicPartition

MESSAGES = [FakeMessage(TopicPartition("orders", 0), at, None) for at in range(12)]


@pytest.fixture
def permits() -> Iterator[Permits]:
    made = Permits()
    yield made
    made.close()


def begin(permits: Permits) -> bool:
    """The child wants to begin a record; whether it may."""
    try:
        return len(os.read(permits.reading, 1)) == 1
    except BlockingIOError:
        return False


def test_the_owner_sees_every_record_begin_without_being_told(permits: Permits) -> None:
    task = ProcessTask(MESSAGES, Lane(0))
    assert task.hand(permits, 5) == 5
    seen = [task.running]
    while begin(permits):
        seen.append(task.running)
    assert seen == [0, 0, 1, 2, 3, 4]
    assert task.take(5) == 5
    assert task.running == 5
    assert task.hand(permits, 100) == 7
    assert task.running == 5


def test_of_a_child_that_is_dead_the_owner_knows_where_it_was(permits: Permits) -> None:
    task = ProcessTask(MESSAGES, Lane(0))
    task.hand(permits, 8)
    for _ in range(3):
        assert begin(permits)
    assert task.take(None) == 3
    assert task.running == 2
    task.hand(permits, 8)
    assert task.take(None) == 0  # before it began any
    assert task.running == 2


def test_a_slice_never_goes_beyond_what_the_owner_left(permits: Permits) -> None:
    task = ProcessTask(MESSAGES, Lane(0))
    assert list(task.cut()) == MESSAGES[1:]
    assert task.hand(permits, 8) == 1
    task.take(1)
    assert task.done
    assert task.hand(permits, 8) <= 0


@settings(max_examples=300, deadline=None)
@given(slices=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=4), after=st.integers(0, 6))
def test_what_is_cut_off_never_begins_and_the_rest_is_done(slices: list[tuple[int, int]], after: int) -> None:
    """The child does ``slices`` (handed over, begun) and is in the middle of the last when the owner cuts."""
    permits = Permits()
    task = ProcessTask(MESSAGES, Lane(0))
    begun = 0
    for number, (most, wanted) in enumerate(slices):
        count = task.hand(permits, most)
        if count <= 0:
            break
        last = number == len(slices) - 1
        here = min(wanted, count) if last else count
        assert [begin(permits) for _ in range(here)] == [True] * here
        begun += here
        if not last:
            task.take(count)
    before = task.running
    left = task.cut()
    assert task.running == before
    kept = len(task.messages)
    assert [*task.messages, *left] == MESSAGES
    assert max(begun, 1) <= kept <= begun + 1
    more = sum(begin(permits) for _ in range(after))
    assert begun + more <= kept
    if task._handed is not None:
        in_slice = begun + more - task._handed.first
        task.take(in_slice)
    while task.running < task.end:
        assert task.hand(permits, 3) > 0
        done = 0
        while begin(permits):
            done += 1
        task.take(done)
    assert task.done
    permits.close()
