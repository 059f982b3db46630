"""The timeline and the log of a page, from what happened."""

from __future__ import annotations

from dataclasses import replace

from tests.web import scenes

from rota.model import TopicPartition
from rota.monitor.cast import Cast
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.told import Cost, Told
from rota.monitor.rebalances.verdicts import Verdict
from rota.monitor.view import GroupView
from rota.timeline.account import accounts
from rota.timeline.events import RebalanceReason
from rota.timeline.timeline import Timeline
from rota.web.documents import history, partition_documents, row
from rota.web.picture import story

AT_MS = 1_790_000_000_000
P0 = TopicPartition("orders", 0)


def test_who_holds_a_partition_without_an_event_has_done_so_since_before() -> None:
    told = story(replace(scenes.orders(AT_MS), events=()), Cast())
    assert [item["spans"] for item in told.timeline["rows"]][::3] == [
        [["pod-4", None, None, ""]],
        [["pod-5", None, None, ""]],
        [["pod-7", None, None, ""]],
        [["pod-8", None, None, ""]],
    ]
    assert told.log == []


def test_what_goes_on_has_no_end() -> None:
    told = story(scenes.orders(AT_MS, rebalancing=True), Cast())
    assert told.timeline["rebalances"][-1]["end_ms"] is None
    gaps = {item["partition"]: item["gaps"] for item in told.timeline["rows"]}
    assert gaps[0] == []
    assert gaps[11][-1] == [
        AT_MS - 6200,
        None,
        "pod-8 took longer than max.poll.interval.ms between two polls",
    ]


def told_of(view: GroupView, **cost: int) -> Told:
    first = accounts(Timeline.of(view.events, "orders").summary())[1]
    verdict = Verdict(RebalanceReason.MEMBER_JOINED, "pod-7-id", Certainty.LIKELY, "it was no member before")
    wait_ms = cost["wait_ms"]
    since_ms = cost.get("since_ms", (first.rebalance.completed_ms or 0) - wait_ms)
    waited = Cost({P0: wait_ms}, False, since_ms={P0: since_ms})
    return Told(first.rebalance.started_ms, (verdict,), first, waited, {"pod-7-id": "pod-7"}, True)


def test_a_wait_that_was_measured_is_a_pause_of_its_partition() -> None:
    """An eager rebalance stops also those whose partitions stay where they are."""
    view = scenes.orders(AT_MS)
    told = story(replace(view, told=(told_of(view, wait_ms=3000),)), Cast())
    done_ms = AT_MS - 186_400
    assert told.timeline["rows"][0]["gaps"] == [[done_ms - 3000, done_ms, "pod-7 joined"]]
    assert [entry["words"] for entry in told.log] == ["pod-7 joined"]
    assert told.log[0]["certainty"] == "likely"
    assert told.log[0]["cost"] == "1 partition waited, 3.0 s together (without an owner)"


def test_a_wait_is_drawn_where_it_was_also_if_the_rebalance_went_on() -> None:
    """Under KIP-848 a partition is read again long before the last member is done."""
    view = scenes.orders(AT_MS)
    began_ms = AT_MS - 200_000
    told = story(replace(view, told=(told_of(view, wait_ms=3000, since_ms=began_ms),)), Cast())
    assert told.timeline["rows"][0]["gaps"] == [[began_ms, began_ms + 3000, "pod-7 joined"]]


def test_a_rebalance_whose_earliest_beginning_is_known_took_at_most_so_long() -> None:
    view = scenes.orders(AT_MS)
    known = told_of(view, wait_ms=20)
    between = (known.until_ms - 2_100, known.until_ms)
    told = story(
        replace(view, told=(replace(known, at_ms=known.until_ms, exact=False, began_between_ms=between),)),
        Cast(),
    )
    assert (told.log[0]["exact"], told.log[0]["most_ms"]) == (False, 2_100)


def test_a_wait_too_short_to_see_is_not_drawn() -> None:
    view = scenes.orders(AT_MS)
    told = story(replace(view, told=(told_of(view, wait_ms=20),)), Cast())
    assert told.timeline["rows"][0]["gaps"] == []


def test_the_same_pause_by_two_witnesses_is_one() -> None:
    view = scenes.orders(AT_MS)
    silent = accounts(Timeline.of(view.events, "orders").summary())[2]
    done_ms = AT_MS - 88_000
    part = TopicPartition("orders", 6)
    cost = Cost({part: 11_000}, True, since_ms={part: done_ms - 11_000})
    told = story(replace(view, told=(Told(silent.rebalance.started_ms, (), silent, cost, {}, True),)), Cast())
    gaps = told.timeline["rows"][6]["gaps"]
    assert [gap[:2] for gap in gaps] == [[done_ms - 11_000, done_ms]]


def test_looks_stay_when_members_come_and_go() -> None:
    cast = Cast()
    before = story(scenes.orders(AT_MS), cast).timeline["looks"]
    after = story(scenes.orders(AT_MS, rebalancing=True), cast).timeline["looks"]
    assert {name: after[name] for name in ("pod-4", "pod-5", "pod-7")} == {
        name: before[name] for name in ("pod-4", "pod-5", "pod-7")
    }


def test_a_long_history_is_thinned_and_keeps_its_ends() -> None:
    points = tuple((AT_MS + 1000 * number, number, 1.0, float("inf")) for number in range(5000))
    view = replace(scenes.orders(AT_MS), history=points)
    found = history(view)
    assert len(found) <= 601
    assert found[0] == [AT_MS, 0, 1.0, None]
    assert found[-1][:2] == [AT_MS + 4_999_000, 4999]
    assert row(view)["trend"][-1] == 4999


def test_what_is_odd_about_a_partition_is_said() -> None:
    view = scenes.orders(AT_MS)
    odd = replace(view.partitions[0], commit=None, lag=None, lost=1200, leaderless=True, beyond_end=3)
    found = partition_documents(replace(view, partitions=(odd,)), str)[0]
    assert found["notes"] == [
        "no broker leads it",
        "1,200 records were deleted before they were read",
        "its commit is 3 beyond the end",
        "nothing committed yet",
    ]
    assert (found["committed"], found["lag"]) == (None, None)
