"""The layouts of ``kafka-consumer-groups`` 4.1, column for column.

Every function takes this package's own descriptions and gives lines; a value nobody can tell is ``-``, as
there. librdkafka does not hand out group and member epochs, so those columns hold ``-`` for every group.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rota.cluster import CommittedOffset, GroupDescription, GroupListing, MemberDescription
    from rota.model import TopicPartition

__all__ = ["Line", "OffsetRow", "list_lines", "member_lines", "offset_lines", "offset_rows", "state_lines"]

MISSING = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, the member it is about, and its cells, for those who colour or have less room."""

    text: str
    member_id: str | None = None
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OffsetRow:
    """One partition of a group: where the group is, where the log ends, and who reads it."""

    partition: TopicPartition
    committed: CommittedOffset | None
    end: int | None
    member: MemberDescription | None

    @property
    def lag(self) -> int | None:
        """Records between the commit and the end; None without one of them. Never clamped, as in Kafka."""
        return None if self.committed is None or self.end is None else self.end - self.committed.offset


def offset_rows(
    group: GroupDescription,
    committed: Mapping[TopicPartition, CommittedOffset],
    ends: Mapping[TopicPartition, int | None],
) -> list[OffsetRow]:
    """Members with the most partitions first, then what was committed and is nobody's now."""
    rows = [
        OffsetRow(tp, committed.get(tp), ends.get(tp), member)
        for member in group.members
        for tp in member.assignment
    ]
    owned = group.owners()
    rows += [OffsetRow(tp, at, ends.get(tp), None) for tp, at in sorted(committed.items()) if tp not in owned]
    return rows


def list_lines(groups: Iterable[GroupListing], *, with_type: bool, with_state: bool) -> list[str]:
    """``--list``: bare names, or a table as soon as a type or a state is wanted."""
    found = list(groups)
    if not (with_type or with_state):
        return [group.group for group in found]
    width = max([15, *(len(group.group) for group in found)]) + 10
    rows = [("GROUP", "TYPE", "STATE"), *((group.group, group.type, group.state) for group in found)]
    return [
        " ".join(
            [f"{name:<{width}}"]
            + ([f"{kind:<20}"] if with_type else [])
            + ([f"{state:<20}"] if with_state else [])
        )
        for name, kind, state in rows
    ]


def offset_lines(group: str, rows: Sequence[OffsetRow], *, verbose: bool) -> list[Line]:
    """``--describe`` and ``--describe --verbose``; no lines at all for a group without partitions."""
    if not rows:
        return []
    members = [row.member for row in rows]
    epoch = ["LEADER-EPOCH"] if verbose else []
    numbers = ["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"]
    widths = [
        *(_width(15, [group]), _width(15, (row.partition.topic for row in rows)), 10),
        *(15 for _ in [*epoch, *numbers]),
        *(
            _width(15, (getattr(member, name) for member in members if member))
            for name in ("member_id", "host")
        ),
        0,
    ]
    header = ["GROUP", "TOPIC", "PARTITION", *epoch, *numbers, "CONSUMER-ID", "HOST", "CLIENT-ID"]
    lines = [_line(header, widths)]
    for row in rows:
        at, member = row.committed, row.member
        values = [at.leader_epoch if at else None] if verbose else []
        values += [at.offset if at else None, row.end, row.lag]
        owner = (member.member_id, member.host, member.client_id) if member else (MISSING,) * 3
        cells = [group, row.partition.topic, str(row.partition.partition), *map(_cell, values), *owner]
        lines.append(_line(cells, widths, member.member_id if member else None))
    return lines


def member_lines(group: GroupDescription, *, verbose: bool) -> list[Line]:
    """``--describe --members``, also ``--verbose``; static ids have a column if any member has one."""
    members = group.members
    static = any(member.instance_id for member in members)
    header = [
        "GROUP",
        "CONSUMER-ID",
        *(["GROUP-INSTANCE-ID"] if static else []),
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
    ]
    minima = [15, 15, *([17] if static else []), 15, 15, 15]
    if verbose:
        header += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"]
        minima += [15, 20, 15, 20]
    rows = [_member_cells(group.group, member, static=static, verbose=verbose) for member in members]
    widths = [_width(minimum, (row[i] for row in rows)) for i, minimum in enumerate(minima)]
    owners: list[str | None] = [None, *(member.member_id for member in members)]
    # Kafka ends the short form with a blank, which its --verbose form continues from.
    end = "" if verbose else " "
    return [_line(row, widths, owner, end) for row, owner in zip([header, *rows], owners, strict=True)]


def state_lines(group: GroupDescription, *, verbose: bool) -> list[Line]:
    """``--describe --state`` and its ``--verbose``."""
    at = group.coordinator
    coordinator = f"{at.host}:{at.port}  ({at.id})" if at else MISSING
    widths = [_width(15, [group.group]), _width(25, [coordinator]), 20, 20]
    header = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]
    cells = [group.group, coordinator, group.assignor or MISSING, group.state]
    if verbose:
        widths += [15, 25]
        header += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]
        cells += [MISSING, MISSING]
    widths.append(0)
    return [_line([*header, "#MEMBERS"], widths), _line([*cells, str(len(group.members))], widths)]


def assignment_text(partitions: Iterable[TopicPartition]) -> str:
    """``topic:0,1;other:3``, or ``-`` for none."""
    by_topic = itertools.groupby(sorted(partitions), key=lambda tp: tp.topic)
    return (
        ";".join(f"{topic}:{','.join(str(tp.partition) for tp in tps)}" for topic, tps in by_topic) or MISSING
    )


def _line(cells: Sequence[str], widths: Sequence[int], member_id: str | None = None, end: str = "") -> Line:
    text = " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) + end
    return Line(text, member_id, tuple(cells))


def _member_cells(group: str, member: MemberDescription, *, static: bool, verbose: bool) -> list[str]:
    cells = [group, member.member_id]
    if static:
        cells.append(member.instance_id or MISSING)
    cells += [member.host, member.client_id, str(len(member.assignment))]
    if verbose:
        target = MISSING if member.target is None else assignment_text(member.target)
        cells += [MISSING, assignment_text(member.assignment), MISSING, target]
    return cells


def _width(minimum: int, texts: Iterable[str]) -> int:
    return max([minimum, *map(len, texts)])


def _cell(value: int | None) -> str:
    return MISSING if value is None else str(value)
