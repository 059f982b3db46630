"""Lag in records and in time: each pitfall that monitors fall into, by name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.monitor.snapshots import START_MS, look, looks, tp

from rota.model import ErrorCode, KafkaError, RotaError, TopicPartition
from rota.monitor.facts import BatchFacts, Snapshot
from rota.monitor.looks import Looks, views
from rota.monitor.view import GroupView, Level, Method, PartitionView, Quality, TimeLag

A_MINUTE_AGO = START_MS - 60_000


def header(
    first: int,
    last: int,
    at_ms: int = A_MINUTE_AGO,
    *,
    max_ms: int | None = None,
    log_append: bool = False,
    control: bool = False,
) -> BatchFacts:
    """A batch's header."""
    records = last - first + 1
    return BatchFacts(
        first, last, at_ms, at_ms if max_ms is None else max_ms, log_append, control, records, 100
    )


def learnt(
    looks_: Looks, snapshot: Snapshot, batches: Mapping[TopicPartition, list[BatchFacts]]
) -> Mapping[str, GroupView]:
    """The views after a look at a cluster with these batches."""
    for _ in range(20):
        asked = looks_.wanted(snapshot, 100)
        if not asked:
            break
        found = {
            part: next((each for each in batches.get(part, ()) if each.last_offset >= offset), None)
            for part, offset in asked.items()
        }
        looks_.told(snapshot, asked, found)
        if not any(found.values()):
            break
    return looks_.look(snapshot)


def only(found: Mapping[str, GroupView], group: str = "orders") -> PartitionView:
    (view,) = found[group].partitions
    return view


ONE = "group orders\n  pod-1: orders-0\n"


def test_lag_is_the_end_less_the_commit() -> None:
    view = only(views([look(ONE + "orders-0 40/100")]))
    assert (view.lag, view.lost, view.beyond_end, view.at_most) == (60, 0, 0, False)
    assert view.member is not None
    assert view.member.client_id == "pod-1"


def test_a_commit_made_after_the_end_was_asked_for_is_no_negative_lag() -> None:
    view = only(views([look(ONE + "orders-0 105/100")]))
    assert (view.lag, view.beyond_end) == (0, 0)


def test_a_commit_is_beyond_the_end_when_two_looks_say_so() -> None:
    first, second, third = looks(ONE + "orders-0 105/100", "orders-0 105/100", "orders-0 105/120")
    assert only(views([first, second])).beyond_end == 5
    assert only(views([first, second])).lag == 0
    assert only(views([first, second, third])).beyond_end == 0


def test_a_commit_beyond_an_end_that_catches_up_was_the_end_s_fault() -> None:
    first, second = looks(ONE + "orders-0 105/100", "orders-0 112/110")
    assert only(views([first, second])).beyond_end == 0


def test_a_partition_without_a_commit_is_in_no_sum_and_counted() -> None:
    found = views([look("group orders\n  pod-1: orders-0 orders-1\norders-0 40/100\norders-1 -/7000")])[
        "orders"
    ]
    assert [view.lag for view in found.partitions] == [60, None]
    assert (found.totals.lag, found.totals.uncommitted, found.totals.unknown) == (60, 1, 0)
    assert found.partitions[1].time == TimeLag(None)
    assert found.members[0].totals.uncommitted == 1


def test_a_partition_that_nobody_leads_has_no_lag_and_is_counted() -> None:
    found = views([look("group orders\norders-0 40/?  leaderless\norders-1 10/20")])["orders"]
    assert [(view.lag, view.leaderless) for view in found.partitions] == [(None, True), (10, False)]
    assert (found.totals.lag, found.totals.unknown, found.totals.uncommitted) == (10, 1, 0)


def test_readers_of_committed_records_are_held_up_by_an_open_transaction() -> None:
    view = only(views([look(ONE + "orders-0 80/100 stable=90")]))
    assert (view.lag, view.blocked_by_transaction, view.at_most) == (20, 10, True)
    assert only(views([look(ONE + "orders-0 95/100 stable=90")])).blocked_by_transaction == 5


def test_when_only_markers_of_transactions_are_left_nothing_is_left() -> None:
    snapshot = look(ONE + "orders-0 98/100")
    markers = {tp("orders-0"): [header(98, 98, control=True), header(99, 99, control=True)]}
    view = only(learnt(Looks(), snapshot, markers))
    assert (view.lag, view.time) == (0, TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT))


