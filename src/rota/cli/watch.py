"""Looking again and again: redrawn in place on a terminal, block after block into a file or a pipe."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import textwrap
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from rota.cli.output import table
from rota.cli.reader import sleep_while_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rota.cli.groups_text import Line

__all__ = ["Palette", "every", "fit", "watch_text"]

COLOURS = (39, 208, 43, 205, 220, 141, 77, 173)
"""Of the terminal's 256, told apart by most eyes; the ids beside them say the same without colour."""

SHORTEST_ID = 9
READABLE_ID = 16

DISPENSABLE = ("QUALITY", "METHOD", "TARGET-EPOCH", "CURRENT-EPOCH", "HOST", "LEADER-EPOCH", "GROUP")
"""Columns that a narrow window may do without, in this order; the title names the group already."""

SHORTER = {"CURRENT-OFFSET": "CURRENT", "LOG-END-OFFSET": "LOG-END", "CURRENT-ASSIGNMENT": "ASSIGNMENT"}
"""Heads that are wider than what stands below them."""

HOME, CLEAR_SCREEN, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"


class Palette:
    """A colour for each member, kept while the palette lives; none without a terminal or by NO_COLOR."""

    def __init__(self) -> None:
        self._on = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._colours: dict[str, int] = {}

    def paint(self, text: str, member_id: str | None) -> str:
        """The text in its member's colour."""
        if not self._on or member_id is None:
            return text
        colour = self._colours.setdefault(member_id, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[38;5;{colour}m{text}\x1b[0m"


def every(seconds: float) -> Iterator[int]:
    """Count up, once every so many seconds; a late round is not made up for."""
    tick = 0
    while True:
        started = time.monotonic()
        yield tick
        tick += 1
        sleep_while_read(max(0.0, seconds - (time.monotonic() - started)))


def watch_text(seconds: float, title: str, look: Callable[[], Sequence[Line]]) -> None:
    """Show what ``look`` gives every ``seconds``, until Ctrl+C."""
    terminal = sys.stdout.isatty()
    palette = Palette()
    for tick in every(seconds):
        lines = look()
        now = datetime.now().astimezone()
        if terminal:
            head = f"Every {seconds:g} s: {title}"
            text = _screen(head, f"{now:%H:%M:%S}", lines, palette)
            sys.stdout.write((HOME + CLEAR_SCREEN if tick == 0 else HOME) + text)
        else:
            block = "".join(f"{line.text}\n" for line in lines)  # as a single look prints it
            sys.stdout.write(f"# {now.isoformat(timespec='seconds')}\n{block}")
        sys.stdout.flush()


def fit(lines: Sequence[Line], columns: int) -> list[Line]:
    """The same lines for a narrower window.

    Columns become as wide as needed and no wider; then member ids are cut in the middle, as far as they can still
    be told apart; then columns go. What is no table, such as an error, is wrapped.
    """
    if all(len(line.text.rstrip()) <= columns for line in lines):
        return list(lines)
    fitted: list[Line] = []
    for has_cells, group in itertools.groupby(lines, key=lambda line: bool(line.cells)):
        block = list(group)
        fitted += _squeeze(block, columns) if has_cells else _wrap(block, columns)
    return fitted


def _wrap(block: Sequence[Line], columns: int) -> list[Line]:
    return [
        replace(line, text=piece) for line in block for piece in textwrap.wrap(line.text, columns) or [""]
    ]


def _squeeze(block: Sequence[Line], columns: int) -> list[Line]:
    ids = [line.member_id for line in block]
    rows = _cut_ids([list(line.cells) for line in block], ids, columns, READABLE_ID)
    for name in DISPENSABLE:
        rows = _without(rows, name, columns)
    if _widest(rows) > columns:
        rows[0] = [SHORTER.get(name, name) for name in rows[0]]
    rows = _cut_ids(rows, ids, columns, SHORTEST_ID + 3)
    rows = _without(rows, "CLIENT-ID", columns)  # a member id begins with it
    rows = _cut_ids(rows, ids, columns, SHORTEST_ID)
    texts = table(rows[0], rows[1:], gap=1)
    return [replace(line, text=text) for line, text in zip(block, texts, strict=True)]


def _cut_ids(
    rows: list[list[str]], ids: Sequence[str | None], columns: int, shortest: int
) -> list[list[str]]:
    """The table with ids as short as need be, but no shorter than that."""
    if "CONSUMER-ID" not in rows[0]:
        return rows
    at = rows[0].index("CONSUMER-ID")
    longest = max((len(row[at]) for row in rows[1:]), default=0)
    excess = _widest(rows) - columns
    if excess <= 0 or longest <= shortest:
        return rows
    room = max(shortest, longest - excess)
    return [
        [*row[:at], row[at] if member_id is None else _shorten(member_id, room), *row[at + 1 :]]
        for row, member_id in zip(rows, ids, strict=True)
    ]


def _without(rows: list[list[str]], name: str, columns: int) -> list[list[str]]:
    if _widest(rows) <= columns or name not in rows[0]:
        return rows
    at = rows[0].index(name)
    return [row[:at] + row[at + 1 :] for row in rows]


def _widest(rows: Sequence[Sequence[str]]) -> int:
    return max(map(len, table(rows[0], rows[1:], gap=1)))


def _shorten(text: str, room: int) -> str:
    """``consumer-1-8c…07e2``: both ends of an id tell it apart, the middle never does."""
    if len(text) <= room:
        return text
    tail = min(4, room // 3)
    return f"{text[: room - tail - 1]}…{text[-tail:]}"


def _screen(head: str, clock: str, lines: Sequence[Line], palette: Palette) -> str:
    """One screenful: cut to the terminal's size, each line cleared behind its end, the rest cleared below."""
    columns, rows = shutil.get_terminal_size()
    body = fit(
        lines[1:] if lines and not lines[0].text else lines, columns
    )  # the title has a blank line already
    room = max(1, rows - 3)
    hidden = len(body) - room
    if hidden > 0:
        body = body[: room - 1]
    drawn = [f"{head[: columns - len(clock) - 1]:<{columns - len(clock)}}{clock}", ""]
    drawn += [palette.paint(line.text.rstrip()[:columns], line.member_id) for line in body]
    if hidden > 0:
        drawn.append(f"… and {hidden + 1} more lines; a taller window shows them"[:columns])
    return "".join(f"{line}{CLEAR_LINE}\n" for line in drawn) + CLEAR_BELOW
