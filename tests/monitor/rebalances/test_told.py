"""What a person reads."""

from __future__ import annotations

import re

from tests.monitor.rebalances.log import START_MS, Log

from rota.model import TopicPartition
from rota.timeline.account import clock_text
from rota.timeline.events import RebalanceReason


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
        (
            f"    completed at {clock_text(START_MS + 26_000)}; began between {clock_text(START_MS + 25_800)} and "
            "then, at most 0.2 s before: generation 5, 1 member, range"
        ),
        "    moved: orders 1 from b to a",
        (
            "    cost: 1 partition waited, at least 4.0 s, up to 6.2 s together (nobody read it from its member's last "
            "sign of life to the new assignment)"
        ),
    ]


def test_when_each_wait_began() -> None:
    cost = killed().told()[-1].cost
    part = TopicPartition("orders", 1)
    assert (cost.since_ms, cost.paused) == ({part: START_MS + 19_800}, {part: 6_200})


def test_a_paragraph() -> None:
    told = killed().told()[-1]
    assert told.paragraph() == (
        f"At {clock_text(told.at_ms)} the group rebalanced: b was silent for its whole session timeout (likely: its "
        "last commit was 3.2 to 6.2 s before, and its session timeout is 6.0 s). It began between "
        f"{clock_text(START_MS + 25_800)} and {clock_text(START_MS + 26_000)}, and took at most 0.2 s. 1 partition "
        "changed hands. Cost: 1 partition waited, at least 4.0 s, up to 6.2 s together (nobody read it from its "
        "member's last sign of life to the new assignment)."
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
        "partition_ms": 6_200,
        "paused_ms": {"orders-1": 6_200},
        "at_least_ms": {"orders-1": 4_020},
        "by_commits": False,
        "records": None,
    }
    assert (document["reason"], document["member"], document["generation"]) == ("session-expired", "b", 5)
    assert document["began_exactly"] is False
    assert document["began_between_ms"] == [START_MS + 25_800, START_MS + 26_000]


def test_of_a_classic_group_only_the_end_is_recorded() -> None:
    log = (
        Log()
        .at(1_000)
        .generation(4, a="orders-0")
        .at(9_000)
        .generation(5, joined_ms=8_990, a="orders-0", b="")
    )
    told = log.told()[-1]
    done = clock_text(START_MS + 9_000)
    assert (
        f"    completed at {done}; its beginning is not recorded: generation 5, 2 members, range"
        in told.lines()
    )
    assert told.document()["began_between_ms"] is None
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


def seldom(until_ms: int = 33_000) -> Log:
    """Two members that commit every 5 s; b commits at 20 s for the last time, is killed, and its session is over."""
    log = Log().at(1_000).generation(4, session_ms=10_000, poll_ms=300_000, a="orders-0", b="orders-1")
    log.commits("orders-1", 5_000, 20_001, 5_000)
    log.commits("orders-0", 6_000, until_ms, 5_000)
    return log


def test_the_last_commit_tells_only_the_earliest_end_of_a_session() -> None:
    """Heartbeats go on after the last commit."""
    log = (
        seldom()
        .at(33_070)
        .generation(5, joined_ms=33_060, session_ms=10_000, poll_ms=300_000, a="orders-0 orders-1")
    )
    told = log.told()[-1]
    assert told.verdicts[0].reason == RebalanceReason.SESSION_EXPIRED
    assert (told.exact, told.at_ms) == (False, START_MS + 33_060)
    assert told.began_between_ms == (START_MS + 30_000, START_MS + 33_070)
    orders_1 = TopicPartition("orders", 1)
    assert told.cost.paused[orders_1] == 13_070
    assert told.cost.at_least[orders_1] == 7_010


def test_a_wait_is_charged_to_one_rebalance() -> None:
    """The partition of a dead member is handed on again before anybody commits it."""
    more = {"session_ms": 10_000, "poll_ms": 300_000}
    log = seldom().at(33_070).generation(5, **more, a="orders-0 orders-1")  # type: ignore[arg-type]
    log.at(34_000).generation(6, **more, a="orders-0", c="orders-1")  # type: ignore[arg-type]
    log.commits("orders-1", 45_000, 60_000, 5_000)
    first, second = log.told()[-2:]
    assert first.cost.paused == {TopicPartition("orders", 1): 13_070}
    assert second.cost.paused == {}
    assert not [line for line in second.lines() if "waited" in line]


def test_a_pause_between_commits_is_charged_to_the_first_rebalance_in_it() -> None:
    log = Log().at(1_000).generation(4, a="orders-0 orders-1")
    log.commits("orders-0", 1_200, 20_000, 200).commits("orders-1", 1_200, 20_000, 200)
    log.at(20_100).generation(5, a="orders-0", b="orders-1")
    log.commits("orders-0", 20_300, 28_000, 200)
    log.at(24_000).generation(6, a="orders-0", b="", c="orders-1")
    log.commits("orders-1", 28_000, 30_000, 200)
    first, second = log.told()[-2:]
    assert TopicPartition("orders", 1) in first.cost.paused
    assert TopicPartition("orders", 1) not in second.cost.paused
    assert second.account is not None
    assert TopicPartition("orders", 1) not in {pause.partition for pause in second.account.pauses}


def test_what_one_dead_member_passes_to_another_waits_once() -> None:
    """b has its last commit before a's partition comes to it, and dies without another."""
    more = {"session_ms": 10_000, "poll_ms": 300_000}
    log = Log().at(1_000).generation(4, **more, a="orders-0", b="orders-1", c="orders-2")  # type: ignore[arg-type]
    log.commits("orders-0", 5_000, 20_001, 5_000).commits("orders-1", 7_000, 28_000, 5_000)
    log.commits("orders-2", 8_000, 29_000, 5_000)
    log.at(31_000).generation(5, **more, b="orders-0 orders-1", c="orders-2")  # type: ignore[arg-type]
    log.commits("orders-2", 33_000, 39_000, 5_000)
    log.at(40_000).generation(6, **more, c="orders-0 orders-1 orders-2")  # type: ignore[arg-type]
    first, second = log.told()[-2:]
    orders_0, orders_1 = TopicPartition("orders", 0), TopicPartition("orders", 1)
    assert first.cost.paused == {orders_0: 11_000}
    assert second.cost.paused == {orders_0: 9_000, orders_1: 13_000}
