"""The lab's screen, drawn anew from a `Board` each time; it fits itself to the terminal."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from rota.monitor.findings import worst
from rota.rehearsal.board import more_findings
from rota.rehearsal.scroll import around
from rota.rehearsal.seats import SeatState
from rota.rehearsal.story import clock_text, runs
from rota.timeline.look import seconds
from rota.top.head import finding_line, lag_line
from rota.top.strip import look_style, mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import TopicPartition
    from rota.rehearsal.board import Board, ConsumerRow, PartitionRow
    from rota.rehearsal.lab import Lab
    from rota.rehearsal.scroll import Scroll
    from rota.rehearsal.session import Line

__all__ = ["View", "draw_screen"]

STRIP_MS = 60_000
LEAST_STRIP = 12
LEAST_NEWS = 3
NARROW = 74
ROOMY = 20

KEYS = (
    ("a", "add"),
    ("k", "kill -9"),
    ("s", "stop"),
    ("f", "freeze/thaw"),
    ("d", "slower"),
    ("u", "faster"),
    ("m", "hang"),
    ("n", "new partition"),
    ("1-9", "choose"),
    ("+ -", "rate"),
    ("p", "script"),
    ("?", "help"),
    ("q", "quit"),
)

HELP = (
    ("1 … 9", "choose a consumer; k, s, f, d and u then concern it"),
    ("a", "add: start one that does not run, or one more"),
    ("k", "kill -9: gone without a word; the group notices when its session times out"),
    ("s", "stop (SIGTERM): it commits and leaves; the group notices at once"),
    ("f", "freeze (SIGSTOP), again f: thaw; a frozen one is silent, then wakes up as a zombie"),
    ("d  u", "slow down, speed up: how long its handler takes for one record"),
    ("m", "hang, again m: as before; a handler slower than max.poll.interval.ms"),
    ("n", "one more partition for the topic; keys may change their partition"),
    ("+  -", "more, fewer events a second from the producer"),
    ("↑ ↓", "scroll the partitions, PgUp and PgDn by a page, where they are too many for the window"),
    ("p", "play the script: kill, come back, leave, overload, scale out"),
    ("q", "quit: what is left is read, then the summary"),
)

HELP_STATIC = {
    "s": "stop (SIGTERM): it commits; a static member says no goodbye: noticed only after the session timeout"
}
"""What differs with --static."""


@dataclass(frozen=True)
class View:
    """What a screen is drawn from."""

    board: Board
    lab: Lab
    chosen: int
    lines: Sequence[Line]
    help: bool
    age_s: float
    scroll: Scroll


def draw_screen(view: View, width: int, height: int) -> Group:
    """All of it, ``height`` rows or fewer. Help that needs the room takes that of the tables."""
    keys = _key_lines(width)
    head = [*_head(view, width), *_seen(view, width, height), Text("")]
    fixed = len(head) + 4 + len(keys)  # heads, lines below the tables, keys
    parts, seats = _shared_out(view, height - fixed - LEAST_NEWS)
    partitions: list[Text | Table] = [
        _partitions(view, width, parts),
        _cut(_more_partitions(view, parts), width),
    ]
    consumers: list[Text | Table] = [_consumers(view, seats), _cut(_more_consumers(view, seats), width)]
    room = height - fixed - len(parts) - len(seats)
    needed = len(_help(width, static=view.lab.settings.static)) if view.help else 0
    if needed > room:
        room += len(seats) + 2
        consumers.clear()
    if needed > room:
        room += len(parts) + 2
        partitions.clear()
    return Group(*head, *partitions, *consumers, *_lower(view, width, room), *keys)


def _shared_out(view: View, rows: int) -> tuple[range, list[ConsumerRow]]:
    """Which partitions and which consumers so many rows show, at least one of each.

    Consumers that read nothing give way first; then partitions and consumers have half of the rows each.
    """
    board = view.board
    count = len(board.partitions)
    keep = [row for row in board.consumers if row.held or row.number == view.chosen]
    spare = rows - count
    if spare >= len(keep):
        fill = [row for row in board.consumers if row not in keep][: spare - len(keep)]
        seats = [row for row in board.consumers if row in keep or row in fill]
    else:
        chosen = next((place for place, row in enumerate(keep) if row.number == view.chosen), 0)
        seats = [keep[place] for place in around(chosen, len(keep), max(1, spare, rows // 2))]
    return view.scroll.fit(count, rows - len(seats)), seats


def _more_partitions(view: View, shown: range) -> Text:
    above, below = shown.start, len(view.board.partitions) - shown.stop
    if not above and not below:
        return Text("")
    where = " and ".join(f"{count} {word}" for count, word in ((above, "above"), (below, "below")) if count)
    return Text(f" {where}: ↑ ↓ PgUp PgDn", "dim")


def _more_consumers(view: View, shown: Sequence[ConsumerRow]) -> Text:
    hidden = [row for row in view.board.consumers if row not in shown]
    if not hidden:
        return Text("")
    what = " more" if any(row.held for row in hidden) else " more, reading nothing"
    return Text(f" {len(hidden)}{what}: {' '.join(str(row.number) for row in hidden)}", "dim")


def _head(view: View, width: int) -> list[Text]:
    settings, board = view.lab.settings, view.board
    clock = f"{int(view.age_s) // 60}:{int(view.age_s) % 60:02}"
    static = ", static members" if settings.static else ""
    title = Text.assemble(
        (" rota lab ", "bold reverse"), f"  {settings.group}", (f"  {view.lab.rate:g} events/s", "dim")
    )
    protocol = "consumer protocol, " if settings.server_side else ""
    title.append(f", {protocol}{settings.assignor}, {settings.kind_words}{static}", "dim")
    title.truncate(max(10, width - len(clock) - 1))
    title.append(" " * max(1, width - title.cell_len - len(clock)) + clock)
    state = Text(" Group  ", "dim")
    busy = board.state.startswith("rebalancing")
    state.append(board.state, "bold yellow" if busy else "bold green" if board.state == "stable" else "bold")
    if board.generation is not None:
        state.append(f", {board.generation_word} {board.generation}")
    state.append(_totals(view, width - state.cell_len))
    last = Text(" Last rebalance  ", "dim").append(board.last_rebalance, "yellow" if busy else "")
    return [_cut(title, width), _cut(state, width), _cut(last, width)]


def _seen(view: View, width: int, height: int) -> list[Text]:
    """The group's lag and the doctor's worst finding, as `rota top` has them; a small window has other worries."""
    seen = view.board.view
    if seen is None or height < ROOMY:
        return []
    found = worst(seen.findings)
    said = Text(" Doctor  nothing wrong", "dim")
    if found is not None:
        more = more_findings(seen)  # is there also where the words are cut
        said = Text.assemble((" Doctor ", "dim"), finding_line(found))
        said = _cut(said, width - len(more)).append(more, "dim")
    return [_cut(lag_line(seen, width), width), said]


def _totals(view: View, room: int) -> str:
    summary = view.board.summary
    if view.lab.ending:
        return f"   finishing: {_records(view.lab.unread())} left to read"
    lost = f"{summary.lost:,} LOST" if summary.lost else "none lost"
    whole = f"   {summary.produced:,} acknowledged, {summary.processed_again:,} processed twice, {lost}"
    return (
        whole
        if len(whole) <= room
        else f"   {lost}, {summary.processed_again:,} twice of {summary.produced:,}"
    )


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _partitions(view: View, width: int, shown: range) -> Table:
    table = _table()
    narrow = width < NARROW
    for name in ("PARTITION", "OWNER"):
        table.add_column(name, no_wrap=True)
    for name in (() if narrow else ("COMMITTED", "LOG-END")) + ("LAG", "RATE", "WAITS"):
        table.add_column(name, justify="right", no_wrap=True)
    cells = width - 74
    if cells >= LEAST_STRIP:
        table.add_column(f"LAST {min(STRIP_MS // 1000, cells)} s", no_wrap=True)
    rows = {row.name: row for row in view.board.consumers}
    for row in view.board.partitions[shown.start : shown.stop]:
        line = [
            Text(f" {row.partition}"),
            _owner(row, rows),
            *([] if narrow else [Text(f"{row.committed:,}"), Text(f"{row.log_end:,}")]),
            Text(f"{row.lag:,}", "bold yellow" if row.lag > 5 * max(row.rate, 10) else ""),
            Text(f"{row.rate:.0f}/s"),
            Text("–", "dim") if row.waits_ms is None else Text(seconds(row.waits_ms), "bold red"),
        ]
        if cells >= LEAST_STRIP:
            line.append(_strip(view, row.partition, min(cells, STRIP_MS // 1000)))
        table.add_row(*line)
    return table


def _owner(row: PartitionRow, rows: dict[str, ConsumerRow]) -> Text:
    if row.owner is None or row.owner not in rows:
        return Text(row.owner or " –  nobody    ", "bold red")
    return _label(rows[row.owner]).append(f" {row.owner}", "")


def _label(row: ConsumerRow) -> Text:
    return Text.assemble((mark(row.look), f"bold {look_style(row.look)}"))


def _strip(view: View, partition: int, cells: int) -> Text:
    """One cell a second, the newest at the right: who owned it, ``·`` where records waited."""
    timeline = view.lab.timeline
    tp: TopicPartition = view.lab.partitions()[partition]
    end_ms = timeline.end_ms
    spans = timeline.ownership(tp)
    pauses = [pause for pause in view.board.summary.pauses if pause.partition == tp]
    rows = {row.name: row for row in view.board.consumers}
    text = Text()
    for cell in range(cells):
        at_ms = end_ms - (cells - cell) * 1000 + 500
        owner = next((s.consumer for s in spans if s.start_ms <= at_ms < (s.end_ms or at_ms + 1)), None)
        waits = any(p.start_ms <= at_ms < p.start_ms + p.duration_ms for p in pauses)
        look = rows[owner].look if owner in rows else None
        if waits:
            text.append("·", "bold red")
        elif look is not None:
            text.append(mark(look, 1), look_style(look))
        else:
            text.append(" ")
    return text


def _consumers(view: View, shown: Sequence[ConsumerRow]) -> Table:
    table = _table()
    for name in ("CONSUMER", "PROCESS", "IS", "READS"):
        table.add_column(name, no_wrap=True)
    for name in ("RATE", "HANDLER"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in shown:
        mark = Text("▶" if row.number == view.chosen else " ", "bold")
        held = runs(row.held) or _reads_nothing(row, view.board.state)
        style = "" if row.state == "running" else "bold yellow" if row.pid is not None else "red"
        table.add_row(
            mark.append_text(_label(row)).append(f" {row.name}", "bold" if row.number == view.chosen else ""),
            Text(str(row.pid or "–")),
            Text(row.state, style),
            Text(held),
            Text(f"{row.rate:.0f}/s"),
            Text(f"{row.delay_ms:g} ms"),
        )
    return table


def _reads_nothing(row: ConsumerRow, group: str) -> str:
    """Only who runs in a group at rest is idle: others wait for the group, or are not in it."""
    if row.state != SeatState.RUNNING:
        return "–"
    return "nothing: waits" if group.startswith("rebalancing") else "nothing: idle"


def _lower(view: View, width: int, room: int) -> list[Text]:
    """What happened last, or the help, in exactly ``room`` rows."""
    if room <= 0:
        return []
    lines: list[Text] = []
    if view.help:
        lines = _help(width, static=view.lab.settings.static)[:room]
    else:
        for line in list(view.lines)[-room:]:
            style = "bold cyan" if line.loud else "default not dim"
            lines += _wrapped(f" {clock_text(line.at_ms)}  ", line.text, style, width)
        lines = lines[-room:]
    return [*lines, *(Text("") for _ in range(room - len(lines)))]


def _help(width: int, *, static: bool) -> list[Text]:
    rows = [(key, HELP_STATIC.get(key, words) if static else words) for key, words in HELP]
    return [line for key, words in rows for line in _wrapped(f" {key:<7}", words, "", width)]


def _wrapped(label: str, words: str, style: str, width: int) -> list[Text]:
    """The words beside their label, in as many lines as they need."""
    pieces = textwrap.wrap(words, max(10, width - len(label))) or [""]
    heads = [label, *[" " * len(label)] * (len(pieces) - 1)]
    return [
        _cut(Text.assemble((head, "dim"), (piece, style)), width)
        for head, piece in zip(heads, pieces, strict=True)
    ]


def _key_lines(width: int) -> list[Text]:
    lines = [Text(" ")]
    for key, words in KEYS:
        piece = Text.assemble((key, "bold reverse"), f" {words}  ")
        if lines[-1].cell_len + piece.cell_len - 2 > width:
            lines.append(Text(" "))
        lines[-1].append_text(piece)
    for line in lines:
        line.rstrip()
    return lines


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    text.no_wrap = True
    return text
