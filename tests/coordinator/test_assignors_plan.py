"""The planner: the lesson's table, idle members, and what moves."""

from __future__ import annotations

import pytest

from rota.coordinator.assignors import ASSIGNORS
from rota.coordinator.assignors.plan import Move, plan
from rota.model import RotaError, TopicPartition

FIVE = {"new_users": 5}


@pytest.mark.parametrize("strategy", ASSIGNORS)
@pytest.mark.parametrize(
    ("members", "sizes"),
    [(1, [5]), (2, [3, 2]), (3, [2, 2, 1]), (5, [1, 1, 1, 1, 1]), (6, [1, 1, 1, 1, 1, 0])],
)
def test_five_partitions(strategy: str, members: int, sizes: list[int]) -> None:
    made = plan(strategy, members, FIVE)
    assert made.sizes == sizes
    assert sorted(made.owners()) == [TopicPartition("new_users", number) for number in range(5)]
    assert made.idle == (("consumer-6",) if members == 6 else ())


def test_range_gives_neighbours() -> None:
    rows = plan("range", ["b", "a"], FIVE).rows
    assert [(name, [each.partition for each in held]) for name, held in rows] == [
        ("b", [3, 4]),
        ("a", [0, 1, 2]),
    ]


def test_names_of_numbered_members_sort_as_numbers() -> None:
    rows = plan("range", 12, {"t": 12}).rows
    assert rows[1] == ("consumer-02", (TopicPartition("t", 1),))
    assert rows[11] == ("consumer-12", (TopicPartition("t", 11),))


def test_member_that_joins_takes_one_partition_in_two_rounds() -> None:
    two = plan("cooperative-sticky", 2, {"t": 4})
    three = plan("cooperative-sticky", 3, {"t": 4}, previous=two)
    assert three.rounds == 2
    assert [(move.source, move.target) for move in three.moves] == [("consumer-1", "consumer-3")]
    assert plan("sticky", 3, {"t": 4}, previous=plan("sticky", 2, {"t": 4})).moves == three.moves


def test_range_moves_more_than_sticky_when_the_first_member_leaves() -> None:
    members, rest = ["a", "b", "c"], ["b", "c"]
    moves = {
        strategy: len(plan(strategy, rest, {"t": 9}, previous=plan(strategy, members, {"t": 9})).moves)
        for strategy in ASSIGNORS
    }
    assert moves == {"range": 4, "roundrobin": 7, "sticky": 3, "cooperative-sticky": 3}


def test_partitions_of_a_grown_topic_come_from_nobody() -> None:
    small = plan("range", ["a"], {"t": 1})
    assert plan("range", ["a"], {"t": 2}, previous=small).moves == (Move(TopicPartition("t", 1), None, "a"),)


@pytest.mark.parametrize(
    ("strategy", "members", "message"),
    [
        ("rnage", 1, "unknown assignment strategy 'rnage': choose one of range, roundrobin, sticky, coop"),
        ("range", 0, "one consumer or more"),
        ("range", ["a", "a"], "different names"),
    ],
)
def test_what_cannot_be_planned(strategy: str, members: int | list[str], message: str) -> None:
    with pytest.raises(RotaError, match=message):
        plan(strategy, members, FIVE)
