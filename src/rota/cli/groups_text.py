"""The layouts of ``kafka-consumer-groups`` 4.1, column for column.

Every function takes what `rota.monitor.facts` has and gives lines; a value that does not exist, or that nobody can
tell, is ``-``, as there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.model import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rota.model import TopicPartition
    from rota.monitor.facts import Commit, GroupFacts, GroupListing, MemberFacts
    from rota.monitor.view import TimeLag

__all__ = [
    "Line",
    "OffsetRow",
    "list_lines",
    "member_lines",
    "member_table",
    "offset_lines",
    "offset_rows",
    "offset_table",
    "state_lines",
    "state_table",
]

MISSING = "-"
INSTANCE = "GROUP-INSTANCE-ID"
OWNER = ("CONSUMER-ID", "HOST", "CLIENT-ID")
TIME = ("TIME-LAG", "METHOD", "QUALITY")
WIDENED = frozenset({"GROUP", "TOPIC", "CONSUMER-ID", "HOST", "CLIENT-ID"})
"""The columns of offsets that grow with what is in them; the last one needs no width."""
NEVER_WIDER = frozenset({"#PARTITIONS", "CURRENT-EPOCH", "TARGET-EPOCH", "UPGRADED"})
"""Of members those that do not."""


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
    committed: Commit | None
    end: int | None
    member: MemberFacts | None
    time: TimeLag | None = None
    """How late that is, where it was asked for."""

    @property
    def lag(self) -> int | None:
        """Records between the commit and the end; None without one of them. Never clamped, as in Kafka."""
        return None if self.committed is None or self.end is None else self.end - self.committed.offset


def offset_rows(
    group: GroupFacts,
    committed: Mapping[TopicPartition, Commit],
    ends: Mapping[TopicPartition, int | None],
    times: Mapping[TopicPartition, TimeLag] | None = None,
) -> list[OffsetRow]:
    """Members with the most partitions first, then what was committed and is nobody's now."""
    owned = group.owners()
    places = [(tp, member) for member in group.members for tp in member.assignment]
    rest = [(tp, None) for tp in sorted(committed) if tp not in owned]
    late = times or {}
    return [
        OffsetRow(tp, committed.get(tp), ends.get(tp), member, late.get(tp))
        for tp, member in [*places, *rest]
    ]


def list_lines(groups: Iterable[GroupListing], *, with_type: bool, with_state: bool) -> list[str]:
    """``--list``: bare names, or a table as soon as a type or a state is wanted."""
    found = [tuple(map(printable, (each.group, each.type, each.state))) for each in groups]
    if not (with_type or with_state):
        return [name for name, _, _ in found]
    width = max([15, *(len(name) for name, _, _ in found)]) + 10
    rows = [("GROUP", "TYPE", "STATE"), *found]
    return [
        " ".join(
            [f"{name:<{width}}"]
            + ([f"{kind:<20}"] if with_type else [])
            + ([f"{state:<20}"] if with_state else [])
        )
        for name, kind, state in rows
    ]


Table = tuple[list[str], list[list[str]]]
"""A header and the cells of each row, exact as CSV has them."""


def offset_table(group: str, rows: Iterable[OffsetRow], *, verbose: bool, with_time: bool = False) -> Table:
    """The columns of ``--describe``, also ``--verbose``; with lag in time behind them."""
    epoch = ["LEADER-EPOCH"] if verbose else []
    header = ["GROUP", "TOPIC", "PARTITION", *epoch, "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", *OWNER]
    header += TIME if with_time else []
    cells = []
    for row in rows:
        at, member = row.committed, row.member
        values = [at.leader_epoch if at else None] if verbose else []
        values += [at.offset if at else None, row.end, row.lag]
        owner = (member.member_id, member.host, member.client_id) if member else (MISSING,) * 3
        late = _time_cells(row.time) if with_time else []
        place = [group, row.partition.topic, str(row.partition.partition)]
        cells.append([*place, *map(_cell, values), *owner, *late])
    return header, cells


def offset_lines(
    group: str, rows: Sequence[OffsetRow], *, verbose: bool, with_time: bool = False
) -> list[Line]:
    """``--describe`` and ``--describe --verbose``; no lines at all for a group without partitions."""
    if not rows:
        return []
    header, cells = _shown(offset_table(group, rows, verbose=verbose, with_time=with_time))
    minima = [10 if name == "PARTITION" else 15 for name in header]
    minima[-1] = 0
    widths = [
        _width(minimum, (row[i] for row in cells)) if minimum and header[i] in WIDENED else minimum
        for i, minimum in enumerate(minima)
    ]
    owners = [None, *(printable(row.member.member_id) if row.member else None for row in rows)]
    return [_line(row, widths, owner) for row, owner in zip([header, *cells], owners, strict=True)]


