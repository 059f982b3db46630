"""What a timeline says about lives of groups that people know."""

from __future__ import annotations

import json

import pytest
from tests.timeline.story import START_MS, R, Story, static_restart, three_consumers_one_killed

from rota.model import TopicPartition
from rota.timeline import DEFAULT_PAUSE_MS, Loss, Move, Overlap, Span, Timeline
from rota.timeline import events as ev

P0, P1, P2 = (TopicPartition("orders", number) for number in range(3))


def delivered(at_ms: int, consumer: str, first: int, last: int, partition: int = 0) -> ev.Delivered:
    return ev.Delivered(at_ms, consumer, "orders", partition, first, last)


def produced(at_ms: int, first: int, last: int) -> ev.Produced:
    return ev.Produced(at_ms, "orders", 0, first, last)


def overloaded(handover_ms: int) -> Story:
    """Records wait 256 ms for their handler, before, during and after a rebalance in which b joins."""
    story = Story(events=[ev.MemberJoined(900, "g", "a-1", "a", "/h"), ev.Assigned(950, "a", (P0,))])
    story.tell(produced(960, 0, 9999))
    at_ms = 1000
    for number in range(30):
        story.tell(delivered(at_ms, "a", number, number))
        at_ms += 256
    last_ms = at_ms - 256
    story.tell(ev.RebalanceStarted(last_ms - 2000, "g", 1, R.MEMBER_JOINED, "b"))
    story.tell(ev.Revoked(last_ms + 10, "a", (P0,)))
    done_ms = last_ms + handover_ms
    story.tell(ev.RebalanceCompleted(done_ms - 20, "g", 2, "range", "b-1", {"a-1": (), "b-1": (P0,)}))
    story.tell(ev.Assigned(done_ms - 10, "b", (P0,)))
    for number in range(5):
        story.tell(delivered(done_ms + 256 * number, "b", 30 + number, 30 + number))
    return story


