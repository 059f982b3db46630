"""The screen's tables in windows of all sizes."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tests.top.stage import finding, group

from rota.model import TopicPartition
from rota.monitor.view import GroupView, Level
from rota.rehearsal.board import Board, ConsumerRow, PartitionRow
from rota.rehearsal.screen import View, draw_screen
from rota.rehearsal.scroll import Scroll
from rota.rehearsal.settings import LabSettings
from rota.timeline import Timeline
from rota.timeline.look import looks

TOPIC = "web-events-partitioned"


def view(partitions: int, consumers: int, *, chosen: int = 1) -> View:
    """A group at rest in which the first consumers read one partition each, and the last of them the rest."""
    names = [f"consumer-{number}" for number in range(1, consumers + 1)]
    owner = [names[min(number, consumers - 1)] for number in range(partitions)]
    seats = tuple(
        ConsumerRow(
            number,
            name,
            looks(names)[name],
            1000 + number,
            "running",
            tuple(part for part in range(partitions) if owner[part] == name),
            3.0,
            10.0,
        )
        for number, name in enumerate(names, start=1)
    )
    rows = tuple(PartitionRow(n, owner[n], 10, 12, 2, 3.0, None, 0, 0) for n in range(partitions))
    timeline = Timeline("web-events-group")
    board = Board(rows, seats, "stable", 3, "generation", "none so far", timeline.summary())
    lab: Any = SimpleNamespace(
        settings=LabSettings(),
        rate=30.0,
        ending=False,
        timeline=timeline,
        partitions=lambda: [TopicPartition(TOPIC, number) for number in range(partitions)],
    )
    return View(board, lab, chosen, [], False, 61.0, Scroll())


def draw(what: View, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(draw_screen(what, width, height), end="")
    return captured.get().splitlines()


def looked_at(what: View, seen: GroupView) -> View:
    """The same with what `rota top` would show."""
    return replace(what, board=replace(what.board, view=seen))


def test_the_lag_and_the_worst_finding_are_those_of_rota_top() -> None:
    seen = group(level=Level.GROWING, findings=(finding(), finding()))
    lines = draw(looked_at(view(3, 3), seen), 150, 40)
    (lag,) = (line for line in lines if line.startswith(" Lag "))
    assert "2,400 records, 4.0s behind (record)  ↑ growing  in 410/s, out 305/s" in lag
    (doctor,) = (line for line in lines if line.startswith(" Doctor "))
    assert doctor.startswith(" Doctor  ! D05 Partition orders-11 gets 41 % of all records")
    assert doctor.endswith("cannot keep up. (and 1 more)")
    (doctor,) = (line for line in draw(looked_at(view(3, 3), seen), 80, 24) if line.startswith(" Doctor "))
    assert doctor.endswith("… (and 1 more)")
    assert any(
        line.startswith(" Doctor  nothing wrong") for line in draw(looked_at(view(3, 3), group()), 80, 24)
    )


def test_nobody_who_looks_is_nothing_said_and_a_small_window_has_no_room_for_it() -> None:
    for lines in (draw(view(3, 3), 80, 24), draw(looked_at(view(3, 3), group()), 60, 16)):
        assert not any(line.startswith((" Lag ", " Doctor ")) for line in lines)


def shown_partitions(lines: list[str]) -> list[int]:
    head = next(at for at, line in enumerate(lines) if line.lstrip().startswith("PARTITION"))
    rows = itertools.takewhile(lambda line: "consumer-" in line, lines[head + 1 :])
    return [int(line.split()[0]) for line in rows]


def shown_consumers(lines: list[str]) -> list[int]:
    return [
        int(line.split("consumer-")[1].split()[0]) for line in lines if line[:1] in "▶ " and "running" in line
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("height", [16, 20, 24, 40])
@pytest.mark.parametrize("partitions", [1, 3, 9, 24, 100])
@pytest.mark.parametrize("consumers", [1, 3, 9])
@pytest.mark.parametrize("watched", [False, True])
def test_everything_fits_and_nothing_is_hidden_without_a_word(
    width: int, height: int, partitions: int, consumers: int, watched: bool
) -> None:
    what = view(partitions, consumers)
    lines = draw(looked_at(what, group(findings=(finding(),))) if watched else what, width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    seen, seats = shown_partitions(lines), shown_consumers(lines)
    assert seen
    assert seats
    hidden = partitions - len(seen)
    assert any(f"{hidden} below" in line for line in lines) == bool(hidden)
    assert any(f"{consumers - len(seats)} more" in line for line in lines) == (len(seats) < consumers)


def test_consumers_that_read_nothing_give_way_first() -> None:
    lines = draw(view(3, 9), 80, 24)
    assert shown_partitions(lines) == [0, 1, 2]
    lines = draw(view(4, 9), 80, 22)
    assert shown_partitions(lines) == [0, 1, 2, 3]
    assert {1, 2, 3, 4} <= set(shown_consumers(lines)) < set(range(1, 10))
    assert any("more, reading nothing: " in line for line in lines)


def test_the_chosen_one_stays_though_it_reads_nothing() -> None:
    assert 9 in shown_consumers(draw(view(4, 9, chosen=9), 80, 22))
    assert 7 in shown_consumers(draw(view(24, 9, chosen=7), 80, 24))


def test_a_long_table_is_scrolled() -> None:
    what = view(24, 9)
    first = shown_partitions(draw(what, 80, 24))
    assert first[0] == 0
    assert len(first) >= 4
    what.scroll.press("page-down")
    lines = draw(what, 80, 24)
    assert shown_partitions(lines)[0] == len(first) - 1
    assert any(f"{len(first) - 1} above and " in line for line in lines)
    what.scroll.press("end")
    assert shown_partitions(draw(what, 80, 24))[-1] == 23
