"""Who holds which partition: a cell for each, with the owner's letter, colour and texture, or how long it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from rota.timeline.look import TEXTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.monitor.cast import Cast
    from rota.monitor.view import GroupView, PartitionView
    from rota.timeline.look import Look

__all__ = ["draw_strip", "look_style", "mark"]

CELL: Final = 4
FRESH_MS: Final = 10_000
"""How long a change of owner is marked."""
WAITS: Final = "bold reverse red"
NOBODY: Final = "dim"
MOST_LABEL: Final = 24


def mark(look: Look, width: int = 3) -> str:
    """An owner's letter on its texture: ``╱2╱``; the same without colours."""
    texture = TEXTURES[look.pattern]
    return {1: look.sign, 2: look.sign + texture}.get(width, f"{texture}{look.sign}{texture}")


def look_style(look: Look) -> str:
    """An owner's colours in rich's words."""
    return f"{look.ink} on {look.colour}"


def draw_strip(view: GroupView, cast: Cast, width: int, height: int, now_ms: int) -> list[Text]:
    """All partitions in at most ``height`` lines, as roomy as fits; what does not is counted."""
    topics = _topics(view)
    if not topics or height < 1:
        return []
    label = min(max(len(topic) for topic in topics), max(8, min(MOST_LABEL, width // 4)))
    for cell in (CELL, 2, 1):
        lines = _drawn(view, cast, topics, width, label, cell, now_ms)
        if len(lines) <= height:
            return lines
    shown = lines[: height - 1]
    return [*shown, Text(f" … {len(lines) - len(shown)} more lines of partitions: p lists them all", "dim")]


def _drawn(
    view: GroupView,
    cast: Cast,
    topics: dict[str, list[PartitionView]],
    width: int,
    label: int,
    cell: int,
    now_ms: int,
) -> list[Text]:
    lines: list[Text] = []
    per_line = max(1, (width - label - 2 - (0 if cell == CELL else 6)) // cell)
    if cell != CELL and per_line > 10:
        per_line -= per_line % 10
    for topic, parts in topics.items():
        for start in range(0, len(parts), per_line):
            chunk = parts[start : start + per_line]
            name = _cut(topic, label) if start == 0 else ""
            if cell == CELL:
                lines += _roomy(view, cast, name, label, chunk, now_ms)
            else:
                first = f" {name:<{label}} {chunk[0].partition.partition:>4} "
                line = Text(first, "dim" if not name else "", no_wrap=True)
                for part in chunk:
                    line.append(*_cell(view, cast, part, cell, now_ms))
                lines.append(line)
    return lines


def _roomy(
    view: GroupView, cast: Cast, name: str, label: int, chunk: Sequence[PartitionView], now_ms: int
) -> list[Text]:
    """Numbers above, owners below."""
    heads = Text(f" {'':<{label}} ", no_wrap=True)
    cells = Text(f" {name:<{label}} ", no_wrap=True)
    for part in chunk:
        heads.append(f"{part.partition.partition:^{CELL - 1}} ", "dim")
        cells.append(*_cell(view, cast, part, CELL - 1, now_ms)).append(" ")
    return [heads, cells]


def _cell(view: GroupView, cast: Cast, part: PartitionView, width: int, now_ms: int) -> tuple[str, str]:
    paused = view.rebalance.paused if view.rebalance is not None else {}
    since_ms = paused.get(part.partition)
    if since_ms is not None:
        return (_clock(now_ms - since_ms).center(width) if width > 2 else "·" * width), WAITS
    if part.member is None:
        return ("––" if width > 1 else "–").center(width), NOBODY
    look = cast.look(part.member.member_id)
    moved = cast.handovers.get(part.partition)
    if moved is not None and moved.giver and moved.taker and now_ms - moved.at_ms < FRESH_MS and width > 2:
        text = f"{cast.look_of(moved.giver).sign}→{look.sign}"
        return text.center(width), f"bold {look_style(look)}"
    return mark(look, width), look_style(look)


def _clock(waits_ms: int) -> str:
    """At most three letters: ``1.8`` seconds, ``12s``, ``3m``, ``2h``, ``9d``."""
    waits_s = max(0, waits_ms) / 1000
    if waits_s < 9.95:
        return f"{waits_s:.1f}"
    for unit, size, most in (("s", 1, 99.5), ("m", 60, 5970), ("h", 3600, 356_400)):
        if waits_s < most:
            return f"{waits_s / size:.0f}{unit}"
    return f"{min(99, waits_s / 86_400):.0f}d"


def _topics(view: GroupView) -> dict[str, list[PartitionView]]:
    found: dict[str, list[PartitionView]] = {}
    for part in view.partitions:
        found.setdefault(part.partition.topic, []).append(part)
    return found


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
