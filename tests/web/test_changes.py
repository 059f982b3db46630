"""What the form of a reset may ask for, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.shell import words_in_a_shell

from rota.admin.resets import Question
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.reset import Effect, Kind, Plan, Row, Target
from rota.monitor.reset_words import Scope
from rota.web.changes import command_line, question_of, summary

NOW_MS = 1_760_000_000_000


def form(scenario: str, value: str = "", topic: str = "", partitions: str = "") -> dict[str, Any]:
    return {"scenario": scenario, "value": value, "topic": topic, "partitions": partitions}


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (form("to-earliest"), Target(Kind.TO_EARLIEST)),
        (form("to-latest", "ignored"), Target(Kind.TO_LATEST)),
        (form("to-current"), Target(Kind.TO_CURRENT)),
        (form("to-offset", "42"), Target(Kind.TO_OFFSET, 42)),
        (form("shift-by", " -100 "), Target(Kind.SHIFT_BY, -100)),
        (form("by-duration", "PT15M"), Target(Kind.BY_DURATION, NOW_MS - 900_000)),
        (form("by-duration", "2h"), Target(Kind.BY_DURATION, NOW_MS - 7_200_000)),
        (form("by-duration", "P999999999D"), Target(Kind.BY_DURATION, 0)),
        (form("to-datetime", "2025-10-09T08:53:20.000Z"), Target(Kind.TO_DATETIME, NOW_MS)),
    ],
)
def test_each_way_to_reset(asked: dict[str, Any], target: Target) -> None:
    assert question_of(asked, NOW_MS) == Question(target)


@pytest.mark.parametrize(
    ("numbers", "scope"),
    [
        ("", Scope("orders")),
        ("3", Scope("orders", (3,))),
        ("5-7, 0,5", Scope("orders", (0, 5, 6, 7))),
    ],
)
def test_partitions_are_numbers_and_ranges(numbers: str, scope: Scope) -> None:
    asked = form("to-earliest", topic="orders", partitions=numbers)
    assert question_of(asked, NOW_MS).scopes == (scope,)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (form("from-file"), "there is no such way"),
        (form(""), "there is no such way"),
        ({}, "says no 'scenario'"),
        (form("to-offset", "-1"), "'-1' is no offset"),
        (form("to-offset", ""), "'' is no offset"),
        (form("to-offset", "9" * 40), "is no offset"),
        (form("to-offset", str(2**63)), "is no offset"),
        (form("to-offset", "٣"), "is no offset"),
        (form("shift-by", "--1"), "is no number of records"),
        (form("shift-by", "1e3"), "is no number of records"),
        (form("to-datetime", "yesterday"), "'yesterday' is no moment"),
        (form("to-datetime", "2025-10-09T08:53:20"), "has no time zone"),
        (form("by-duration", "-PT1H"), "is no duration"),
        (form("to-earliest", partitions="0"), "choose a topic"),
        (form("to-earliest", topic="t", partitions="0,,1"), "is no partition"),
        (form("to-earliest", topic="t", partitions="7-5"), "is no range of partitions"),
        (form("to-earliest", topic="t", partitions="0-999999"), "is no range of partitions"),
        (form("to-earliest", topic="t", partitions="x" * 900), "is no partition"),
        (form("to-earliest", topic="t" * 2000), "says no 'topic'"),
        (form("to-earliest", topic="t\ud800"), "says no 'topic'"),
    ],
)
def test_what_makes_no_sense_is_one_line(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(RotaError, match=words) as failed:
        question_of(asked, NOW_MS)
    assert "--" not in str(failed.value).replace("'--1'", "")
    assert len(str(failed.value)) < 200


@pytest.mark.parametrize("name", ["orders", "it's", "-x", "a b; rm -rf /", "$(id)", "é\n", "\x1b[2J"])
def test_the_command_line_means_the_same_whatever_the_name(name: str) -> None:
    question = Question(Target(Kind.SHIFT_BY, -5), (Scope(name, (0, 2)),))
    where = ("--bootstrap-server", "b:9092", "--command-config", "my files/it's.properties")
    line = command_line(name, question, where)
    assert line.isprintable()
    assert words_in_a_shell(line) == [
        "rota", "groups", "reset-offsets", f"--group={name}", f"--topic={name}:0,2", "--shift-by=-5",
        "--bootstrap-server", "b:9092", "--command-config", "my files/it's.properties",
    ]  # fmt: skip


def test_the_command_line_of_a_moment_is_that_moment() -> None:
    line = command_line("g", Question(Target(Kind.BY_DURATION, NOW_MS)), ("-b", "b:1"))
    assert "--all-topics --to-datetime=2025-10-09T08:53:20.000Z" in line


def test_a_plan_in_a_sentence() -> None:
    part = TopicPartition("orders", 0)
    rows = (
        Row(part, Commit(9), Commit(8), Effect.AGAIN, 1),
        Row(part, Commit(9), Commit(12), Effect.SKIPPED, 3),
        Row(part, None, None, Effect.IMPOSSIBLE, problem="it has no leader"),
    )
    assert summary(Plan("g", None, rows)) == (
        "3 partitions: 1 record is read again, 3 records are skipped, never to be read, "
        "1 partition cannot be reset."
    )
    assert summary(Plan("g", None, (Row(part, Commit(9), Commit(9), Effect.UNCHANGED),))) == (
        "1 partition: nothing is read again or skipped."
    )
