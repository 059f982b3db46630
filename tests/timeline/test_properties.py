"""What holds for every timeline whatsoever."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.timeline.story import three_consumers_one_killed

from rota.model import TopicPartition
from rota.timeline import Timeline
from rota.timeline import events as ev
from rota.timeline.intervals import MOST_RUNS, Activity, IntervalSet
from rota.timeline.svg import draw_svg
from rota.timeline.text import draw_text

RANGE = st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
AT = st.integers(1000, 1400)
NAME = st.sampled_from("abc")
TPS = st.sets(st.integers(0, 2)).map(lambda held: tuple(TopicPartition("t", each) for each in sorted(held)))
NUMBER = st.integers(0, 2)
ASSIGNMENT = st.dictionaries(NAME.map(lambda name: name + "-id"), TPS, max_size=3)


def _records(kind: type[ev.Delivered | ev.Processed]) -> st.SearchStrategy[ev.Event]:
    return st.builds(
        lambda at, name, number, offsets: kind(at, name, "t", number, *offsets), AT, NAME, NUMBER, RANGE
    )


EVENTS = st.one_of(
    st.builds(ev.Assigned, AT, NAME, TPS),
    st.builds(ev.Revoked, AT, NAME, TPS),
    st.builds(ev.Lost, AT, NAME, TPS),
    st.builds(ev.Fault, AT, NAME, st.sampled_from(["kill-9", "freeze", "thaw", "other"])),
    st.builds(ev.ConsumerStarted, AT, NAME, st.just(1)),
    st.builds(ev.ConsumerStopped, AT, NAME, st.just("SIGTERM")),
    st.builds(
        lambda at, name: ev.MemberJoined(at, "g", f"{name}-id", name, "/h"), AT, st.sampled_from("abcd")
    ),
    st.builds(ev.MemberLeft, AT, st.just("g"), st.just("d-id"), st.sampled_from(ev.RebalanceReason)),
    st.builds(ev.RebalanceStarted, AT, st.just("g"), NUMBER, st.sampled_from(ev.RebalanceReason), NAME),
    st.builds(ev.RebalanceCompleted, AT, st.just("g"), NUMBER, st.none(), st.none(), ASSIGNMENT),
    st.builds(
        lambda at, epoch, name, held: ev.MemberReconciled(at, "g", epoch, f"{name}-id", held),
        AT,
        NUMBER,
        NAME,
        TPS,
    ),
    st.builds(lambda at, number, offsets: ev.Produced(at, "t", number, *offsets), AT, NUMBER, RANGE),
    st.builds(ev.Committed, AT, NAME, st.just("t"), NUMBER, st.integers(0, 60)),
    _records(ev.Delivered),
    _records(ev.Processed),
)


@given(st.lists(EVENTS, max_size=40))
def test_spans_of_a_partition_never_overlap_however_late_events_come(events: list[ev.Event]) -> None:
    timeline = Timeline(skew_ms=0)
    for event in events:
        timeline.add(event)
        timeline.owners_now()  # settles what there is
    for partition in timeline.partitions():
        spans = timeline.ownership(partition)
        assert all(span.end_ms is None or span.start_ms < span.end_ms for span in spans)
        assert all(span.end_ms is not None for span in spans[:-1])
        for one, other in pairwise(spans):
            assert one.end_ms is not None
            assert one.end_ms <= other.start_ms


@given(st.lists(EVENTS, max_size=40), st.randoms(use_true_random=False))
def test_any_order_of_arrival_within_the_skew_gives_the_same_summary(
    events: list[ev.Event], shuffle: random.Random
) -> None:
    expected = Timeline.of(events).summary()
    shuffled = list(events)
    shuffle.shuffle(shuffled)
    timeline = Timeline()
    timeline.extend(shuffled)
    assert timeline.summary() == expected


@given(st.lists(st.tuples(AT, NAME, RANGE), max_size=30))
def test_repeats_are_those_that_a_counter_of_single_records_finds(
    reads: list[tuple[int, str, tuple[int, int]]],
) -> None:
    seen: Counter[int] = Counter()
    for _, _, (first, last) in reads:
        seen.update(range(first, last + 1))
    timeline = Timeline.of([ev.Delivered(at, name, "t", 0, *offsets) for at, name, offsets in reads])
    found: Counter[int] = Counter()
    for item in timeline.duplicates():
        found.update(range(item.first_offset, item.last_offset + 1))
    assert found == Counter({offset: count - 1 for offset, count in seen.items() if count > 1})
    assert timeline.summary().delivered_again == found.total()


@given(st.lists(RANGE), st.lists(RANGE))
def test_interval_sets_are_sets(ones: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    one, other = IntervalSet(*ones), IntervalSet(*others)
    plain = {number for first, last in ones for number in range(first, last + 1)}
    without = plain - {number for first, last in others for number in range(first, last + 1)}
    assert one.count == len(plain)
    assert {number for number in range(80) if number in one} == plain
    assert {number for first, last in one.minus(other) for number in range(first, last + 1)} == without
    assert all(earlier[1] + 1 < later[0] for earlier, later in pairwise(one))
    assert IntervalSet(*reversed(ones)) == one == one.copy()


@given(st.lists(st.tuples(st.integers(0, 500), RANGE)), st.randoms(use_true_random=False))
def test_runs_of_activity_do_not_depend_on_order(
    moments: list[tuple[int, tuple[int, int]]], shuffle: random.Random
) -> None:
    def runs() -> list[tuple[int, ...]]:
        activity = Activity()
        for at_ms, (first, last) in moments:
            activity.add(at_ms, first, last)
        columns = activity.starts, activity.ends, activity.lows, activity.highs
        return list(zip(*columns, strict=True))

    before = runs()
    shuffle.shuffle(moments)
    assert runs() == before
    assert all(later[0] - earlier[1] > 10 for earlier, later in pairwise(before))


def test_activity_grows_coarser_before_it_grows_large() -> None:
    activity = Activity()
    for number in range(20_000):
        activity.add(number * 50, number, number)
    assert len(activity) <= MOST_RUNS
    assert activity.resolution_ms <= 100
    assert activity.highest_at(500_000) == 10_000
    assert activity.time_of(10_000) == 500_000


@settings(deadline=None, max_examples=60)
@given(st.lists(EVENTS, max_size=30))
def test_whatever_happened_can_be_drawn(events: list[ev.Event]) -> None:
    timeline = Timeline.of(events)
    assert draw_svg(timeline).endswith("</svg>\n")
    assert all(len(line) <= 80 for line in draw_text(timeline).splitlines())


def test_a_whole_story_arriving_out_of_order_is_told_the_same() -> None:
    events = three_consumers_one_killed().events
    shuffle = random.Random(7)
    late = sorted(events, key=lambda event: event.at_ms + shuffle.randrange(1500))
    timeline = Timeline()
    timeline.extend(late)
    assert timeline.summary() == Timeline.of(events).summary()