class TestOwnership:
    def test_goes_from_assigned_to_revoked(self) -> None:
        timeline = Timeline.of(
            [ev.Assigned(10, "a", (P0, P1)), ev.Revoked(20, "a", (P0,)), ev.ConsumerStarted(30, "b", 1)]
        )
        assert timeline.ownership(P0) == [Span("a", 10, 20, "gave it back")]
        assert timeline.ownership(P1) == [Span("a", 10, None)]
        assert timeline.owners_now() == {P0: None, P1: "a"}
        assert timeline.idle_consumers() == ["b"]

    @pytest.mark.parametrize(
        ("end", "words"),
        [
            (ev.Fault(20, "a", ev.FaultKind.KILLED), "was killed with -9"),
            (ev.ConsumerStopped(20, "a", "SIGTERM"), "stopped (SIGTERM)"),
            (ev.ConsumerStarted(20, "a", 2), "started again"),
            (ev.Lost(20, "a", (P0,)), "lost it"),
            (ev.Assigned(20, "b", (P0,)), "was replaced by b"),
        ],
    )
    def test_ends_without_a_revocation(self, end: ev.Event, words: str) -> None:
        timeline = Timeline.of([ev.Assigned(10, "a", (P0,)), end])
        assert timeline.ownership(P0)[0] == Span("a", 10, 20, words)

    def test_ends_when_a_rebalance_leaves_no_place(self) -> None:
        timeline = Timeline.of(
            [
                ev.MemberJoined(1, "g", "a-1", "a", "/h"),
                ev.Assigned(10, "a", (P0,)),
                ev.RebalanceCompleted(20, "g", 2, "range", "b-1", {"b-1": (P0,)}),
            ]
        )
        assert timeline.ownership(P0) == [Span("a", 10, 20, "was no longer a member"), Span("b-1", 20, None)]

    def test_a_freeze_ends_nothing_but_overlaps_with_the_successor(self) -> None:
        timeline = Timeline.of(
            [
                ev.Assigned(10, "a", (P0,)),
                ev.Fault(20, "a", ev.FaultKind.FROZEN),
                ev.Assigned(60, "b", (P0,)),
                ev.Fault(80, "a", ev.FaultKind.THAWED),
                ev.Lost(90, "a", (P0,)),
            ]
        )
        assert [span.start_ms for span in timeline.ownership(P0)] == [10, 60]
        assert timeline.overlaps() == [Overlap(P0, "a", "b", 60, 90)]
        assert timeline.moves() == [Move(P0, "a", "b", 60, 60)]

    def test_an_excluded_consumer_that_wakes_up_overlaps_too(self) -> None:
        timeline = Timeline.of(
            [
                ev.MemberJoined(1, "g", "a-1", "a", "/h"),
                ev.Assigned(10, "a", (P0,)),
                ev.RebalanceCompleted(50, "g", 2, "range", "b-1", {"b-1": ()}),
                ev.Assigned(60, "b", (P0,)),
                ev.Lost(90, "a", (P0,)),
            ]
        )
        assert timeline.ownership(P0)[0].end_ms == 50
        assert timeline.overlaps() == [Overlap(P0, "a", "b", 60, 90)]

    def test_who_starts_again_did_not_live_to_overlap(self) -> None:
        timeline = Timeline.of(
            [
                ev.Assigned(10, "a", (P0,)),
                ev.Assigned(60, "b", (P0,)),
                ev.ConsumerStarted(90, "a", 2),
            ]
        )
        assert timeline.overlaps() == []

    def test_a_replaced_static_member_keeps_its_partitions(self) -> None:
        """No `RebalanceCompleted` follows: the new process gets what the old one had."""
        joined = [
            ev.MemberJoined(1, "g", "x-1", "app", "/h", "x"),
            ev.MemberJoined(1, "g", "y-1", "app", "/h", "y"),
        ]
        timeline = Timeline.of(
            [
                *joined,
                ev.RebalanceCompleted(5, "g", 1, "range", "x-1", {"x-1": (P0,), "y-1": (P1,)}),
                ev.MemberLeft(9, "g", "x-1", R.STATIC_MEMBER_REPLACED),
                ev.MemberJoined(9, "g", "x-2", "app", "/h", "x"),
                ev.MemberLeft(19, "g", "y-1", R.STATIC_MEMBER_REPLACED),
                ev.MemberJoined(19, "g", "y-2", "app", "/h", "y"),
            ]
        )
        first, second = timeline.consumers()
        assert timeline.ownership(P0) == [Span(first, 5, None)]
        assert timeline.ownership(P1) == [Span(second, 5, None)]
        assert timeline.idle_consumers() == []

    def test_a_replaced_static_member_that_then_leaves_gives_up_its_partitions(self) -> None:
        timeline = Timeline.of(
            [
                ev.MemberJoined(1, "g", "x-1", "app", "/h", "x"),
                ev.RebalanceCompleted(5, "g", 1, "range", "x-1", {"x-1": (P0,)}),
                ev.MemberLeft(9, "g", "x-1", R.STATIC_MEMBER_REPLACED),
                ev.MemberJoined(9, "g", "x-2", "other-client-id", "/h", "x"),
                ev.MemberLeft(29, "g", "x-2", R.SESSION_EXPIRED),
            ]
        )
        assert [(span.start_ms, span.end_ms) for span in timeline.ownership(P0)] == [(5, 29)]
        assert timeline.owners_now() == {P0: None}

    def test_of_those_who_report_nothing_is_the_coordinators_assignment(self) -> None:
        joined = [ev.MemberJoined(1, "g", f"{name}-uuid", name, "/h") for name in ("a", "b")]
        timeline = Timeline.of(
            [
                *joined,
                ev.RebalanceCompleted(5, "g", 1, "range", "a-uuid", {"a-uuid": (P0, P1), "b-uuid": ()}),
                ev.RebalanceCompleted(9, "g", 2, "range", "a-uuid", {"a-uuid": (P0,), "b-uuid": (P1,)}),
                ev.MemberLeft(12, "g", "b-uuid", R.MEMBER_LEFT),
            ]
        )
        assert timeline.ownership(P0) == [Span("a", 5, None)]
        assert timeline.ownership(P1) == [Span("a", 5, 9, "had to give it up"), Span("b", 9, 12, "left")]
        assert timeline.generations()[1].assignment == {"a": (P0,), "b": (P1,)}

    def test_members_of_a_consumer_group_take_over_one_by_one(self) -> None:
        """c's generation is not complete until b has let go; what moved before is known when it moves."""
        joined = [ev.MemberJoined(1, "g", f"{name}-uuid", name, "/h") for name in ("a", "b")]
        timeline = Timeline.of(
            [
                *joined,
                ev.RebalanceCompleted(5, "g", 2, "uniform", None, {"a-uuid": (P0, P1), "b-uuid": (P2,)}),
                ev.MemberJoined(10, "g", "c-uuid", "c", "/h"),
                ev.RebalanceStarted(10, "g", 2, R.MEMBER_JOINED, "c-uuid"),
                ev.MemberReconciled(20, "g", 3, "a-uuid", (P0,)),
                ev.MemberReconciled(20, "g", 3, "c-uuid", (P1,)),
                ev.MemberReconciled(30, "g", 3, "c-uuid", (P1,)),
            ]
        )
        assert timeline.ownership(P0) == [Span("a", 5, None)]
        assert timeline.ownership(P1) == [Span("a", 5, 20, "had to give it up"), Span("c", 20, None)]
        assert timeline.owners_now() == {P0: "a", P1: "c", P2: "b"}
        assert [rebalance.completed_ms for rebalance in timeline.rebalances()] == [5, None]

    def test_what_a_member_reports_itself_counts_first(self) -> None:
        timeline = Timeline.of(
            [
                ev.MemberJoined(1, "g", "a-uuid", "a", "/h"),
                ev.MemberReconciled(2, "g", 1, "a-uuid", (P0,)),
                ev.Assigned(4, "a", (P0,)),
                ev.MemberReconciled(8, "g", 2, "a-uuid", ()),
                ev.Revoked(9, "a", (P0,)),
            ]
        )
        assert timeline.ownership(P0) == [Span("a", 2, 9, "gave it back")]

    def test_members_of_one_client_id_keep_their_own_names(self) -> None:
        timeline = Timeline.of(
            [
                ev.MemberJoined(1, "g", "rdkafka-1", "rdkafka", "/h"),
                ev.MemberJoined(2, "g", "rdkafka-2", "rdkafka", "/h"),
                ev.MemberJoined(3, "g", "rdkafka-3", "rdkafka", "/h", "pod-3"),
            ]
        )
        assert timeline.consumers() == ["rdkafka", "rdkafka-2", "pod-3"]

    def test_other_groups_are_passed_over(self) -> None:
        timeline = Timeline.of([ev.RebalanceStarted(1, "other", 1, R.OPERATOR)], group="g")
        assert timeline.rebalances() == []


