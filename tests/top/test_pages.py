"""Lines and cells, without a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.text import Text
from tests.top.stage import NOW_MS, finding, group, member, partition, rebalancing, story, told, tp, whole

from rota.model import RotaError
from rota.monitor.cast import Cast
from rota.monitor.findings import Severity
from rota.monitor.reset import Kind, Target
from rota.monitor.view import GroupView, Level, Method, Quality, TimeLag
from rota.top.changes import target_of
from rota.top.group_page import draw_head, member_cells, partition_cells
from rota.top.groups_page import COLUMNS, ORDERS, cells, chosen
from rota.top.lines import wrap
from rota.top.log_lines import describe_partition, event_lines, last_rebalance
from rota.top.strip import draw_strip
from rota.top.table import fitted, shortened


def _cast(view: GroupView) -> Cast:
    cast = Cast()
    cast.take(view)
    return cast


def _strip(view: GroupView, width: int, height: int) -> list[str]:
    return [line.plain.rstrip() for line in draw_strip(view, _cast(view), width, height, NOW_MS)]


def test_each_owner_has_a_letter_and_a_texture_beside_its_colour() -> None:
    view = group(members=6, partitions=6)
    assert _strip(view, 80, 10) == [
        "         0   1   2   3   4   5",
        " orders  1  ╱2╱ ═3═ ╲4╲ ║5║ ╬6╬",
    ]


def test_who_waits_has_a_clock_and_who_has_nobody_a_dash() -> None:
    view = rebalancing(group(members=2, partitions=4), 2, 3, since_ms=NOW_MS - 12_400)
    lone = replace(view.partitions[0], member=None)
    assert _strip(replace(view, partitions=(lone, *view.partitions[1:])), 80, 10) == [
        "         0   1   2   3",
        " orders  ––  1  12s 12s",
    ]


def test_a_change_of_owner_is_marked_for_ten_seconds() -> None:
    before, after = group(members=1, partitions=2), group(members=2, partitions=2)
    cast = _cast(before)
    cast.take(replace(after, at_ms=NOW_MS))
    [_, line] = draw_strip(after, cast, 80, 10, NOW_MS + 9_999)
    assert line.plain.rstrip() == " orders  1  1→2"
    [_, line] = draw_strip(after, cast, 80, 10, NOW_MS + 10_000)
    assert line.plain.rstrip() == " orders  1  ╱2╱"


def test_many_partitions_take_less_room_each() -> None:
    view = group(members=3, partitions=60)
    assert len(_strip(view, 80, 10)) == 8, "three letters each, in four rows of two lines"
    assert _strip(view, 80, 4)[0] == f" orders    0 {'1 ' * 20}{'2╱' * 10}"
    assert len(_strip(view, 80, 4)) == 2
    huge = group(members=3, partitions=2_000)
    lines = _strip(huge, 80, 5)
    assert len(lines) == 5
    assert "more lines of partitions: p lists them all" in lines[-1]


def test_the_head_says_state_cause_lag_finding_and_owners_in_its_lines() -> None:
    view = rebalancing(group(events=story(), findings=(finding(),), level=Level.GROWING), 9, 10, 11)
    head = [line.plain for line in draw_head(view, _cast(view), 120, 13, NOW_MS, "")]
    assert "REBALANCING 1.8s" in head[0]
    assert head[1].startswith(
        " Cause pod-4 was silent for its whole session timeout; 3 of 12 partitions wait, 1.8s"
    )
    assert "2,400 records, 4.0s behind (record)  ↑ growing  in 410/s, out 305/s" in head[2]
    assert head[3].startswith(" ! D05 Partition orders-11")
    narrow = [line.plain for line in draw_head(view, _cast(view), 80, 8, NOW_MS, "")]
    assert all(len(line) <= 80 for line in narrow)
    assert "waiting for pod-2" in narrow[2], "the cause has two lines where it is narrow"


def test_the_last_rebalance_and_the_step_that_follows_it_are_told_as_one() -> None:
    view = told(group(events=story()))
    first, second = view.told
    assert last_rebalance(view.told, NOW_MS).startswith("Last rebalance 40s ago: ")
    again = replace(
        second,
        at_ms=first.until_ms + 100,
        verdicts=(second.verdicts[0]._replace(reason=type(second.verdicts[0].reason).MEMBER_REJOINED),),
    )
    assert " in 2 steps" in last_rebalance((first, again), NOW_MS)
    assert "joined" in last_rebalance((first, again), NOW_MS)
    at_most = replace(first, exact=False, began_between_ms=(first.until_ms - 2_100, first.until_ms))
    assert ", took at most 2.1 s" in last_rebalance((at_most,), NOW_MS)
    assert last_rebalance((), NOW_MS) == "No rebalance is known of."


def test_what_began_a_rebalance_is_said_once() -> None:
    view = group(events=story())
    lines = [line.plain for line in event_lines(view, _cast(view))]
    assert sum("was silent" in line for line in lines) == 1
    assert lines[-1].endswith(
        "Generation 41: pod-1 reads orders 0-3; pod-2 reads orders 4-7; pod-3 reads orders 8-11."
    )


def test_members_wait_are_idle_or_change_over() -> None:
    view = rebalancing(group(members=3), 1, waiting=("pod-2",))
    cast = _cast(view)
    assert [member_cells(each, view, cast, NOW_MS)["doing"][0] for each in view.members] == [
        "joined",
        "WAITED FOR",
        "joined",
    ]
    gives = replace(member(1, tp(0), tp(1)), target=(tp(1), tp(2), tp(3)))
    modern = whole("g", [gives, member(2)], (partition(tp(0), gives),), kind="Consumer")
    cast = _cast(modern)
    assert [member_cells(each, modern, cast, NOW_MS)["doing"][0] for each in modern.members] == [
        "gives back 1, gets 2",
        "idle",
    ]


def test_a_partition_says_what_is_wrong_with_it_and_how_late_it_is() -> None:
    part = partition(tp(0), None, 5, 10)
    lost = replace(part, lost=7, at_most=True, time=TimeLag(14.2, 3.0, Method.RECORD, Quality.AT_LEAST))
    row = partition_cells(lost, Cast())
    assert (row["note"][0], row["lag"][0], row["time"][0]) == ("7 LOST to retention", "→ ≤5", "≥14s")
    assert partition_cells(replace(part, commit=None, lag=None), Cast())["lag"][0] == "→ -"
    text = "\n".join(line.plain for line in describe_partition(lost, Cast()))
    assert "at least: older records were removed before they were read" in text


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("", ["a-2", "a-10", "b"]),
        ("a", ["a-2", "a-10"]),
        ("A !10", ["a-2"]),
        ("growing", ["b"]),
        ("d05", ["a-10"]),
        ("hot !sta", []),
        ("nothing", []),
    ],
)
def test_a_filter_looks_at_the_whole_row(wanted: str, names: list[str]) -> None:
    views = [group("b", level=Level.GROWING), group("a-10", findings=(finding(),)), group("a-2")]
    by_name = next(order for order in ORDERS if order.name == "name")
    assert [view.facts.group for view in chosen(views, wanted, by_name)] == names


def test_the_worst_comes_first_and_what_is_unknown_last() -> None:
    fine, growing = group("fine", lag=0, level=Level.CAUGHT_UP), group("growing", level=Level.GROWING)
    ill = group("ill", findings=(finding(severity=Severity.CRITICAL),))
    busy = rebalancing(group("busy"))
    views = [fine, growing, ill, busy]
    assert [view.facts.group for view in chosen(views, "", ORDERS[0])] == ["ill", "busy", "growing", "fine"]
    empty = group("empty", members=0, partitions=0)
    by_time = next(order for order in ORDERS if order.name == "time")
    found = [view.facts.group for view in chosen([empty, group("late")], "", by_time)]
    assert found == ["late", "empty"]


def test_narrow_terminals_lose_the_columns_that_matter_least() -> None:
    assert [column.key for column, _ in fitted(COLUMNS, 200, 30)] == [column.key for column in COLUMNS]
    assert [column.key for column, _ in fitted(COLUMNS, 79, 30)] == [
        "name",
        "state",
        "members",
        "lag",
        "time",
        "finding",
    ]
    assert "in" not in dict.fromkeys(column.key for column, _ in fitted(COLUMNS, 110, 40))
    assert next(size for column, size in fitted(COLUMNS, 110, 40) if column.key == "name") >= 32
    for width in (60, 80, 100, 120, 200):
        sizes = [size for _, size in fitted(COLUMNS, width, 30)]
        assert sum(sizes) + 2 * (len(sizes) - 1) + 1 <= width


def test_a_row_of_all_groups() -> None:
    row = cells(group(findings=(finding(), finding()), level=Level.VERY_LARGE, lag=8_800), NOW_MS)
    assert {key: text for key, (text, _) in row.items() if key != "trend"} == {
        "name": "orders-group",
        "type": "classic",
        "state": "Stable",
        "members": "3",
        "partitions": "12",
        "lag": "⇈ 106k",
        "time": "4.0s",
        "in": "410",
        "out": "305",
        "level": "⇈ very large",
        "finding": "! D05 +1 hot partition",
    }


def test_names_are_cut_in_the_middle_and_lines_at_spaces() -> None:
    assert shortened("orders-service-eu-3", 12) == "orders-s…u-3"
    assert [line.plain for line in wrap([Text("  one two three four")], 12)] == [
        "  one two",
        "    three",
        "    four",
    ]
    assert [line.plain for line in wrap([Text("x" * 20)], 12)] == ["x" * 12, "  " + "x" * 8]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("earliest", Target(Kind.TO_EARLIEST)),
        ("to-latest", Target(Kind.TO_LATEST)),
        ("1200", Target(Kind.TO_OFFSET, 1200)),
        ("-100", Target(Kind.SHIFT_BY, -100)),
        ("15m", Target(Kind.BY_DURATION, NOW_MS - 900_000)),
        ("2026-11-21T14:00Z", Target(Kind.TO_DATETIME, 1_795_269_600_000)),
    ],
)
def test_where_to_reset_to(text: str, target: Target) -> None:
    assert target_of(text, NOW_MS) == target


def test_what_is_nowhere_is_refused() -> None:
    with pytest.raises(RotaError, match="'yesterday' says nowhere"):
        target_of("yesterday", NOW_MS)
