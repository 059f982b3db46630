"""``Live`` and the doctor in it, where a part of the cluster is away, and where Rota itself makes a mistake.

No broker is asked: nobody listens at the address, and looks are what a test says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.kafka.ports import wait_until
from tests.monitor.rebalances.test_told import killed
from tests.monitor.snapshots import START_MS, look

from rota.admin import Admin
from rota.model import RotaError
from rota.monitor.facts import GroupFacts, GroupListing, Snapshot
from rota.monitor.view import GroupView
from rota.timeline.events import MemberJoined, MemberLeft
from rota.watching import live as module
from rota.watching import looking
from rota.watching.evidence import Checkup
from rota.watching.live import Live, _Examined
from rota.watching.offsets_topic import UnreadableError

HALF = """
group a classic Stable range
  one: a-0
  two:
a-0 1/3
"""
"""A group in which a member has nothing: D06 tells it."""
AWAY = HALF + "fail b the coordinator is away\n"
NONE_AWAY = HALF + "group b\nb-0 1/1\n"


class Script:
    """What looks find: the text or the error that stands here, later by a second and ten ({}) each time."""

    def __init__(self, text: str | RotaError) -> None:
        self.now: str | RotaError = text
        self.number = 0
        self.goes_on = True
        self.begin_ms = START_MS
        self.took_ms = 0.0

    def scan(self, *_: object, **__: object) -> Snapshot:
        self.number += self.goes_on
        if isinstance(self.now, RotaError):
            raise self.now
        return replace(
            look(self.now.format(10 * self.number), self.begin_ms + 1_000 * self.number), took_ms=self.took_ms
        )


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    made = Script(NONE_AWAY)
    monkeypatch.setattr(looking, "scan", made.scan)
    monkeypatch.setattr(looking.Looking, "_learn", lambda *_: None)
    return made


@pytest.fixture
def admin() -> Iterator[Admin]:
    with Admin("127.0.0.1:1") as nobody:
        yield nobody


@pytest.fixture
def examined(admin: Admin, script: Script, monkeypatch: pytest.MonkeyPatch) -> _Examined:
    monkeypatch.setattr("rota.watching.around.Around.prepare", lambda *_: None)
    return _Examined(Checkup(admin, topic="nobody may read it"), 10.0, lambda: 6.0 * script.number)


def rules(examined: _Examined) -> dict[str, list[str]]:
    return {name: [each.rule for each in found] for name, found in examined.findings.items()}


# The doctor


def test_groups_whose_broker_answers_are_examined_while_another_is_away(
    examined: _Examined, script: Script
) -> None:
    """A look every six seconds, and the doctor every ten."""
    script.now = AWAY
    for _ in range(2):
        assert examined.look().failure is not None
    assert rules(examined)["a"] == ["D06"]
    assert "b" in rules(examined)


def test_what_nobody_can_see_any_more_is_not_told_as_if_it_were_so(
    examined: _Examined, script: Script
) -> None:
    """Nobody answers: the findings go, not at once, and are there again with the first look that finds something."""
    for _ in range(2):
        examined.look()
    assert rules(examined)["a"] == ["D06"]
    script.now = RotaError("nobody answers")
    examined.look()
    assert rules(examined)["a"] == ["D06"]
    examined.look()
    assert rules(examined) == {}
    script.now = AWAY
    examined.look()
    assert rules(examined)["a"] == ["D06"]


def test_a_doctor_that_fails_costs_no_look(
    examined: _Examined, script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> dict[str, Any]:
        raise KeyError("x")

    with monkeypatch.context() as patch:
        patch.setattr(Checkup, "diagnoses", broken)
        for _ in range(6):
            assert examined.look().views.keys() == {"a", "b"}
    assert rules(examined) == {}
    assert "the doctor failed: KeyError('x')" in str(examined.failure)
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR] == [
        "the doctor failed"
    ]
    for _ in range(2):
        examined.look()
    assert examined.failure is None


# Views


@pytest.fixture
def watching(admin: Admin, script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Live]]:
    made: list[Live] = []
    monkeypatch.setattr(Admin, "list_groups", lambda *_, **__: ([], None))

    def begin() -> Live:
        made.append(Live(admin, interval_s=0.05, pulse_s=0.05))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def test_a_pulse_that_fails_ends_nothing(
    watching: Callable[[], Live], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and as long as it is so."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("an answer that nobody expected")

    with monkeypatch.context() as patch:
        patch.setattr(Admin, "list_groups", broken)
        live = watching()
        wait_until("views", lambda: live.views().keys() == {"a", "b"})
        number = live.views()["a"].at_ms
        wait_until("later views", lambda: live.views()["a"].at_ms > number + 5_000)
        assert "an answer that nobody expected" in str(live.failure)
    wait_until("all to be well", lambda: live.failure is None)
    said = [each.getMessage() for each in caplog.records if each.name == module.__name__]
    assert said == ["asking who rebalances failed"]


def test_a_group_of_which_no_view_can_be_made_costs_the_others_nothing(
    watching: Callable[[], Live], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Live._completed

    def broken(self: Live, facts: GroupFacts) -> GroupFacts:
        if facts.group == "a":
            raise KeyError("who")
        return real(self, facts)

    with monkeypatch.context() as patch:
        patch.setattr(Live, "_completed", broken)
        live = watching()
        wait_until("views", lambda: live.views().keys() == {"a", "b"})
        number = live.views()["b"].at_ms
        wait_until("later views", lambda: live.views()["b"].at_ms > number + 5_000)
        assert live.views()["a"].totals.lag == 2
        assert live.views()["a"].at_ms > number
        assert "making the view of group a failed: KeyError('who')" in str(live.failure)
    wait_until("all to be well", lambda: live.failure is None)
    said = [each.getMessage() for each in caplog.records if each.name == module.__name__]
    assert said == ["making the view of group a failed"]


def test_news_are_asked_for_while_another_group_is_away(
    watching: Callable[[], Live], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something was recorded of a group: it is described at once, though the last look did not find all groups."""
    asked: list[str] = []

    def describe(_: Admin, names: list[str]) -> dict[str, GroupFacts]:
        asked.extend(names)
        return {}

    monkeypatch.setattr(Admin, "describe_groups", describe)
    live = watching()
    wait_until("views", lambda: live.views().keys() == {"a", "b"})
    script.now = AWAY
    wait_until("the failure", lambda: live.failure is not None)
    live._topic.failure = None
    monkeypatch.setattr(type(live._topic), "is_caught_up", True)
    monkeypatch.setattr(type(live._topic), "versions", lambda _: {"a": 7, "b": 7})
    wait_until("the question", lambda: bool(asked))
    assert set(asked) == {"a"}