class TestPauses:
    def test_a_kill_pauses_until_the_successor_reads(self) -> None:
        pauses = Timeline.of(three_consumers_one_killed().events).pauses(TopicPartition("orders", 4))
        assert [(item.duration_ms, item.cause, item.waiting) for item in pauses] == [
            (8000, "c3 was killed with -9", 401)
        ]

    def test_an_idle_topic_does_not_pause(self) -> None:
        events = [
            produced(900, 0, 9),
            delivered(1000, "a", 0, 9),
            ev.RebalanceStarted(2000, "g", 1, R.MEMBER_JOINED, "b"),
            ev.RebalanceCompleted(4000, "g", 2, None, None, {}),
            produced(9000, 10, 10),
            delivered(9010, "a", 10, 10),
        ]
        assert Timeline.of(events).pauses(P0, min_ms=1) == []

    def test_a_pause_begins_when_a_record_waits(self) -> None:
        events = [
            produced(900, 0, 9),
            delivered(1000, "a", 0, 9),
            ev.RebalanceStarted(2000, "g", 1, R.MEMBER_JOINED, "b"),
            produced(3000, 10, 10),
            ev.RebalanceCompleted(4000, "g", 2, None, None, {}),
            delivered(5000, "a", 10, 10),
        ]
        (pause,) = Timeline.of(events).pauses(P0)
        assert (pause.start_ms, pause.end_ms, pause.duration_ms, pause.waiting) == (3000, 5000, 2000, 1)
        assert pause.cause == "b joined"

    def test_a_gap_without_an_interruption_is_the_consumers_own_pace(self) -> None:
        events = [produced(900, 0, 99), delivered(1000, "a", 0, 9), delivered(60_000, "a", 10, 99)]
        assert Timeline.of(events).pauses(P0) == []

    def test_a_pause_that_goes_on_has_no_end(self) -> None:
        events = [
            ev.Assigned(900, "a", (P0,)),
            produced(950, 0, 0),
            delivered(1000, "a", 0, 0),
            ev.Fault(1100, "a", ev.FaultKind.KILLED),
            produced(1200, 1, 5),
            produced(4200, 6, 6),
        ]
        (pause,) = Timeline.of(events).pauses(P0)
        assert (pause.start_ms, pause.end_ms, pause.duration_ms, pause.waiting) == (1200, None, 3000, 6)

    def test_without_news_of_production_the_whole_gap_counts(self) -> None:
        steady = [delivered(at_ms, "a", at_ms, at_ms) for at_ms in range(1000, 3000, 100)]
        fault = ev.Fault(3000, "", "broker restarted")
        (pause,) = Timeline.of([*steady, fault, delivered(5000, "a", 5000, 5000)]).pauses(P0)
        assert (pause.duration_ms, pause.cause) == (2100, "the broker broker restarted")

    def test_a_slow_handlers_pace_is_no_pause_though_a_rebalance_goes_on(self) -> None:
        timeline = Timeline.of(overloaded(handover_ms=300).events)
        assert timeline.pauses() == []
        assert timeline.summary().rebalances[-1].paused == 0
        assert timeline.summary().rebalances[-1].longest_pause_ms == 0

    def test_what_is_clearly_longer_than_the_pace_is_a_pause(self) -> None:
        (pause,) = Timeline.of(overloaded(handover_ms=900).events).pauses(P0)
        assert (pause.duration_ms, pause.cause) == (900, "b joined")

    def test_two_hiccups_make_no_pace(self) -> None:
        events: list[ev.Event] = [produced(900, 0, 9999)]
        at_ms = 1000
        for number in range(40):
            events.append(delivered(at_ms, "a", number, number))
            at_ms += 2000 if number in (30, 35) else 20
        events.append(ev.RebalanceStarted(at_ms, "g", 1, R.MEMBER_JOINED, "b"))
        events.append(ev.RebalanceCompleted(at_ms + 400, "g", 2, None, None, {}))
        events.append(delivered(at_ms + 500, "a", 40, 40))
        (pause,) = Timeline.of(events).pauses(P0)
        assert pause.duration_ms == 520

    def test_a_quiet_topics_distance_between_records_is_not_its_pace(self) -> None:
        """Ten seconds between records that are read at once: nobody waits, so one second is long."""
        events: list[ev.Event] = []
        for number in range(10):
            at_ms = 10_000 * number + 1000
            events += [produced(at_ms, number, number), delivered(at_ms + 5, "a", number, number)]
        events += [
            produced(101_000, 10, 10),
            ev.RebalanceStarted(100_500, "g", 1, R.MEMBER_JOINED, "b"),
            ev.RebalanceCompleted(101_900, "g", 2, None, None, {}),
            delivered(102_000, "a", 10, 10),
        ]
        (pause,) = Timeline.of(events).pauses(P0)
        assert pause.duration_ms == 1000

    def test_a_static_restart_pauses_its_own_partitions_without_a_rebalance(self) -> None:
        summary = Timeline.of(static_restart().events).summary()
        assert [(str(item.partition), item.duration_ms) for item in summary.pauses] == [
            ("orders-2", 2500),
            ("orders-3", 2500),
        ]
        assert len(summary.rebalances) == 1
        assert summary.moves == ()
        assert summary.rebalances[0].revoked == 0


