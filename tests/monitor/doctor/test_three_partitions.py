"""One table, many stories: 45000/50000, 48000/50000, 42000/50000, and partition 2 is growing. Why?

The numbers of a moment are the same in each of them; what tells the stories apart is how they go on, and what the group
recorded before.
"""

from __future__ import annotations

import pytest
from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import check
from tests.monitor.doctor.histories import history
from tests.monitor.snapshots import START_MS

from rota.monitor.doctor import Verdict, diagnose
from rota.monitor.findings import Certainty
from rota.monitor.view import Level

LOOKS = 7
APART = "a: orders-0\nb: orders-1\nc: orders-2"
ALONE = "a: orders-0 orders-1 orders-2"


def table(members: str, *paces: tuple[int, int]) -> str:
    """The table, and six looks after it, 10 s apart; of each partition how many were consumed and produced in 10 s."""
    starts = ((45_000, 50_000), (48_000, 50_000), (42_000, 50_000))
    lines = [
        f"orders-{number} "
        + " ".join(f"{committed + n * consumed}/{end + n * produced}" for n in range(LOOKS))
        for number, ((committed, end), (consumed, produced)) in enumerate(zip(starts, paces, strict=True))
    ]
    return "\n".join(["group orders classic Stable range", members, *lines])


EVEN = 400
STORIES = {
    "the one that reads it is slow": (
        table(APART, (EVEN, EVEN), (EVEN, EVEN), (100, EVEN)),
        "",
        ["D04"],
        "c is too slow: it handles 10/s and 40/s come (the other members keep up); its lag of 9,800 grows",
    ),
    "it gets most of the records": (
        table(APART, (EVEN, EVEN), (EVEN, EVEN), (EVEN, 8 * EVEN)),
        "",
        ["D05"],
        (
            "orders-2 gets 80 % of the topic's records and lags 24,800 behind, the other 2 together 7,000: "
            "adding members will not help"
        ),
    ),
    "a record is stuck": (
        table(ALONE, (EVEN, EVEN), (EVEN, EVEN), (0, EVEN)),
        "",
        ["D03"],
        (
            "orders-2 is stuck at offset 42000 for 60.0 s while its member goes on with the rest: "
            "a cannot get past that record"
        ),
    ),
    "there are too few members": (
        table(ALONE, (200, EVEN), (200, EVEN), (100, EVEN)),
        "",
        ["D04"],
        "a is too slow: it handles 50/s and 120/s come; its lag of 19,200 grows",
    ),
    "there are too few partitions": (
        table(APART, (100, EVEN), (100, EVEN), (100, EVEN)),
        "",
        ["D07"],
        (
            "each of the 3 partitions has its own member and the lag of 20,400 still grows: "
            "more members would get nothing to do"
        ),
    ),
    "its reader polls too seldom": (
        table(APART, (EVEN, EVEN), (EVEN, EVEN), (300, EVEN)),
        "0 joins c@10.0.0.3\n300 leaves c poll-interval-exceeded likely: silent\n330 joins c@10.0.0.3 id=c-id",
        ["D11"],
        (
            "c (10.0.0.3) was thrown out for polling too seldom: "
            "the work between two polls took longer than max.poll.interval.ms"
        ),
    ),
    "its reader was away and came back": (
        table(APART, (EVEN, EVEN), (EVEN, EVEN), (EVEN, EVEN)),
        "0 joins c@10.0.0.3\n300 leaves c session-expired likely: silent for 45 s\n330 joins c@10.0.0.3",
        ["D12"],
        (
            "c (10.0.0.3) vanished without a word and nobody read its partitions: "
            "a freeze or a cut, or its program was started again"
        ),
    ),
    "it rebalances too often": (
        table(APART, (EVEN, EVEN), (EVEN, EVEN), (300, EVEN)),
        "".join(f"{250 + 20 * n} joins c@10.0.0.3\n{260 + 20 * n} leaves c member-left\n" for n in range(5)),
        ["D09"],
        (
            "the group rebalanced 10 times within 90.5 s: nobody reads the partitions that change hands. The cause: "
            "c (10.0.0.3) left and came back 4 times within 70.0 s: its program is started again and again"
        ),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_the_doctor_says(story: str) -> None:
    """The right cause, and it alone."""
    text, life, rules, words = STORIES[story]
    events = history(life, start_ms=START_MS - 300_000)
    diagnosis = diagnose(evidence(text, events=events))
    for finding in diagnosis.findings:
        check(finding)
    assert [finding.rule for finding in diagnosis.findings] == rules, diagnosis.findings
    assert diagnosis.findings[0].words == words
    if rules[0] in ("D03", "D04", "D05") and "too few" not in story:
        assert diagnosis.findings[0].partitions == (tp("orders-2"),)
    assert diagnosis.findings[0].certainty is not Certainty.GUESS


def test_one_look_is_not_enough() -> None:
    """The table alone: nothing is claimed, and the rules that want more looks say so."""
    one = evidence(
        "group orders classic Stable range\na: orders-0\nb: orders-1\nc: orders-2\n"
        "orders-0 45000/50000\norders-1 48000/50000\norders-2 42000/50000",
        events=(),
    )
    assert one.view.totals.lag == 15_000
    assert all(part.rates.level is Level.UNKNOWN for part in one.view.partitions)
    diagnosis = diagnose(one)
    assert diagnosis.verdict is Verdict.UNKNOWN
    assert not diagnosis.findings
    assert {"D03", "D04", "D07"} <= {each.rule for each in diagnosis.unjudged}


def test_a_group_that_catches_up() -> None:
    """The same table, and every partition comes nearer to its end: nobody is called."""
    text = table(APART, (2 * EVEN, EVEN), (EVEN, EVEN), (3 * EVEN, EVEN))
    diagnosis = diagnose(evidence(text, events=()))
    assert not diagnosis.findings
