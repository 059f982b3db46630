"""The drawing for terminals, compared with what a person has looked at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.timeline.story import many, short, static_restart, three_consumers_one_killed

from rota.model import TopicPartition
from rota.timeline import Timeline
from rota.timeline import events as ev
from rota.timeline.text import draw_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.timeline.story import Story

GOLDEN = Path(__file__).parent / "golden"
STORIES = [three_consumers_one_killed, static_restart, short, many]


@pytest.mark.parametrize("tell", STORIES)
def test_stories_are_drawn_as_reviewed(tell: Callable[[], Story]) -> None:
    """To accept a change, write the new text into the file and look at the difference."""
    expected = (GOLDEN / f"{tell.__name__}.txt").read_text(encoding="utf-8")
    assert draw_text(Timeline.of(tell().events), 80) == expected


@pytest.mark.parametrize("tell", STORIES)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_asked_for(tell: Callable[[], Story], width: int) -> None:
    assert all(len(line) <= width for line in draw_text(Timeline.of(tell().events), width).splitlines())


def test_colours_add_nothing_that_is_not_there_without_them() -> None:
    timeline = Timeline.of(three_consumers_one_killed().events)
    coloured = draw_text(timeline, 80, color=True)
    assert "\x1b[48;2;86;180;233;38;2;0;0;0m1" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == draw_text(timeline, 80)


def test_the_list_of_rebalances_can_be_left_to_others() -> None:
    timeline = Timeline.of(three_consumers_one_killed().events)
    whole, without = draw_text(timeline), draw_text(timeline, rebalances=False)
    assert "c2 joined" in whole
    assert "c2 joined" not in without
    assert whole.startswith(without.rstrip("\n"))


def test_lost_records_are_marked() -> None:
    events = [
        ev.Produced(1000, "t", 0, 0, 9),
        ev.Produced(5000, "t", 0, 10, 19),
        ev.Delivered(6000, "a", "t", 0, 0, 9),
        ev.Committed(9000, "a", "t", 0, 20),
    ]
    text = draw_text(Timeline.of(events))
    assert "? records lost" in text
    assert "10 records lost" in text
    assert re.search(r"^P0 .*\?", text, re.MULTILINE)


def test_every_rebalance_has_a_number_though_it_be_in_a_range() -> None:
    """Also those at the right edge, where a number needs more room than is left."""
    for count in (1, 9, 30, 150):
        events = [
            event
            for number in range(1, count + 1)
            for event in (
                ev.RebalanceStarted(1000 * number, "g", number, ev.RebalanceReason.MEMBER_JOINED, "m", ""),
                ev.RebalanceCompleted(1000 * number + 100, "g", number + 1, "range", None, {}),
            )
        ]
        for width in (40, 80, 120):
            lines = draw_text(Timeline.of(events), width).splitlines()
            line = lines[lines.index("") + 1]
            labels = [tuple(map(int, label.split("-"))) for label in re.findall(r"[\d-]+", line)]
            ends = [(label[0], label[-1]) for label in labels]
            assert [number for first, last in ends for number in range(first, last + 1)] == [
                *range(1, count + 1)
            ]
            assert len(line) <= width


def test_an_empty_timeline_is_a_line() -> None:
    assert draw_text(Timeline()).startswith("0.00 s · 0 partitions")


def test_control_characters_in_a_name_do_not_reach_the_terminal() -> None:
    timeline = Timeline.of(
        [ev.ConsumerStarted(1, "a\x1b[2J\nb", 1), ev.ConsumerStopped(5, "a\x1b[2J\nb", "")]
    )
    assert "\x1b" not in draw_text(timeline)
    parts = [TopicPartition(topic, 0) for topic in ("a\x1b[2J", "b")]
    topics = Timeline.of([ev.Produced(1, *part, 0, 1) for part in parts])
    assert "a�[2J-0" in draw_text(topics, 120)
    assert "\x1b" not in draw_text(topics, 120)