def test_a_marker_before_records_is_no_record_and_its_time_is_not_theirs() -> None:
    snapshot = look(ONE + "orders-0 97/100")
    batches = [header(97, 97, START_MS - 500_000, control=True), header(98, 99, A_MINUTE_AGO)]
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): batches}))
    assert (view.lag, view.at_most) == (2, True)
    assert (view.time.seconds, view.time.quality) == (60.0, Quality.EXACT)


def test_of_a_compacted_topic_lag_is_an_upper_bound() -> None:
    snapshot = look(ONE + "orders-0 40/100\ntopic orders compact")
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): [header(70, 99)]}))
    assert (view.lag, view.at_most) == (60, True)
    assert (view.time.seconds, view.time.quality) == (60.0, Quality.AT_LEAST)


def test_what_retention_took_before_it_was_read_is_lost_and_not_left() -> None:
    snapshot = look(ONE + "orders-0 40/100 start=70")
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): [header(70, 99)]}))
    assert (view.lost, view.lag) == (30, 30)
    assert (view.time.seconds, view.time.quality) == (60.0, Quality.AT_LEAST)


def test_a_group_behind_on_an_idle_topic_has_the_age_of_its_first_record() -> None:
    first, second = looks(ONE + "orders-0 40/100", "", every_ms=30_000)
    batches = {tp("orders-0"): [header(30, 49, A_MINUTE_AGO), header(50, 99, A_MINUTE_AGO + 5_000)]}
    remembering = Looks()
    learnt(remembering, first, batches)
    assert remembering.wanted(second, 100) == {}, "the commit stayed: nobody is asked again"
    view = only(remembering.look(second))
    assert view.time == TimeLag(90.0, 5.0, Method.RECORD, Quality.EXACT)


def test_who_is_caught_up_is_not_late_however_old_the_last_record_is() -> None:
    remembering = Looks()
    snapshot = look(ONE + "orders-0 100/100")
    assert remembering.wanted(snapshot, 100) == {}
    view = only(remembering.look(snapshot))
    assert view.time == TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT)


def test_an_empty_partition_has_no_lag() -> None:
    view = only(views([look(ONE + "orders-0 70/70 start=70")]))
    assert (view.lag, view.time.seconds) == (0, 0.0)


def test_a_deleted_group_is_gone_at_once() -> None:
    text = "group a\na-0 1/2\ngroup b\nb-0 1/2"
    remembering = Looks()
    assert set(remembering.look(look(text))) == {"a", "b"}
    assert set(remembering.look(look("group a\na-0 1/2", START_MS + 1_000))) == {"a"}
    dead = look("group a Classic Dead", START_MS + 2_000)
    assert remembering.look(dead) == {}


def test_a_group_that_does_not_answer_stays_as_it_was_seen() -> None:
    remembering = Looks()
    remembering.look(look("group a\na-0 1/2\ngroup b\nb-0 1/2"))
    later = remembering.look(look("group a\na-0 2/2\nfail b its coordinator is away", START_MS + 1_000))
    assert {name: view.at_ms for name, view in later.items()} == {"a": START_MS + 1_000, "b": START_MS}
    nobody = Snapshot(START_MS + 2_000, {}, {}, {}, failures={"": RotaError("broker 2 does not answer")})
    assert set(remembering.look(nobody)) == {"a", "b"}


@pytest.mark.parametrize("at_ms", [-1, START_MS + 6_000])
def test_a_record_without_a_time_or_with_one_of_the_future_tells_no_age(at_ms: int) -> None:
    snapshot = look(ONE + "orders-0 40/100")
    batches = [header(30, 49, at_ms), header(50, 99, START_MS + 16_000)]
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): batches}))
    assert (view.time.seconds, view.time.quality) == (None, Quality.CLOCK)
    assert view.time.event_delay_s == (None if at_ms < 0 else 10.0)


def test_a_clock_that_is_a_little_ahead_gives_no_negative_age() -> None:
    snapshot = look(ONE + "orders-0 40/100")
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): [header(40, 99, START_MS + 4_000)]}))
    assert (view.time.seconds, view.time.quality) == (0.0, Quality.EXACT)


