"""Keys and screens, on views made by hand."""

from __future__ import annotations

import pytest
from tests.top.driver import Seat, play
from tests.top.stage import Stage, finding, group, member, rebalancing, story, told, tp, whole

from rota.monitor.view import Level
from rota.top.text_screen import help_lines


def _three() -> Stage:
    return Stage(
        told(group(events=story(), findings=(finding(),), level=Level.GROWING)),
        group(
            "mail", members=6, partitions=10, level=Level.VERY_LARGE, lag=8800, topic="mails", kind="Consumer"
        ),
        group("audit", members=0, partitions=3, state="Empty", lag=0, level=Level.CAUGHT_UP, topic="audit"),
    )


def test_from_all_groups_to_one_to_a_member_and_back() -> None:
    async def act(seat: Seat) -> None:
        await seat.see("orders-group", "mail", "audit", "3 groups")
        await seat.press("enter")
        await seat.see("m Members 3", "pod-1", "coordinator 2")
        await seat.press("j", "enter")
        await seat.see("pod-2", "in orders-group", "orders-4", "orders-7")
        await seat.press("escape")
        await seat.see("m Members 3")
        await seat.press("escape")
        await seat.see("3 groups", "mail")

    play(_three(), act)


def test_what_is_in_trouble_comes_first() -> None:
    async def act(seat: Seat) -> None:
        text = await seat.see("orders-group", "mail", "audit")
        assert text.index("orders-group") < text.index("mail") < text.index("audit")
        await seat.press("N")
        text = await seat.see("GROUP↓")
        assert text.index("audit") < text.index("mail") < text.index("orders-group")
        await seat.press("N")
        text = await seat.see("GROUP↑")
        assert text.index("orders-group") < text.index("mail") < text.index("audit")

    play(_three(), act)


def test_a_filter_counts_while_it_is_typed_and_esc_takes_it_back() -> None:
    async def act(seat: Seat) -> None:
        await seat.see("orders-group", "mail")
        await seat.press("slash")
        await seat.type("mai")
        await seat.miss("orders-group", "audit")
        await seat.press("enter")
        await seat.see("filter mai", "1 group")
        await seat.press("escape")
        await seat.see("orders-group", "audit", "3 groups")

    play(_three(), act)


def test_a_rebalance_is_shown_with_its_cause_and_clocks() -> None:
    stage = _three()

    async def act(seat: Seat) -> None:
        await seat.see("3 groups")
        stage.show(rebalancing(group(events=story()), 9, 10, 11))
        await seat.see("Preparing 1.8s", "1 rebalancing")
        await seat.press("enter")
        text = await seat.see("REBALANCING 1.8s", "pod-4 was silent for its whole session timeout", "3 of 12")
        assert "waiting for pod-2" in text
        assert "1.8 1.8 1.8" in text

    play(stage, act)


def test_read_only_unless_allowed() -> None:
    async def act(seat: Seat) -> None:
        await seat.see("orders-group")
        await seat.press("ctrl+d")
        await seat.see("Read-only")
        await seat.press("enter", "r")
        await seat.see("Read-only")

    play(_three(), act)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_help_has_the_keys_that_do_something(allowed: bool) -> None:
    text = "\n".join(line.plain for line in help_lines(allowed))
    assert ("ctrl+d" in text) is allowed
    assert ("  r  " in text) is allowed
    assert ("Read-only" in text) is not allowed


def test_a_look_that_found_not_all_is_said_and_what_it_found_is_shown() -> None:
    stage = _three()

    async def act(seat: Seat) -> None:
        await seat.see("3 groups")
        stage.fail("broker 2 does not list its groups", found=[group("mail")])
        await seat.see("NOT EVERYTHING IS SEEN: broker 2 does not list its groups", "mail")
        await seat.miss("THE CLUSTER IS AWAY", "orders-group")
        stage.show(group("mail"))
        await seat.miss("NOT EVERYTHING IS SEEN")

    play(stage, act)


def test_a_cluster_that_is_away_is_said_with_the_age_of_the_screen_and_comes_back() -> None:
    stage = _three()

    async def act(seat: Seat) -> None:
        await seat.see("3 groups")
        stage.fail("nobody answers at 127.0.0.1:9092")
        await seat.see("THE CLUSTER IS AWAY", "old: nobody answers", "orders-group")
        stage.show(group("mail"))
        await seat.miss("THE CLUSTER IS AWAY", "orders-group")

    play(stage, act)


def test_the_last_rebalance_is_told_with_its_certainty() -> None:
    async def act(seat: Seat) -> None:
        await seat.see("Last rebalance 40s ago", "(likely)", "took 1.8 s")
        await seat.press("e", "d")
        await seat.see("Rebalances", "nothing was heard of it for 6.0 s", "moved: orders")
        assert stage.closely == {"orders-group"}

    stage = _three()
    play(stage, act, group="orders-group")


def test_owners_keep_their_letters_however_often_a_group_is_opened() -> None:
    stage = _three()

    async def act(seat: Seat) -> None:
        await seat.see("╱2╱  pod-2", "═3═  pod-3")
        await seat.press("escape")
        await seat.see("3 groups")
        stage.show(whole("orders-group", [member(3, tp(0)), member(9, tp(1))], ()))
        await seat.see("1 group,")
        await seat.press("enter")
        await seat.see("═3═  pod-3", "╲4╲  pod-9")

    play(stage, act, group="orders-group")


def test_what_is_pasted_behind_the_colon_belongs_to_the_command() -> None:
    async def act(seat: Seat) -> None:
        await seat.see("orders-group", "mail")
        for key in (":", *"group mail", "\r"):
            seat.type_at_once(key)
        await seat.see("mails", "m Members 6")
        await seat.press("slash")
        await seat.type("pod-1/:")
        await seat.see("m Members 6, 0 with 'pod-1/:'", "None of them matches")

    play(_three(), act)