# Looks, and what was asked meanwhile

HOUR_MS = 3_600_000
LATER = HALF.replace("two:", "two:\n  three:")


def listing(group: str) -> GroupListing:
    return GroupListing(group, "Classic", "PreparingRebalance")


def after(live: Live, at_ms: int) -> GroupView:
    """The view of a later look."""
    wait_until("another look", lambda: live.views()["a"].at_ms > at_ms)
    return live.views()["a"]


def test_a_slow_look_does_not_hide_what_was_asked_while_it_went_on(
    watching: Callable[[], Live], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It describes a group as it was at its beginning: who came since neither vanishes nor is told to have left."""
    script.begin_ms, script.took_ms = time.time_ns() // 1_000_000 + HOUR_MS, 2.0 * HOUR_MS
    found: list[GroupListing] = []
    monkeypatch.setattr(Admin, "list_groups", lambda *_, **__: (list(found), None))
    monkeypatch.setattr(Admin, "describe_groups", lambda *_: {"a": look(LATER).groups["a"]})
    live = watching()
    live._topic.failure = UnreadableError("nobody may read it")
    wait_until("a look", lambda: "a" in live.views())
    found.append(listing("a"))
    wait_until("who came", lambda: len(live.views()["a"].members) == 3)
    shown = [len(after(live, live.views()["a"].at_ms).members) for _ in range(20)]
    assert shown == [3] * 20
    changes = [event for event in live.views()["a"].events if isinstance(event, MemberJoined | MemberLeft)]
    assert [(type(event), event.member) for event in changes[2:]] == [(MemberJoined, "three-id")]


def test_a_group_that_no_look_finds_is_forgotten(
    watching: Callable[[], Live], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came and went between two looks, and somebody asked about it."""
    script.begin_ms = time.time_ns() // 1_000_000 + HOUR_MS
    found = [listing("brief")]
    asked: list[str] = []

    def describe(_: Admin, names: list[str]) -> dict[str, GroupFacts]:
        asked.extend(names)
        found.clear()
        return {"brief": GroupFacts("brief", "Classic", "PreparingRebalance")}

    monkeypatch.setattr(Admin, "list_groups", lambda *_, **__: (list(found), None))
    monkeypatch.setattr(Admin, "describe_groups", describe)
    live = watching()
    wait_until("the question", lambda: bool(asked))
    wait_until("it to be forgotten", lambda: not live._fresh and not live._busy)


def test_what_a_rebalance_cost_is_told_in_records_where_somebody_looks(
    watching: Callable[[], Live], script: Script
) -> None:
    """Known with the first look after it; nothing else is news then."""
    script.now = "group g classic Stable range\na:\norders-0 9/{0}\norders-1 9/{0}"
    script.goes_on = False
    live = watching()
    live._topic._reader = killed().reader
    live.look_closely(["g"])
    wait_until("the account", lambda: "g" in live.views() and live.views()["g"].told)
    number = live._looked
    wait_until("the first ends", lambda: live._looked > number)
    assert live.views()["g"].told[-1].cost.records is None
    script.goes_on = True
    wait_until("the cost", lambda: live.views()["g"].told[-1].cost.records is not None)
    assert (
        live.views()["g"].told[-1].cost.records == 62
    )  # from its last sign of life until others had its partition