def member_table(group: GroupFacts, *, verbose: bool, static: bool, mixed: bool) -> Table:
    """The columns of ``--describe --members``; ``static`` with the names of static members, ``mixed`` with who speaks
    the consumer protocol.
    """
    header = ["GROUP", "CONSUMER-ID", *([INSTANCE] if static else []), "HOST", "CLIENT-ID", "#PARTITIONS"]
    if verbose:
        header += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"]
        header += ["UPGRADED"] if mixed else []
    return header, [_member_cells(group, member, header) for member in group.members]


def member_lines(group: GroupFacts, *, verbose: bool) -> list[Line]:
    """``--describe --members``, also ``--verbose``; some columns are there only if any member has a value for them."""
    static = any(member.instance_id for member in group.members)
    mixed = {True, False} <= {member.upgraded for member in group.members}
    header, cells = _shown(member_table(group, verbose=verbose, static=static, mixed=mixed))
    minima = {INSTANCE: 17, "CURRENT-ASSIGNMENT": 20, "TARGET-ASSIGNMENT": 20, "UPGRADED": 0}
    widths = [
        minima.get(name, 15)
        if name in NEVER_WIDER
        else _width(minima.get(name, 15), (row[i] for row in cells))
        for i, name in enumerate(header)
    ]
    owners: list[str | None] = [None, *(printable(member.member_id) for member in group.members)]
    # Kafka ends the short form with a blank, which its --verbose form continues from.
    end = "" if verbose else " "
    return [_line(row, widths, owner, end) for row, owner in zip([header, *cells], owners, strict=True)]


def state_table(group: GroupFacts, *, verbose: bool) -> Table:
    """The columns of ``--describe --state``, also ``--verbose``."""
    at = group.coordinator
    coordinator = f"{at.host}:{at.port}  ({at.id})" if at else MISSING
    header = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]
    cells = [group.group, coordinator, group.assignor or MISSING, group.state]
    if verbose:
        header += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]
        cells += [_cell(_epoch(group)), _cell(group.target_epoch)]
    return [*header, "#MEMBERS"], [[*cells, str(len(group.members))]]


def state_lines(group: GroupFacts, *, verbose: bool) -> list[Line]:
    """``--describe --state`` and its ``--verbose``."""
    header, (cells,) = _shown(state_table(group, verbose=verbose))
    widths = [_width(15, cells[:1]), _width(25, cells[1:2]), 20, 20, *([15, 25] if verbose else []), 0]
    return [_line(header, widths), _line(cells, widths)]


def assignment_text(partitions: Iterable[TopicPartition]) -> str:
    """``topic:0,1;other:3``, or ``-`` for none; sorted as text, as Kafka's tool does it."""
    by_topic = itertools.groupby(sorted(partitions), key=lambda tp: tp.topic)
    texts = [f"{topic}:{','.join(str(tp.partition) for tp in tps)}" for topic, tps in by_topic]
    return ";".join(sorted(texts)) or MISSING


def _shown(made: Table) -> Table:
    """As a terminal may have it; before the columns get their widths."""
    header, rows = made
    return header, [[printable(cell) for cell in row] for row in rows]


def _line(cells: Sequence[str], widths: Sequence[int], member_id: str | None = None, end: str = "") -> Line:
    text = " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) + end
    return Line(text, member_id, tuple(cells))


def _member_cells(group: GroupFacts, member: MemberFacts, header: Sequence[str]) -> list[str]:
    """The cells in the header's order. Kafka's tool shows the group's target epoch as each member's."""
    upgraded = None if member.upgraded is None else str(member.upgraded).lower()
    values = {
        "GROUP": group.group,
        "CONSUMER-ID": member.member_id,
        INSTANCE: member.instance_id,
        "HOST": member.host,
        "CLIENT-ID": member.client_id,
        "#PARTITIONS": str(len(member.assignment)),
        "CURRENT-EPOCH": _cell(member.epoch),
        "CURRENT-ASSIGNMENT": assignment_text(member.assignment),
        "TARGET-EPOCH": _cell(group.target_epoch),
        "TARGET-ASSIGNMENT": assignment_text(member.target or ()),
        "UPGRADED": upgraded,
    }
    return [values[name] or ("" if name == INSTANCE else MISSING) for name in header]


def _time_cells(time: TimeLag | None) -> list[str]:
    from rota.monitor.words import time_text

    return [MISSING] * 3 if time is None else [time_text(time), str(time.method), str(time.quality)]


def _epoch(group: GroupFacts) -> int | None:
    """A classic group's generation is no group epoch."""
    return group.epoch if group.type == "Consumer" else None


def _width(minimum: int, texts: Iterable[str]) -> int:
    return max([minimum, *map(len, texts)])


def _cell(value: int | None) -> str:
    return MISSING if value is None else str(value)
