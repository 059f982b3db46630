"""`rota plan`: the table of mission row W6, and its wording."""

import json

import pytest

from rota.cli import run
from rota.cli.plan import STRATEGIES, _runs, spread
from rota.coordinator.assignors import plan as planner


def test_one_two_three_five_and_six_consumers_on_five_partitions(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--members", "1,2,3,5,6", "--partitions", "5"]) == 0
    one_each = "consumer-1: 0  consumer-2: 1  consumer-3: 2  consumer-4: 3  consumer-5: 4"
    assert capfd.readouterr().out.splitlines() == [
        "range: topic with 5 partitions",
        "",
        "CONSUMERS  SPREAD          MOVED  ASSIGNMENT",
        "        1  5                   -  consumer-1: 0-4",
        "        2  3 + 2               2  consumer-1: 0-2  consumer-2: 3,4",
        "        3  2 + 2 + 1           2  consumer-1: 0,1  consumer-2: 2,3  consumer-3: 4",
        f"        5  1 each              4  {one_each}",
        f"        6  1 each, 1 idle      0  {one_each}  consumer-6: idle",
        "",
        "Of 6 consumers consumer-6 is idle: a group has no more active consumers than partitions (5).",
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_spreads_evenly(strategy: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "-m", "1,2,3,5,6", "-p", "5", "-s", strategy, "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [row["sizes"] for row in rows] == [[5], [3, 2], [2, 2, 1], [1] * 5, [1] * 5 + [0]]
    assert [row["idle"] for row in rows] == [[], [], [], [], ["consumer-6"]]
    for row in rows:
        held = [(tp["topic"], tp["partition"]) for tps in row["assignment"].values() for tp in tps]
        assert sorted(held) == [("topic", n) for n in range(5)]


def test_sticky_moves_no_more_than_the_newcomer_s_share(capfd: pytest.CaptureFixture[str]) -> None:
    moved = {}
    for strategy in ("range", "cooperative-sticky", "uniform"):
        assert run(["plan", "-m", "3,4", "-p", "12", "-s", strategy, "--json"]) == 0
        moved[strategy] = json.loads(capfd.readouterr().out)[1]["moved"]
    assert moved == {"range": 6, "cooperative-sticky": 3, "uniform": 3}


def test_every_strategy_of_the_planner_can_be_asked_for() -> None:
    assert STRATEGIES == planner.STRATEGIES


def test_several_topics(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "-m", "2", "-t", "a:3", "-t", "b:3"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0] == "range: a with 3 partitions, b with 3 partitions"
    assert out[3] == "        2  4 + 2       -  consumer-1: a:0,1;b:0,1  consumer-2: a:2;b:2"


def test_a_wide_assignment_takes_a_line_for_each_consumer(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "-m", "3", "-p", "60", "-s", "roundrobin"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert [line.split(":")[0].split()[-1] for line in out[3:]] == ["consumer-1", "consumer-2", "consumer-3"]


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ([5], "5"),
        ([3, 2], "3 + 2"),
        ([2, 2], "2 each"),
        ([1, 1, 0, 0], "1 each, 2 idle"),
        ([3, 3, 3, 3, 2, 2, 2], "4 × 3 + 3 × 2"),
        ([1], "1"),
    ],
)
def test_spread(sizes: list[int], text: str) -> None:
    assert spread(sizes) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([0], "0"), ([0, 1], "0,1"), ([0, 1, 2], "0-2"), ([0, 2, 3, 4, 9], "0,2-4,9")]
)
def test_runs(numbers: list[int], text: str) -> None:
    assert _runs(numbers) == text
