"""What a person reads."""

from __future__ import annotations

import re

from tests.monitor.rebalances.log import Log

from rota.timeline.account import clock_text


def killed() -> Log:
    log = Log().at(1_000).generation(4, a="orders-0", b="orders-1")
    log.commits("orders-1", 1_200, 20_000, 200)
    log.commits("orders-0", 1_200, 26_000, 200)
    log.at(26_000).generation(5, joined_ms=25_980, a="orders-0 orders-1")
    return log.commits("orders-1", 26_200, 28_000, 200)


def test_lines() -> None:
    told = killed().told()[-1]
    assert told.lines() == [
        f"#2  {clock_text(told.at_ms)}  b was silent for its whole session timeout",
        "    likely: its last commit was 3.2 to 6.2 s before, and its session timeout is 6.0 s",
        "    completed after 0.2 s: generation 5, 1 member, range",
        "    moved: orders 1 from b to a",
        "    orders-1 waited 6.4 s (b was silent for its whole session timeout)",
        "    cost: 1 partition waited, 6.4 s together (between two commits)",
    ]


def test_a_paragraph() -> None:
    told = killed().told()[-1]
    assert told.paragraph() == (
        f"At {clock_text(told.at_ms)} the group rebalanced: b was silent for its whole session timeout (likely: its "
        "last commit was 3.2 to 6.2 s before, and its session timeout is 6.0 s). It took 0.2 s. 1 partition changed "
        "hands. Cost: 1 partition waited, 6.4 s together (between two commits)."
    )


def test_a_document() -> None:
    document = killed().told()[-1].document()
    assert document["causes"] == [
        {
            "reason": "session-expired",
            "member": "b-id",
            "name": "b",
            "certainty": "likely",
            "evidence": "its last commit was 3.2 to 6.2 s before, and its session timeout is 6.0 s",
            "doubts": "",
        }
    ]
    assert document["cost"] == {
        "partition_ms": 6_400,
        "paused_ms": {"orders-1": 6_400},
        "by_commits": True,
        "records": None,
    }
    assert (document["reason"], document["member"], document["generation"]) == ("session-expired", "b", 5)


def test_of_a_classic_group_only_the_end_is_recorded() -> None:
    log = (
        Log()
        .at(1_000)
        .generation(4, a="orders-0")
        .at(9_000)
        .generation(5, joined_ms=8_990, a="orders-0", b="")
    )
    told = log.told()[-1]
    assert (
        "    completed after 0.01 s or more (its beginning is not recorded): generation 5, 2 members, range"
        in (told.lines())
    )
    assert "when it began is not recorded" in told.paragraph()
    assert told.cost.words == ""


def test_several_causes_in_one() -> None:
    log = (
        Log()
        .at(1_000)
        .generation(4, a="orders-0", b="orders-1")
        .at(9_000)
        .generation(5, b="orders-0", c="orders-1")
    )
    told = log.told()[-1]
    assert told.words == "a left; c joined"
    assert [line for line in told.lines() if re.match(r"    (a left|c joined): ", line)]


def test_what_nobody_knows() -> None:
    told = Log().at(1_000).generation(4, a="orders-0").told()[-1]
    assert told.words == "for an unknown reason"
    assert "    only its end was recorded: generation 4" in told.lines()
