"""The looks that the doctor goes by, weighed by what is in them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.monitor.snapshots import START_MS, look, looks

from rota.admin import Admin
from rota.model import TopicPartition
from rota.monitor.facts import Commit, GroupFacts, PartitionFacts, Snapshot
from rota.watching import kept, looking
from rota.watching.evidence import Checkup
from rota.watching.kept import FEWEST, MOST, KeptLooks

WINDOW_MS = 600_000


def big(number: int, partitions: int, *, idle: bool = False) -> Snapshot:
    """The look number so-and-so, every two seconds, at one group in which each partition moves, or none."""
    at = 0 if idle else number
    parts = [TopicPartition("orders", each) for each in range(partitions)]
    return Snapshot(
        at_ms=START_MS + 2_000 * number,
        groups={"orders": GroupFacts("orders", "Classic", "Stable")},
        commits={"orders": {each: Commit(at) for each in parts}},
        partitions={each: PartitionFacts(0, at) for each in parts},
    )


def facts(looks: KeptLooks) -> int:
    """How many different objects they hold of partitions and commits."""
    return len(
        {id(each) for look in looks for each in look.partitions.values()}
        | {id(each) for look in looks for of_group in look.commits.values() for each in of_group.values()}
    )


def test_ten_minutes_of_looks_are_few_and_spread_over_them() -> None:
    """A look every two seconds for twenty minutes: the newest are all there, the others as far apart as can be."""
    keeping = KeptLooks(WINDOW_MS)
    for number in range(600):
        keeping.add(big(number, 1))
        assert len(keeping) <= MOST
    times = [each.at_ms - START_MS for each in keeping]
    assert times[-4:] == [1_192_000, 1_194_000, 1_196_000, 1_198_000]
    assert times[-1] - times[0] >= 0.9 * WINDOW_MS
    assert max(later - earlier for earlier, later in pairwise(times)) <= WINDOW_MS / 20


def test_a_short_run_keeps_every_look() -> None:
    keeping = KeptLooks(WINDOW_MS)
    for number in range(MOST):
        keeping.add(big(number, 1))
    assert len(keeping) == MOST


def test_what_is_kept_of_many_partitions_is_bounded_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one of them moves in every look."""
    monkeypatch.setattr(kept, "MOST_FACTS", 2_000)
    keeping = KeptLooks(WINDOW_MS)
    for number in range(100):
        keeping.add(big(number, 100))
    assert len(keeping) == 10
    assert facts(keeping) == 2_000
    for number in range(100, 200):
        keeping.add(big(number, 1_000))
    assert len(keeping) == FEWEST
    assert keeping.newest.at_ms - next(iter(keeping)).at_ms > 100_000


def test_of_what_does_not_change_there_is_one() -> None:
    keeping = KeptLooks(WINDOW_MS)
    for number in range(MOST):
        keeping.add(big(number, 100, idle=True))
    assert facts(keeping) == 200
    assert len({id(each.partitions) for each in keeping}) == 1
    assert len({id(each.groups["orders"]) for each in keeping}) == 1


def test_sharing_changes_nothing_of_a_look() -> None:
    """Partitions that come, go and move; a group that is away."""
    scene = looks(
        "group a\n  one: a-0 a-1\na-0 1/3\na-1 1/3",
        "a-1 2/3",
        "group a\n  one: a-0 a-1 a-2\na-0 1/3\na-1 2/3\na-2 -/7",
        "group b\nb-0 1/1\nfail a gone",
        "group a\n  one: a-0\na-0 1/4\ngroup b\nb-0 1/1",
    )
    keeping = KeptLooks(WINDOW_MS)
    for each in scene:
        keeping.add(each)
    assert list(keeping) == scene


@given(st.lists(st.integers(-2 * WINDOW_MS, 2 * WINDOW_MS) | st.integers(0, 10_000), min_size=1, max_size=80))
def test_whatever_the_clock_does_looks_are_in_order_and_the_newest_is_there(steps: list[int]) -> None:
    keeping = KeptLooks(WINDOW_MS)
    at_ms = START_MS
    for step in steps:
        at_ms += step
        keeping.add(look("group a\na-0 1/3", at_ms))
        times = [each.at_ms for each in keeping]
        assert times == sorted(set(times))
        assert times[-1] == at_ms
        assert times[0] >= at_ms - WINDOW_MS
        assert len(times) <= MOST


def test_a_checkup_that_goes_on_for_hours_keeps_few_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of looks, every two seconds, at a group whose partitions all move."""
    numbers = iter(range(300))
    monkeypatch.setattr(looking, "scan", lambda *_, **__: big(next(numbers), 10))
    with Admin("127.0.0.1:1") as admin:
        checkup = Checkup(admin, topic="nobody may read it")
        monkeypatch.setattr(looking.Looking, "_learn", lambda *_: None)
        for _ in range(300):
            checkup.look()
        monkeypatch.setattr(checkup._around, "prepare", lambda *_: None)
        (evidence,) = checkup.evidence().values()
    held = {id(each) for look in evidence.looks for each in look.partitions.values()}
    assert len(held) <= 10 * MOST
    assert evidence.span_s > 500
