"""What the doctor found while a lab ran: noted once each, with its times."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.top.stage import NOW_MS, finding, group

from rota.monitor.findings import Certainty, Finding, Severity
from rota.monitor.view import GroupView
from rota.rehearsal.findings import MOST_LINES, Found, finding_documents, finding_lines


def at(seconds: float, *findings: Finding) -> GroupView:
    return replace(group(findings=findings), at_ms=NOW_MS + round(seconds * 1000))


def idle(words: str = "1 of 4 members has no partition") -> Finding:
    return replace(finding(), rule="D06", name="idle-members", words=words, certainty=Certainty.CERTAIN)


def test_what_goes_on_is_one_line_with_its_last_words() -> None:
    found = Found()
    for view in (at(1), at(2, idle()), at(3, idle()), at(4, idle("2 of 5 members have no partition")), at(5)):
        found.take(view)
        found.take(view)
    assert finding_lines(found.all(), NOW_MS) == [
        "",
        "What the doctor found meanwhile (rota doctor --explain tells more of a rule):",
        "  ! D06  2.0 to 4.0 s: 2 of 5 members have no partition",
    ]


def test_what_comes_back_is_told_again_and_the_worst_comes_first() -> None:
    found = Found()
    stuck = replace(finding(severity=Severity.CRITICAL), rule="D03", words="it is stuck")
    for view in (at(1, idle()), at(2), at(3, idle()), at(4, idle(), stuck)):
        found.take(view)
    assert finding_lines(found.all(), NOW_MS)[2:] == [
        "  ✖ D03  4.0 to 4.0 s: it is stuck (likely)",
        "  ! D06  1.0 to 1.0 s: 1 of 4 members has no partition",
        "  ! D06  3.0 to 4.0 s: 1 of 4 members has no partition",
    ]


def test_two_findings_of_one_rule_are_two() -> None:
    found = Found()
    for seconds in (1, 2):
        found.take(at(seconds, idle("the first"), idle("the second")))
    assert [(each.first_ms - NOW_MS, each.finding.words) for each in found.all()] == [
        (1000, "the first"),
        (1000, "the second"),
    ]


def test_many_are_counted() -> None:
    found = Found()
    found.take(at(1, *[idle(f"number {number}") for number in range(MOST_LINES + 2)]))
    lines = finding_lines(found.all(), NOW_MS)
    assert len(lines) == MOST_LINES + 3
    assert lines[-1] == "  and 2 more; --json has them all"


def test_nothing_found_is_nothing_said() -> None:
    found = Found()
    found.take(at(1))
    assert finding_lines(found.all(), NOW_MS) == []
    assert finding_documents(found.all()) == []


def test_programs_get_the_whole_finding() -> None:
    found = Found()
    found.take(at(1, idle()))
    found.take(at(2, idle()))
    (document,) = json.loads(json.dumps(finding_documents(found.all())))
    assert (document["rule"], document["name"], document["severity"]) == ("D06", "idle-members", "warning")
    assert document["words"] == "1 of 4 members has no partition"
    assert (document["first_ms"], document["last_ms"]) == (NOW_MS + 1000, NOW_MS + 2000)
    assert document["partitions"] == ["orders-11"]
