"""Names and looks of members, which stay; views brought up to date between looks; numbers in few letters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.top.stage import group, member, partition, tp, whole

from rota.monitor.cast import Cast, natural
from rota.monitor.facts import MemberFacts
from rota.monitor.present import still_held, with_facts
from rota.monitor.view import Level, Method, Quality, TimeLag
from rota.monitor.words import age, count, per_second, sparkline, time_text
from rota.timeline.events import MemberJoined
from rota.timeline.look import Palette, looks


def _twin(number: int) -> MemberFacts:
    return MemberFacts(f"app-{number}", "app", "/10.0.0.1")


def test_letters_follow_names_in_natural_order_and_stay_with_them() -> None:
    cast = Cast()
    cast.take(whole("g", [member(10), member(2)], ()))
    assert [cast.look(member(number).member_id).sign for number in (2, 10)] == ["1", "2"]
    cast.take(whole("g", [member(1), member(10)], ()))
    assert [cast.look(member(number).member_id).sign for number in (1, 10)] == ["3", "2"]
    back = replace(member(2), member_id="pod-2-anew")
    cast.take(whole("g", [member(1), member(10), back], ()))
    assert (cast.name("pod-2-anew"), cast.look("pod-2-anew").sign) == ("pod-2", "1")


def test_two_members_with_one_client_id_are_told_apart() -> None:
    cast = Cast()
    cast.take(whole("g", [_twin(1), _twin(2)], ()))
    assert [cast.name("app-1"), cast.name("app-2")] == ["app", "app-2"]


def test_what_happened_may_be_told_after_who_is_there() -> None:
    cast = Cast()
    cast.take(whole("g", [replace(member(3), member_id="new")], ()))
    joined = [MemberJoined(at, "g", who, "pod-3", "/h") for at, who in ((1, "old"), (9, "new"))]
    cast.take(whole("g", [replace(member(3), member_id="new")], (), events=tuple(joined)))
    assert cast.name("old") == "pod-3", "a member of before is called as it was then"


def test_handovers_remember_who_had_it_before_nobody_did() -> None:
    cast = Cast()
    one, two = member(1, tp(0)), member(2, tp(0))
    for at_ms, people in ((1, [one]), (2, [replace(one, assignment=())]), (3, [two])):
        cast.take(replace(whole("g", people, ()), at_ms=at_ms))
    assert cast.handovers[tp(0)] == (3, "pod-1", "pod-2")


def test_looks_of_who_is_gone_for_longest_are_given_to_others() -> None:
    palette = Palette()
    palette.take(f"c{number}" for number in range(14))
    palette.take(["c5"])
    palette.take(["c5", "new"])
    assert palette.of("new") == looks(f"c{number}" for number in range(14))["c0"]
    assert palette.of("c5").sign == "6"


def test_numbers_in_a_name_sort_as_numbers() -> None:
    assert sorted(["pod-10", "pod-2", "pod", "a"], key=natural) == ["a", "pod", "pod-2", "pod-10"]


def test_in_a_classic_rebalance_members_keep_what_they_had() -> None:
    view = group(members=2, partitions=4)
    held = {each.member_id: each.assignment for each in view.facts.members}
    bare = tuple(replace(each, assignment=()) for each in view.facts.members)
    facts = replace(view.facts, state="PreparingRebalance", members=bare)
    assert still_held(facts, held).owners().keys() == view.facts.owners().keys()
    modern = replace(facts, type="Consumer")
    assert still_held(modern, held) is modern


def test_new_facts_move_partitions_and_sums() -> None:
    view = group(members=2, partitions=4, lag=10)
    mover = replace(view.facts.members[0], assignment=tuple(tp(number) for number in range(3)))
    other = replace(view.facts.members[1], assignment=(tp(3), tp(9)))
    now = with_facts(view, replace(view.facts, members=(mover, other)))
    assert [(each.totals.lag, each.totals.partitions) for each in now.members] == [(30, 3), (10, 2)]
    assert now.members[1].totals.uncommitted == 1
    assert [part.partition.partition for part in now.partitions] == [0, 1, 2, 3, 9]
    assert now.partitions[2].member is mover
    assert with_facts(view, view.facts) is view


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0"), (99_999, "99,999"), (100_000, "100k"), (999_600, "1.0M"), (12_345_678, "12.3M")],
)
def test_counts_have_seven_letters_at_most(number: int | None, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4s"), (9.97, "10s"), (59.6, "1m00s"), (192, "3m12s"), (7_500, "2h05m"), (1_047_600, "12d03h")],
)
def test_ages_have_six_letters_at_most(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_time_lag_says_how_good_it_is() -> None:
    lag = TimeLag(14.0, None, Method.RECORD, Quality.AT_LEAST)
    assert time_text(lag) == "≥14s"
    assert time_text(replace(lag, quality=Quality.ABOUT)) == "~14s"
    assert time_text(replace(lag, quality=Quality.CLOCK)) == "?"
    assert time_text(TimeLag(None)) == "-"
    assert time_text(partition(tp(0), None, 5, 5, Level.CAUGHT_UP).time) == "0s"


def test_rates_and_bars() -> None:
    assert [per_second(rate) for rate in (None, 0.0, 3.21, 410.4, 123_456.0)] == [
        "-",
        "0",
        "3.2",
        "410",
        "123k",
    ]
    assert sparkline([0, 50, None, 100], 10) == "▁▅ █"
    assert sparkline([0, 0], 10) == "▁▁"
    assert sparkline(list(range(8)), 4) == "▂▄▆█"