class TestRepeats:
    def test_the_documented_duplicate_names_offsets_readers_and_cause(self) -> None:
        events = [
            ev.Assigned(1000, "a", (P0,)),
            delivered(1100, "a", 96, 103),
            ev.Processed(1150, "a", "orders", 0, 96, 103),
            ev.Committed(1120, "a", "orders", 0, 100),
            ev.RebalanceStarted(1200, "g", 1, R.MEMBER_JOINED, "b"),
            ev.Lost(1300, "a", (P0,)),
            ev.Assigned(1400, "b", (P0,)),
            delivered(1500, "b", 100, 110),
            ev.Processed(1550, "b", "orders", 0, 100, 110),
        ]
        timeline = Timeline.of(events)
        found = [
            (d.kind, d.first_offset, d.last_offset, d.count, d.first_by, d.again_by)
            for d in timeline.duplicates()
        ]
        assert found == [("delivered", 100, 103, 4, "a", "b"), ("processed", 100, 103, 4, "a", "b")]
        assert {item.cause for item in timeline.duplicates()} == {"b joined"}
        assert timeline.summary().processed_again == 4

    def test_a_fault_is_named_before_the_rebalance_it_led_to(self) -> None:
        duplicates = Timeline.of(three_consumers_one_killed().events).duplicates("processed")
        assert {item.cause for item in duplicates} == {"c3 was killed with -9"}
        assert [(str(item.partition), item.count) for item in duplicates] == [
            ("orders-4", 9),
            ("orders-5", 9),
        ]

    def test_a_slow_down_during_a_freeze_is_not_the_cause(self) -> None:
        events = [
            ev.Assigned(1000, "a", (P0,)),
            ev.Fault(1050, "a", ev.FaultKind.SLOWED),
            ev.Processed(1100, "a", "orders", 0, 0, 9),
            ev.Fault(1200, "a", ev.FaultKind.FROZEN),
            ev.Fault(1900, "a", ev.FaultKind.SLOWED),
            ev.RebalanceStarted(7200, "g", 1, R.SESSION_EXPIRED, "a"),
            ev.Assigned(7400, "b", (P0,)),
            ev.Processed(7500, "b", "orders", 0, 5, 20),
            ev.Fault(9000, "a", ev.FaultKind.THAWED),
            ev.Processed(9010, "a", "orders", 0, 10, 12),
            ev.Lost(9100, "a", (P0,)),
        ]
        found = [(d.first_by, d.again_by, d.cause) for d in Timeline.of(events).duplicates()]
        assert found == [("a", "b", "a was frozen"), ("b", "a", "a was frozen")]

    def test_a_kill_during_a_freeze_is_the_cause(self) -> None:
        events = [
            ev.Assigned(1000, "a", (P0,)),
            ev.Processed(1100, "a", "orders", 0, 0, 9),
            ev.Fault(1200, "a", ev.FaultKind.FROZEN),
            ev.Fault(2000, "a", ev.FaultKind.KILLED),
            ev.RebalanceStarted(7200, "g", 1, R.SESSION_EXPIRED, "a"),
            ev.Assigned(7400, "b", (P0,)),
            ev.Processed(7500, "b", "orders", 0, 5, 20),
        ]
        (item,) = Timeline.of(events).duplicates()
        assert item.cause == "a was killed with -9"

    def test_a_slow_down_long_before_is_not_the_cause(self) -> None:
        events = [
            ev.Assigned(1000, "a", (P0,)),
            ev.Processed(1100, "a", "orders", 0, 0, 4),
            ev.Fault(1200, "a", ev.FaultKind.SLOWED),
            ev.Processed(5100, "a", "orders", 0, 5, 9),
            ev.RebalanceStarted(5200, "g", 1, R.MEMBER_JOINED, "b"),
            ev.Lost(5300, "a", (P0,)),
            ev.Assigned(5400, "b", (P0,)),
            ev.Processed(5500, "b", "orders", 0, 5, 20),
        ]
        (item,) = Timeline.of(events).duplicates()
        assert item.cause == "b joined"

    def test_a_consumer_that_goes_back_by_itself(self) -> None:
        (item,) = Timeline.of([delivered(1, "a", 0, 9), delivered(2, "a", 5, 7)]).duplicates()
        assert (item.first_offset, item.last_offset, item.cause) == (5, 7, "a went back")