def test_within_a_batch_times_are_taken_to_go_evenly() -> None:
    snapshot = look(ONE + "orders-0 45/100")
    batch = header(40, 50, START_MS - 20_000, max_ms=START_MS - 10_000)
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): [batch, header(51, 99)]}))
    assert (view.time.seconds, view.time.quality) == (15.0, Quality.ABOUT)


def test_the_broker_s_clock_is_exact_for_a_whole_batch() -> None:
    snapshot = look(ONE + "orders-0 45/100")
    batch = header(40, 99, START_MS - 99_000, max_ms=START_MS - 10_000, log_append=True)
    view = only(learnt(Looks(), snapshot, {tp("orders-0"): [batch]}))
    assert (view.time.seconds, view.time.quality) == (10.0, Quality.EXACT)


def test_a_group_without_members_that_assigns_by_hand_has_its_lag() -> None:
    found = views([look("group audit Classic Empty\norders-0 40/100\norders-1 100/100")])["audit"]
    assert (found.totals.lag, found.totals.partitions, found.members) == (60, 2, ())
    assert [view.member for view in found.partitions] == [None, None]


def test_assigned_and_committed_partitions_are_all_there() -> None:
    found = views([look("group g\n  a: orders-1\norders-0 1/2\norders-1 -/5\norders-2 7/7")])["g"]
    assert [str(view.partition) for view in found.partitions] == ["orders-0", "orders-1", "orders-2"]


def test_a_commit_that_moves_within_a_batch_asks_nobody() -> None:
    first, second, third = looks(ONE + "orders-0 40/100", "orders-0 48/100", "orders-0 50/100")
    remembering = Looks()
    learnt(remembering, first, {tp("orders-0"): [header(40, 49), header(90, 99)]})
    assert remembering.wanted(second, 100) == {}
    assert remembering.wanted(third, 100) == {tp("orders-0"): 50}


def test_the_newest_record_is_looked_up_once_a_minute_where_records_keep_coming() -> None:
    first, second, third = looks(
        ONE + "orders-0 40/100", "orders-0 40/150", "orders-0 40/200", every_ms=30_000
    )
    remembering = Looks()
    part = tp("orders-0")
    learnt(remembering, first, {part: [header(40, 49), header(99, 99, A_MINUTE_AGO + 9_000)]})
    assert remembering.wanted(second, 100) == {}
    assert only(remembering.look(second)).time.event_delay_s == 9.0
    assert remembering.wanted(third, 100) == {part: 199}
    found = learnt(remembering, third, {part: [header(199, 199, A_MINUTE_AGO + 70_000)]})
    assert only(found).time.event_delay_s == 70.0


def test_a_topic_made_anew_is_not_its_namesake() -> None:
    old, new = looks("group orders\ntopic orders id=old\norders-0 40/100", "topic orders id=new")
    remembering = Looks()
    learnt(remembering, old, {tp("orders-0"): [header(0, 99)]})
    assert remembering.wanted(new, 100) == {tp("orders-0"): 40}


def test_questions_stay_within_the_budget_and_everybody_has_a_turn() -> None:
    text = "\n".join(f"group g{n}\nt{n}-0 0/9\nt{n}-1 0/9" for n in range(4))
    remembering = Looks()
    asked: list[TopicPartition] = []
    for snapshot in looks(text, text, text):
        wanted = remembering.wanted(snapshot, 3)
        assert len(wanted) <= 3
        asked += wanted
        remembering.told(snapshot, wanted, {part: header(0, 8) for part in wanted})
    assert sorted(asked) == sorted(tp(f"t{n}-{part}") for n in range(4) for part in range(2))


def test_groups_that_move_at_every_look_do_not_keep_others_from_their_turn() -> None:
    asked: set[str] = set()
    remembering = Looks()
    for number in range(6):
        text = "\n".join(f"group g{n}\nt{n}-0 {number}/99" for n in range(6))
        snapshot = look(text, START_MS + number * 1_000)
        wanted = remembering.wanted(snapshot, 2)
        asked |= {part.topic for part in wanted}
        remembering.told(snapshot, wanted, {part: header(at, at) for part, at in wanted.items()})
    assert asked == {f"t{n}" for n in range(6)}


def test_without_a_header_the_looks_so_far_tell_how_late_it_is_at_least() -> None:
    found = looks(ONE + "orders-0 50/40", "orders-0 50/60", "orders-0 50/80", every_ms=20_000)
    assert only(views(found[:2])).time == TimeLag(10.0, None, Method.HISTORY, Quality.ABOUT)
    assert only(views(found)).time == TimeLag(30.0, None, Method.HISTORY, Quality.ABOUT)
    assert only(views(found[1:])).time == TimeLag(20.0, None, Method.HISTORY, Quality.AT_LEAST)


