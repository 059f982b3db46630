"""The picture is well-formed, self-contained, and shows what the timeline found."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from tests.timeline.story import many, short, static_restart, three_consumers_one_killed

from rota.model import TopicPartition
from rota.timeline import Timeline
from rota.timeline import events as ev
from rota.timeline.look import PATTERNS, looks, seconds
from rota.timeline.svg import draw_svg

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.timeline.story import Story

SVG = "{http://www.w3.org/2000/svg}"


def drawn(story: Story, title: str = "A life") -> ET.Element:
    return ET.fromstring(draw_svg(Timeline.of(story.events), title=title))


def tips(picture: ET.Element, shape: str) -> list[str]:
    found = (element.findtext(f"{SVG}title") for element in picture.iter(SVG + shape))
    return [tip for tip in found if tip]


def texts(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def test_every_span_is_a_bar_that_names_its_owner() -> None:
    story = three_consumers_one_killed()
    timeline = Timeline.of(story.events)
    spans = sum(len(timeline.ownership(partition)) for partition in timeline.partitions())
    bars = [tip for tip in tips(drawn(story), "rect") if " from " in tip]
    assert len(bars) == spans == 18
    assert "orders-4: c3 from 14.9 s to 20.0 s, then was killed with -9" in bars


def test_pauses_kills_repeats_and_rebalances_are_marked() -> None:
    picture = drawn(three_consumers_one_killed())
    classes = [element.get("class") for element in picture.iter()]
    assert classes.count("rota-pause") == 4
    assert classes.count("rota-killed") == 1 + 2 + 1  # the moment, the two bars it ended, the legend
    assert classes.count("rota-again") == 2 + 1
    assert classes.count("rota-band") == 6 + 1
    assert "orders-4: pause of 8.0 s, 401 records waited: c3 was killed with -9" in tips(picture, "rect")
    assert any("c3 was silent for its whole session timeout (took 2.0 s" in text for text in texts(picture))


def test_title_and_description_tell_it_to_those_who_do_not_see_it() -> None:
    picture = drawn(three_consumers_one_killed(), title="Killed")
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "rota-title rota-desc"
    assert picture.findtext(f"{SVG}title") == "Killed"
    description = picture.findtext(f"{SVG}desc") or ""
    assert "4 partitions paused, longest 8.0 s · 18 records processed again · nothing lost" in description
    assert "Rebalance 4 at 26.0 s: c3 was silent" in description


@pytest.mark.parametrize("tell", [three_consumers_one_killed, static_restart, short, many])
def test_nothing_is_fetched_from_elsewhere(tell: Callable[[], Story]) -> None:
    text = draw_svg(Timeline.of(tell().events))
    assert not re.search(r"href|<script|<image|@import|url\((?!#)", text)
    assert text.count("http") == 1  # the name of the SVG language itself
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize("tell", [three_consumers_one_killed, static_restart, short, many])
@pytest.mark.parametrize("width", [480, 1100])
def test_everything_lies_within_the_picture(tell: Callable[[], Story], width: int) -> None:
    picture = ET.fromstring(draw_svg(Timeline.of(tell().events), width=width))
    height = float(picture.get("height", 0))
    for rect in picture.findall(f"{SVG}rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= width + 2.5
        assert float(rect.get("y", 0)) + float(rect.get("height", 0)) <= height
    assert all(float(text.get("y", 0)) < height for text in picture.findall(f"{SVG}text"))


def test_text_from_outside_is_escaped() -> None:
    name = "<script>&\"'\x00\x1b"
    events = [
        ev.ConsumerStarted(1, name, 1),
        ev.RebalanceStarted(2, "g", 1, ev.RebalanceReason.MEMBER_JOINED, name),
        ev.Assigned(10, name, (TopicPartition("<b>", 0),)),
        ev.Fault(5000, name, "<i>", "</svg>"),
        ev.Fault(9000, name, "kill-9", "]]>"),
    ]
    text = draw_svg(Timeline.of(events), title="<title>", ident='"><')
    assert "<script" not in text
    assert "<b>" not in text
    ET.fromstring(text)


def test_two_pictures_on_a_page_do_not_share_ids() -> None:
    timeline = Timeline.of(short().events)
    one, other = (
        {element.get("id") for element in ET.fromstring(draw_svg(timeline, ident=ident)).iter()} - {None}
        for ident in ("one", "other")
    )
    assert one
    assert not one & other


def test_an_empty_timeline_is_a_picture_too() -> None:
    ET.fromstring(draw_svg(Timeline()))


def test_consumers_differ_in_colour_or_pattern_and_in_sign() -> None:
    found = looks(str(number) for number in range(42))
    assert len({(look.colour, look.pattern) for look in found.values()}) == 42
    assert len({look.sign for look in found.values()}) == 42
    assert all(look.pattern < len(PATTERNS) for look in found.values())


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, "0.00 s"), (30, "0.03 s"), (8000, "8.0 s"), (45_900, "45.9 s"), (152_000, "152 s")],
)
def test_durations_have_as_many_digits_as_one_reads(duration_ms: int, text: str) -> None:
    assert seconds(duration_ms) == text