class TestLosses:
    def test_what_a_commit_has_passed_without_work_is_lost(self) -> None:
        events = [
            produced(1, 0, 19),
            delivered(2, "a", 0, 9),
            ev.Processed(3, "a", "orders", 0, 0, 4),
            ev.OffsetCommitted(4, "g", "a-1", "orders", 0, 10),
        ]
        summary = Timeline.of(events).summary()
        assert summary.losses == (Loss(P0, 5, 9),)
        assert (summary.lost, summary.waiting) == (5, 10)

    def test_without_commits_it_is_what_lies_below_the_highest(self) -> None:
        events = [produced(1, 0, 9), delivered(2, "a", 0, 2), delivered(3, "a", 5, 6)]
        assert Timeline.of(events).losses() == [Loss(P0, 3, 4)]

    def test_a_live_view_waits_for_news_before_it_cries_loss(self) -> None:
        timeline = Timeline()
        timeline.extend([produced(1, 0, 9), delivered(2, "a", 0, 3), ev.Committed(3, "a", "orders", 0, 10)])
        assert timeline.losses(live=True) == []
        assert timeline.losses() == [Loss(P0, 4, 9)]


class TestRebalances:
    def test_each_is_told_with_reason_duration_and_cost(self) -> None:
        summary = Timeline.of(three_consumers_one_killed().events).summary()
        told = [
            (item.rebalance.words, item.rebalance.duration_ms, item.moved, item.revoked, item.paused)
            for item in summary.rebalances
        ]
        assert told == [
            ("c1 joined", 3000, 0, 0, 0),
            ("c2 joined", 1900, 3, 3, 0),
            ("c3 joined", 2000, 3, 3, 0),
            ("c3 was silent for its whole session timeout", 2000, 2, 0, 2),
            ("c3 asked to join again", 2000, 2, 2, 0),
            ("c2 left", 2000, 2, 0, 2),
        ]
        assert summary.longest_pause_ms == 8000
        assert [(move.from_consumer, move.to_consumer) for move in summary.moves].count(("c3", "c1")) == 1

    def test_further_reasons_before_completion_are_kept(self) -> None:
        timeline = Timeline.of(
            [
                ev.RebalanceStarted(1, "g", 1, R.MEMBER_JOINED, "a"),
                ev.RebalanceStarted(2, "g", 1, R.PARTITIONS_ADDED),
                ev.RebalanceCompleted(3, "g", 2, None, None, {}),
            ]
        )
        (rebalance,) = timeline.rebalances()
        assert (rebalance.words, rebalance.also) == ("a joined", ("the number of partitions changed",))
        assert (rebalance.generation, rebalance.duration_ms) == (2, 2)


