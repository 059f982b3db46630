"""Two looks at a group, and what happened between them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.cluster import GroupDescription, MemberDescription
from rota.model import RotaError, TopicPartition
from rota.monitor.rebalances.polls import SEEN, differences
from rota.rehearsal.group_watch import SLOW_MS, GroupWatch
from rota.rehearsal.story import Story
from rota.timeline.events import (
    MemberJoined,
    MemberLeft,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


def group(state: str, *members: MemberDescription) -> GroupDescription:
    return GroupDescription("g", "Classic", state, "range" if state == "Stable" else "", None, members)


def member(name: str, *held: TopicPartition, instance: str | None = None, life: int = 1) -> MemberDescription:
    return MemberDescription(f"{name}-id{life}", instance, name, "/127.0.0.1", held)


def test_nothing_changed() -> None:
    both = group("Stable", member("a", P0, P1))
    assert differences(both, both, set(), 1, 100, 200) == []


def test_a_member_joins_within_one_look() -> None:
    before = group("Stable", member("a", P0, P1))
    after = group("Stable", member("a", P0), member("b", P1))
    assert differences(before, after, set(), 1, 100, 200) == [
        MemberJoined(100, "g", "b-id1", "b", "/127.0.0.1", None),
        RebalanceStarted(100, "g", 1, RebalanceReason.MEMBER_JOINED, "b-id1", SEEN),
        RebalanceCompleted(200, "g", 2, "range", None, {"a-id1": (P0,), "b-id1": (P1,)}),
    ]


def test_a_rebalance_that_takes_several_looks() -> None:
    before = group("Stable", member("a", P0), member("b", P1))
    during = group("PreparingRebalance", member("a"))
    after = group("Stable", member("a", P0, P1))
    started = differences(before, during, {"b"}, 4, 100, 200)
    assert started == [
        MemberLeft(100, "g", "b-id1", RebalanceReason.SESSION_EXPIRED, SEEN),
        RebalanceStarted(100, "g", 4, RebalanceReason.SESSION_EXPIRED, "b-id1", SEEN),
    ]
    assert differences(during, after, {"b"}, 4, 200, 300) == [
        RebalanceCompleted(300, "g", 5, "range", None, {"a-id1": (P0, P1)})
    ]


def test_who_was_not_killed_left() -> None:
    before = group("Stable", member("a", P0), member("b", P1))
    after = group("Stable", member("a", P0, P1))
    left, *_ = differences(before, after, set(), 4, 100, 200)
    assert left == MemberLeft(100, "g", "b-id1", RebalanceReason.MEMBER_LEFT, SEEN)


def test_the_last_member_leaves_without_a_rebalance() -> None:
    found = differences(group("Stable", member("a", P0)), group("Empty"), set(), 4, 100, 200)
    assert found == [MemberLeft(100, "g", "a-id1", RebalanceReason.MEMBER_LEFT, SEEN)]


def test_a_static_member_that_comes_back_is_no_rebalance() -> None:
    before = group("Stable", member("a", P0, instance="a"), member("b", P1, instance="b"))
    after = group("Stable", member("a", P0, instance="a"), member("b", P1, instance="b", life=2))
    assert differences(before, after, {"b"}, 4, 100, 200) == [
        MemberLeft(100, "g", "b-id1", RebalanceReason.STATIC_MEMBER_REPLACED, SEEN),
        MemberJoined(100, "g", "b-id2", "b", "/127.0.0.1", "b"),
    ]


class Away:
    """A cluster that answers, then does not (or, ``slow``, is waited for), then answers again."""

    timeout_s = 1.0

    def __init__(self, *, slow: bool) -> None:
        self.is_seen_enough = threading.Event()
        self.now_ms = 1_000_000
        self._looks = 0
        self._slow = slow

    def describe_groups(self, _names: list[str]) -> dict[str, GroupDescription]:
        self._looks += 1
        self.now_ms += 10
        if self._looks > 5:
            self.is_seen_enough.set()
        if self._slow and self._looks == 2:
            self.now_ms += SLOW_MS
        elif not self._slow and self._looks in (2, 3):
            raise RotaError("no broker answers")
        return {"g": group("Stable", member("a", P0, P1))}


@pytest.mark.parametrize("slow", [False, True])
def test_an_outage_is_told_as_one_and_not_as_a_rebalance(slow: bool) -> None:
    cluster: Any = Away(slow=slow)
    watch = GroupWatch(cluster, "g", clock=lambda: cluster.now_ms, interval_s=0.001)
    assert cluster.is_seen_enough.wait(PATIENCE_S)
    watch.close()
    found = watch.read()
    story = Story()
    assert [story.tell(event) for event in found] == [
        "The group's coordinator does not answer.",
        "The group's coordinator answers again.",
    ]
    assert [event.at_ms for event in found] == sorted(event.at_ms for event in found)