def test_a_partition_that_may_not_be_read_is_let_alone_and_searched() -> None:
    first, second = looks(ONE + "orders-0 40/100", "", every_ms=1_000)
    remembering = Looks()
    part = tp("orders-0")
    assert remembering.wanted_times(first, 100) == {}
    refused = RotaError(str(KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)))
    remembering.told(first, remembering.wanted(first, 100), {part: refused})
    assert remembering.wanted(first, 100) == {}
    times = {offset: A_MINUTE_AGO + offset * 500 for offset in range(100)}
    rounds = 0
    while asked := remembering.wanted_times(first, 100):
        at = next(((offset, ms) for offset, ms in times.items() if ms >= asked[part]), None)
        remembering.told_times(first, asked, {part: at})
        rounds += 1
    assert rounds <= 14
    time = only(remembering.look(second)).time
    assert time.method is Method.SEARCH
    assert time.seconds == pytest.approx((START_MS + 1_000 - times[40]) / 1_000, abs=1.0)


def test_groups_of_one_look_share_what_is_known_of_a_partition() -> None:
    snapshot = look("group a\norders-0 40/100\ngroup b\norders-0 45/100")
    remembering = Looks()
    found = learnt(remembering, snapshot, {tp("orders-0"): [header(40, 49), header(50, 99)]})
    assert {name: only(found, name).time.seconds for name in found} == {"a": 60.0, "b": 60.0}


def test_the_latest_partition_is_how_late_a_group_is() -> None:
    snapshot = look("group g\n  a: t-0\n  b: t-1\nt-0 0/9\nt-1 0/500\nt-2 9/9")
    batches = {tp("t-0"): [header(0, 8, START_MS - 90_000)], tp("t-1"): [header(0, 499, START_MS - 5_000)]}
    found = learnt(Looks(), snapshot, batches)["g"]
    assert (found.totals.lag, found.totals.time.seconds, found.totals.worst) == (509, 90.0, tp("t-1"))
    assert {each.member.client_id: each.totals.time.seconds for each in found.members} == {
        "a": 90.0,
        "b": 5.0,
    }
    assert found.topics["t"] == found.totals


def test_where_one_partition_s_time_is_unknown_the_group_is_at_least_so_late() -> None:
    snapshot = look("group g\nt-0 0/9\nt-1 0/500")
    found = learnt(Looks(), snapshot, {tp("t-0"): [header(0, 8)]})["g"]
    assert (found.totals.time.seconds, found.totals.time.quality) == (60.0, Quality.AT_LEAST)


def test_offsets_set_back_begin_a_new_window() -> None:
    found = looks(ONE + "orders-0 90/100", "orders-0 100/110", "orders-0 20/120", "orders-0 30/130")
    view = only(views(found))
    assert (view.rates.consumed_per_s, view.rates.produced_per_s) == (1.0, 1.0)


def test_rates_are_those_of_the_window() -> None:
    found = views(looks(ONE + "orders-0 0/100", "orders-0 50/200", "orders-0 60/300"))["orders"]
    (view,) = found.partitions
    assert (view.rates.produced_per_s, view.rates.consumed_per_s) == (10.0, 3.0)
    assert (found.totals.rates.produced_per_s, found.totals.rates.consumed_per_s) == (10.0, 3.0)
    assert [each[1:] for each in found.history] == [(100, None, None), (150, 10.0, 5.0), (240, 10.0, 1.0)]


def test_what_stands_still_is_the_same_view_again() -> None:
    found = looks("group a\n  m: t-0\nt-0 5/5\nt-1 7/7", "", "", "t-1 7/9")
    remembering = Looks()
    seen = [remembering.look(each)["a"] for each in found]
    assert seen[2].partitions is seen[1].partitions
    assert seen[3].partitions[0] is seen[1].partitions[0]
    assert (seen[3].partitions[1].lag, seen[3].totals.lag) == (2, 2)
    assert [view.rates.level for view in seen[2].partitions] == [Level.CAUGHT_UP] * 2
    assert [each[0] for each in seen[3].history] == [each.at_ms for each in found]