def test_a_summary_is_plain_json() -> None:
    plain = Timeline.of(three_consumers_one_killed().events).summary().to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["paused_partitions"] == ["orders-2", "orders-3", "orders-4", "orders-5"]
    assert plain["rebalances"][3]["words"] == "c3 was silent for its whole session timeout"
    assert plain["duplicates"][0]["count"] == 9


def test_an_empty_timeline_answers() -> None:
    summary = Timeline().summary()
    assert (summary.start_ms, summary.end_ms, summary.partitions) == (0, 0, ())


def test_many_records_take_little_memory() -> None:
    timeline = Timeline()
    for number in range(100_000):
        timeline.add(produced(START_MS + number, number, number))
        timeline.add(delivered(START_MS + number, "a", number, number))
    record = timeline.history.partitions[P0]
    assert record.delivered.offsets.count == 100_000
    assert len(record.delivered.offsets) == len(record.produced) == len(record.production) == 1


def test_asking_in_between_changes_nothing() -> None:
    story = Story(partitions=2, produce_every_ms=100)
    story.start("a")
    story.rebalance(R.MEMBER_JOINED, "a", 500, {"a": [0, 1]})
    story.run(3000)
    story.kill("a")
    story.run(2000)
    asked = Timeline()
    for event in story.events:
        asked.add(event)
        asked.pauses(min_ms=DEFAULT_PAUSE_MS)
    assert asked.summary() == Timeline.of(story.events).summary()
