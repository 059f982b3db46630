"""What is counted, from any thread, and what is forgotten."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import pytest
from tests.consumer.fakes import FakeMessage
from tests.consumer.stage import Stage
from tests.consumer.test_failures import FakeLetters

from rota.consumer.clients.client import Offset
from rota.consumer.core.policy import DeadLetter, skip
from rota.consumer.core.state import Observer
from rota.consumer.operations.counts import BOUNDS, MOST_FAILURES, Counts, Durations
from rota.consumer.operations.observers import Observers
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)
P1 = TopicPartition("orders", 1)


def counts() -> Counts:
    return Counts(lambda: 1_000, lambda: 5_000)


def test_a_duration_falls_into_the_first_bucket_that_is_large_enough() -> None:
    durations = Durations()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, 10.0, 11.0):
        durations.add(seconds)
    read = durations.read()
    assert read.counts[0] == 2
    assert read.counts[1] == 1
    assert read.counts[-2:] == (1, 1)
    assert read.count == 5
    assert abs(read.total - 21.000201) < 1e-9


def test_threads_that_count_at_once_lose_nothing() -> None:
    durations = Durations()

    def work() -> None:
        for _ in range(20_000):
            durations.add(0.001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert durations.read().count == 160_000


def test_nothing_measured_reads_as_nothing() -> None:
    assert Durations().read().count == 0
    assert Durations().read().total == 0


def test_failures_are_counted_by_topic_and_outcome_and_skips_apart() -> None:
    found = counts()
    message = FakeMessage(P0, 7, b"k")
    found.failed(message, OSError("down"), 1, "retry")
    found.failed(message, OSError("down again"), 2, "dead-letter")
    found.failed(FakeMessage(P0, 8, b"k"), skip("not for us"), 1, "skip")
    assert dict(found.failed_as) == {("orders", "retry"): 1, ("orders", "dead-letter"): 1}
    assert dict(found.skipped_of) == {"orders": 1}
    kept = found.failures[P0][7]
    assert (kept.attempt, kept.words, kept.since_ms) == (2, "OSError: down again", 1_000)


def test_a_failed_record_is_forgotten_when_its_offset_is_committed_or_its_partition_goes() -> None:
    found = counts()
    for partition in (P0, P1):
        for offset in (3, 4):
            found.failed(FakeMessage(partition, offset, None), OSError(), 1, "retry")
    found.committed(P0, Offset(4))
    assert set(found.failures[P0]) == {4}
    found.committed(P0, Offset(5))
    assert not found.failures[P0]
    found.revoked([P1])
    assert P1 not in found.failures


@pytest.mark.parametrize("how", ["a later attempt", "a dead letter", "skipped"])
def test_a_failed_record_is_forgotten_when_it_is_done_though_nothing_is_committed(how: str) -> None:
    """One record that is stuck must not keep the failures of all behind it."""
    found, letters = counts(), FakeLetters()
    stage = Stage(
        order="none",
        observer=found,
        letters=letters,
        attempts=1 if how == "a dead letter" else 2,
        dead_letter=DeadLetter("dead") if how == "a dead letter" else None,
    )
    stage.produce(["a", "b", "c"])
    stage.stuck = {0}
    stage.fails = {1: OSError("down"), 2: OSError("down")}
    stage.fetch(1)
    stage.work()
    stage.tick()
    stage.tick(200)  # it is slow, and set apart: whoever shares its lane goes on
    stage.fetch()
    stage.work()
    stage.tick()
    assert set(found.failures[P0]) == {1, 2}
    stage.fails = {1: skip("no"), 2: skip("no")} if how == "skipped" else {}
    letters.prompt = True
    stage.go_on()
    assert stage.committed() in {None, 0}
    assert not found.failures.get(P0)


def test_of_endless_failures_the_first_ones_are_kept() -> None:
    found = counts()
    for offset in reversed(range(3 * MOST_FAILURES)):
        found.failed(FakeMessage(P0, offset, None), OSError(), 1, "retry")
    assert set(found.failures[P0]) == set(range(MOST_FAILURES))


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_failure_that_cannot_tell_its_text_is_counted() -> None:
    found = counts()
    found.failed(FakeMessage(P0, 7, None), MuteError(), 1, "retry")
    assert found.failed_as["orders", "retry"] == 1
    assert found.failures[P0][7].words == "MuteError: <its message cannot be shown: RuntimeError>"


def test_rebalances_are_counted_by_kind_with_their_time() -> None:
    times = iter([1_000, 1_250])
    found = Counts(lambda: next(times), lambda: 0)
    found.rebalance_begins("revoked")
    assert found.rebalance_now == ("revoked", 1_000)
    found.rebalance_ends()
    assert found.rebalance_now is None
    assert found.rebalances["revoked"] == 1
    assert found.rebalance_s["revoked"].read().total == 0.25


NEWS = [name for name in vars(Observer) if not name.startswith("_")]


@pytest.mark.parametrize("name", NEWS)
def test_every_news_reaches_every_observer(name: str) -> None:
    heard: list[tuple[int, tuple[Any, ...], dict[str, Any]]] = []

    def listener(number: int) -> Observer:
        observer = Observer()
        setattr(observer, name, lambda *args, **more: heard.append((number, args, more)))
        return observer

    args: list[str] = []
    more: dict[str, str] = {}
    for parameter in list(inspect.signature(getattr(Observer, name)).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY:
            more[parameter.name] = parameter.name
        else:
            args.append(parameter.name)
    getattr(Observers([listener(1), listener(2)]), name)(*args, **more)
    assert heard == [(1, tuple(args), more), (2, tuple(args), more)]


class Broken(Observer):
    def commit_failed(self, reason: str) -> None:
        raise ValueError(reason)


def test_an_observer_that_raises_does_not_keep_the_news_from_the_others() -> None:
    found = counts()
    Observers([Broken(), found]).commit_failed("the coordinator is away")
    assert found.commits_failed == 1
    assert found.last_commit_problem == "the coordinator is away"


def test_threads_that_are_no_more_leave_what_they_counted_and_nothing_else() -> None:
    durations = Durations()
    for _ in range(50):
        thread = threading.Thread(target=durations.add, args=(0.003,))
        thread.start()
        thread.join()
    durations.add(2.0)
    assert durations.read().count == 51
    assert durations.read().total == pytest.approx(2.15)
    assert len(durations._all) == 1
