"""One group: its head lines, its members and its partitions, without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from rota.model import count_of
from rota.monitor.findings import worst
from rota.monitor.words import (
    LEVEL_SIGNS,
    age,
    count,
    level_text,
    method_text,
    per_second,
    time_text,
)
from rota.top.head import LEVEL_STYLES, finding_line, lag_line
from rota.top.lines import wrap
from rota.top.strip import draw_strip, look_style, mark
from rota.top.table import Column

if TYPE_CHECKING:
    from rota.monitor.cast import Cast
    from rota.monitor.view import GroupView, MemberView, PartitionView, RebalanceView
    from rota.top.table import Cell

__all__ = [
    "MEMBER_COLUMNS",
    "PARTITION_COLUMNS",
    "draw_head",
    "generation_word",
    "member_cells",
    "partition_cells",
]

MEMBER_COLUMNS: Final = (
    Column("owner", "", 3),
    Column("name", "MEMBER", 14, least=14),
    Column("host", "HOST", 15, rank=4),
    Column("static", "STATIC", 6, rank=6),
    Column("parts", "PARTS", 5, right=True),
    Column("lag", "LAG", 9, right=True),
    Column("time", "TIME LAG", 9, right=True, rank=1),
    Column("out", "OUT/s", 7, right=True, rank=2),
    Column("commit", "COMMITTED", 9, right=True, rank=5),
    Column("doing", "IS", 12, rank=3, grows=True),
)

PARTITION_COLUMNS: Final = (
    Column("name", "PARTITION", 12, least=12),
    Column("owner", "OWNER", 14, rank=2),
    Column("committed", "COMMITTED", 12, right=True, rank=4),
    Column("end", "LOG END", 12, right=True, rank=5),
    Column("lag", "LAG", 9, right=True),
    Column("time", "TIME LAG", 9, right=True),
    Column("method", "BY", 9, rank=6),
    Column("in", "IN/s", 7, right=True, rank=8),
    Column("out", "OUT/s", 7, right=True, rank=3),
    Column("level", "LEVEL", 12, rank=9),
    Column("note", "", 6, rank=1, grows=True),
)


def generation_word(view: GroupView) -> str:
    """What Kafka calls a generation in this kind of group."""
    return "epoch" if view.facts.type == "Consumer" else "generation"


def draw_head(view: GroupView, cast: Cast, width: int, height: int, now_ms: int, last: str) -> list[Text]:
    """What it is, why it rebalances (or did last: ``last``), how far behind, what is wrong, who holds what.

    At most ``height`` lines, of which four and more are for text.
    """
    lines = [_cut(_title(view, now_ms), width)]
    lines += wrap([_cause(view, now_ms, last)], width, indent=7)[: 2 if height > 5 else 1]
    lines.append(_cut(lag_line(view, width), width))
    found = worst(view.findings)
    if found is not None:
        more = f" (and {len(view.findings) - 1} more: f)" if len(view.findings) > 1 else ""
        lines += wrap([finding_line(found, more)], width, indent=2)[: 2 if height > 12 else 1]
    return [*lines, *draw_strip(view, cast, width, max(2, height - len(lines)), now_ms)]


def _cut(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def _title(view: GroupView, now_ms: int) -> Text:
    facts = view.facts
    line = Text.assemble((f" {facts.group} ", "bold reverse"), "  ")
    busy = view.rebalance is not None or facts.is_rebalancing
    if busy:
        since_ms = view.rebalance.started_ms if view.rebalance is not None else facts.state_since_ms
        clock = "" if since_ms is None else f" {age((now_ms - since_ms) / 1000)}"
        line.append(f" REBALANCING{clock} ", "bold reverse yellow")
    else:
        line.append(facts.state, "bold green" if facts.state == "Stable" else "bold")
    if facts.epoch is not None:
        line.append(f"  {generation_word(view)} {facts.epoch}")
        if facts.target_epoch is not None and facts.target_epoch != facts.epoch:
            line.append(f" (target {facts.target_epoch})")
    line.append(f"  {count_of(len(facts.members), 'member')}")
    line.append(f"  {facts.type.lower()}{f', {facts.assignor}' if facts.assignor else ''}")
    if busy:
        line.append(f"  {facts.state}", "yellow")
    if facts.coordinator is not None:
        line.append(f"  coordinator {facts.coordinator.id}", "dim")
    return line


def _cause(view: GroupView, now_ms: int, last: str) -> Text:
    going_on = view.rebalance
    if going_on is None:
        return Text(f" {last}", "dim")
    line = Text.assemble((" Cause ", "dim"), (going_on.words, "bold yellow"))
    if going_on.paused:
        line.append(f"; {_waiting(going_on, len(view.partitions), now_ms)}", "bold red")
    if going_on.waiting_for:
        line.append(f"; waiting for {', '.join(going_on.waiting_for)}")
    return line


def _waiting(going_on: RebalanceView, partitions: int, now_ms: int) -> str:
    longest_ms = max(0, now_ms - min(going_on.paused.values()))
    return (
        f"{len(going_on.paused)} of {count_of(partitions, 'partition')} wait, {age(longest_ms / 1000)} so far"
    )


def member_cells(member: MemberView, view: GroupView, cast: Cast, now_ms: int) -> dict[str, Cell]:
    """One row of the members."""
    facts, totals = member.member, member.totals
    look = cast.look(facts.member_id)
    name = cast.name(facts.member_id)
    style = LEVEL_STYLES[totals.rates.level]
    commits = [
        part.commit.at_ms
        for part in view.partitions
        if part.member is not None
        and part.member.member_id == facts.member_id
        and part.commit is not None
        and part.commit.at_ms is not None
    ]
    return {
        "owner": (mark(look), look_style(look)),
        "name": (name, "bold"),
        "host": (facts.host.removeprefix("/"), ""),
        "static": ("yes" if facts.instance_id else "no", ""),
        "parts": (str(len(facts.assignment)), ""),
        "lag": (f"{LEVEL_SIGNS[totals.rates.level]} {count(totals.lag)}", style),
        "time": (time_text(totals.time), style),
        "out": (per_second(totals.rates.consumed_per_s), ""),
        "commit": (age((now_ms - max(commits)) / 1000) if commits else "-", ""),
        "doing": _doing(member, view, name),
    }


def _doing(member: MemberView, view: GroupView, name: str) -> Cell:
    facts = member.member
    if view.rebalance is not None and {name, facts.member_id} & set(view.rebalance.waiting_for):
        return "WAITED FOR", "bold red"
    if facts.target is not None and set(facts.target) != set(facts.assignment):
        gives, gets = set(facts.assignment) - set(facts.target), set(facts.target) - set(facts.assignment)
        texts = ([f"gives back {len(gives)}"] if gives else []) + ([f"gets {len(gets)}"] if gets else [])
        return ", ".join(texts), "bold yellow"
    if view.facts.is_rebalancing and view.facts.type != "Consumer":
        return "joined", "green"
    if not facts.assignment:
        return "idle", "yellow"
    return "reads", ""


def partition_cells(part: PartitionView, cast: Cast) -> dict[str, Cell]:
    """One row of the partitions."""
    style = LEVEL_STYLES[part.rates.level]
    owner: Cell = ("–  nobody", "dim")
    if part.member is not None:
        look = cast.look(part.member.member_id)
        owner = (f"{mark(look)} {cast.name(part.member.member_id)}", look_style(look))
    return {
        "name": (str(part.partition), ""),
        "owner": owner,
        "committed": ("-" if part.commit is None else f"{part.commit.offset:,}", ""),
        "end": ("-" if part.end is None else f"{part.end:,}", ""),
        "lag": (f"{LEVEL_SIGNS[part.rates.level]} {'≤' if part.at_most else ''}{count(part.lag)}", style),
        "time": (time_text(part.time), style),
        "method": (method_text(part.time), ""),
        "in": (per_second(part.rates.produced_per_s), ""),
        "out": (per_second(part.rates.consumed_per_s), ""),
        "level": (level_text(part.rates.level), style),
        "note": _note(part),
    }


def _note(part: PartitionView) -> Cell:
    if part.leaderless:
        return "no leader", "bold red"
    if part.lost:
        return f"{count(part.lost)} LOST to retention", "bold red"
    if part.beyond_end:
        return f"commit {count(part.beyond_end)} beyond the end", "bold red"
    if part.blocked_by_transaction:
        return f"{count(part.blocked_by_transaction)} behind an open transaction", "yellow"
    if part.commit is None:
        return "nothing committed", "dim"
    return "", ""
