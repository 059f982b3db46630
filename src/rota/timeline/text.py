"""A timeline as text for terminals: one line per partition, one letter per consumer, time from left to
right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.model import printable
from rota.timeline.look import Look, looks, seconds
from rota.timeline.signs import is_fatal, wrapped
from rota.timeline.svg import describe

if TYPE_CHECKING:
    from rota.model import TopicPartition
    from rota.timeline.summary import Summary
    from rota.timeline.timeline import Timeline

__all__ = ["draw_text"]

_PAUSE: Final = "·"
_KILLED: Final = "x"
_AGAIN: Final = "!"
_LOST: Final = "?"
_BUSY: Final = "▔"
_RESET: Final = "\x1b[0m"


def draw_text(timeline: Timeline, width: int = 80, color: bool = False, *, rebalances: bool = True) -> str:
    """The picture, at most ``width`` columns wide, ending in a newline.

    A cell of a strip shows who owned the partition for most of its time; ``·`` where records waited for a
    third of it, ``x`` where the owner was killed, ``!`` where records came again, ``?`` where some were lost. The
    line above the strips numbers the rebalances. ``color`` adds ANSI colours of 24 bits; nothing is told by
    them alone. ``rebalances``: list them, with their reasons, under the strips.
    """
    return _Drawing(timeline, max(width, 40), color).draw(rebalances)


class _Drawing:
    def __init__(self, timeline: Timeline, width: int, color: bool) -> None:
        self._timeline = timeline
        self._summary: Summary = timeline.summary()
        self._width = width
        self._color = color
        self._looks = looks(self._summary.consumers)
        parts = self._summary.partitions
        one_topic = len({part.partition.topic for part in parts}) <= 1
        self._labels = [
            f"P{part.partition.partition}" if one_topic else printable(str(part.partition)) for part in parts
        ]
        longest = max((len(label) for label in self._labels), default=2)
        self._margin = min(longest, width // 4)
        self._cells = max(width - self._margin - 2 - 16, 10)

    def draw(self, rebalances: bool) -> str:
        """All lines."""
        lines = [*wrapped(describe(self._summary).split(" · "), self._width, " · "), ""]
        if self._summary.rebalances:
            lines.append(self._framed("", self._rebalance_line(), ""))
        for part, label in zip(self._summary.partitions, self._labels, strict=True):
            pause = f"{_PAUSE} {seconds(part.longest_pause_ms)}" if part.longest_pause_ms else ""
            again = part.processed_again or part.delivered_again
            repeated = f"{_AGAIN} {again}" if again else ""
            lines.append(self._framed(label, self._strip(part.partition), f"{pause:<8}{repeated}"))
        lines += [self._framed("", self._axis(), ""), "", *self._legend()]
        for index, item in enumerate(self._summary.rebalances if rebalances else (), start=1):
            took = item.rebalance.duration_ms
            ended = "not completed" if took is None else f"took {seconds(took)}"
            reasons = "; ".join((item.rebalance.words, *item.rebalance.also))
            paused = f", {item.paused} paused" if item.paused else ""
            text = (
                f"{index:>3} {self._since(item.rebalance.started_ms)}: {printable(reasons)} ({ended}{paused})"
            )
            lines.append(_cut(text, self._width))
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _framed(self, label: str, strip: str, right: str) -> str:
        return f"{_cut(label, self._margin):>{self._margin}} {strip} {right}"

    def _since(self, at_ms: int) -> str:
        return f"{(at_ms - self._summary.start_ms) / 1000:.1f} s"

    def _cell(self, at_ms: int) -> int:
        length = max(self._summary.end_ms - self._summary.start_ms, 1)
        return min(max((at_ms - self._summary.start_ms) * self._cells // length, 0), self._cells - 1)

    def _bounds(self, cell: int) -> tuple[float, float]:
        length = max(self._summary.end_ms - self._summary.start_ms, 1)
        start = self._summary.start_ms + cell * length / self._cells
        return start, start + length / self._cells

    def _strip(self, partition: TopicPartition) -> str:
        marks = self._marks(partition)
        owners = self._owners(partition)
        pieces = []
        for cell in range(self._cells):
            name = owners[cell]
            look = self._looks[name] if name else None
            pieces.append(self._paint(marks.get(cell) or (look.sign if look else " "), look))
        return "".join(pieces)

    def _owners(self, partition: TopicPartition) -> list[str]:
        """Who owned the partition longest within each cell, "" where it was longer nobody's."""
        best: list[tuple[float, str]] = [(0.0, "")] * self._cells
        free = [end - start for start, end in map(self._bounds, range(self._cells))]
        for span in self._timeline.ownership(partition):
            end_ms = self._summary.end_ms + 1 if span.end_ms is None else span.end_ms
            for cell in range(self._cell(span.start_ms), self._cell(end_ms) + 1):
                start, end = self._bounds(cell)
                share = min(end, end_ms) - max(start, span.start_ms)
                free[cell] -= max(share, 0)
                best[cell] = max(best[cell], (share, span.consumer))
        return [name if share >= free[cell] else "" for cell, (share, name) in enumerate(best)]

    def _marks(self, partition: TopicPartition) -> dict[int, str]:
        """The signs that stand in place of an owner; the gravest is written last."""
        marks: dict[int, str] = {}
        for pause in self._summary.pauses:
            if pause.partition != partition:
                continue
            end_ms = pause.start_ms + pause.duration_ms
            for cell in range(self._cell(pause.start_ms), self._cell(end_ms) + 1):
                start, end = self._bounds(cell)
                if 3 * (min(end, end_ms) - max(start, pause.start_ms)) >= end - start:
                    marks[cell] = _PAUSE
        for item in self._summary.duplicates:
            if item.partition == partition:
                marks[self._cell(item.at_ms)] = _AGAIN
        killed = {(fault.consumer, fault.at_ms) for fault in self._summary.incidents if is_fatal(fault.kind)}
        for span in self._timeline.ownership(partition):
            if span.end_ms is not None and (span.consumer, span.end_ms) in killed:
                marks[self._cell(span.end_ms)] = _KILLED
        production = self._timeline.history.partitions[partition].production
        for loss in self._summary.losses:
            at_ms = production.time_of(loss.first_offset)
            if loss.partition == partition and at_ms is not None:
                marks[self._cell(at_ms)] = _LOST
        return marks

    def _paint(self, sign: str, look: Look | None) -> str:
        if not self._color or look is None:
            return sign
        back, ink = _rgb(look.colour), _rgb(look.ink)
        return f"\x1b[48;2;{back};38;2;{ink}m{sign}{_RESET}"

    def _rebalance_line(self) -> str:
        cells = [" "] * self._cells
        for item in self._summary.rebalances:
            done_ms = item.rebalance.completed_ms
            last = self._cell(self._summary.end_ms if done_ms is None else done_ms)
            first = self._cell(item.rebalance.started_ms)
            cells[first : last + 1] = _BUSY * (last + 1 - first)
        for first, label in self._numbers():
            cells[first : first + len(label)] = label
        return "".join(cells)

    def _numbers(self) -> list[tuple[int, str]]:
        """Where the number of each rebalance stands; ``4-6`` for those that are too close for numbers of their own."""
        labels: list[tuple[int, int, int]] = []  # the cell, the first and the last number
        for number, item in enumerate(self._summary.rebalances, start=1):
            labels.append((self._cell(item.rebalance.started_ms), number, number))
            while len(labels) > 1 and self._place(labels[-1]) <= self._end(labels[-2]):
                (cell, first, _), (_, _, last) = labels[-2:]
                labels[-2:] = [(cell, first, last)]
        return [(self._place(label), _range(label)) for label in labels]

    def _place(self, label: tuple[int, int, int]) -> int:
        """The first cell of a label; one that would not fit stands further left."""
        return max(0, min(label[0], self._cells - len(_range(label))))

    def _end(self, label: tuple[int, int, int]) -> int:
        return self._place(label) + len(_range(label))

    def _axis(self) -> str:
        length_ms = max(self._summary.end_ms - self._summary.start_ms, 1)
        step = next(
            (
                unit * factor
                for unit in (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
                for factor in (1, 2, 5)
                if length_ms / (unit * factor) * 10 <= self._cells
            ),
            length_ms,
        )
        line = ""
        for tick in range(0, length_ms, step):
            text = f"|{tick / 1000:g} s"
            place = self._cell(self._summary.start_ms + tick)
            if place + len(text) <= self._cells:
                line = f"{line:<{place}}{text}"
        return line

    def _legend(self) -> list[str]:
        parts = [f"{self._paint(look.sign, look)} {printable(name)}" for name, look in self._looks.items()]
        plain = [f"{look.sign} {printable(name)}" for name, look in self._looks.items()]
        lines = wrapped(parts, self._width, "  ", plain)
        signs = [f"{_BUSY} rebalance"] if self._summary.rebalances else []
        signs += [f"{_PAUSE} records wait"] if self._summary.pauses else []
        signs += [f"{_KILLED} killed"] if any(is_fatal(item.kind) for item in self._summary.incidents) else []
        signs += [f"{_AGAIN} records came again"] if self._summary.duplicates else []
        signs += [f"{_LOST} records lost"] if self._summary.losses else []
        return [*lines, *wrapped(signs, self._width, "  "), ""]


def _range(label: tuple[int, int, int]) -> str:
    _, first, last = label
    return str(first) if first == last else f"{first}-{last}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _rgb(colour: str) -> str:
    return ";".join(str(int(colour[index : index + 2], 16)) for index in (1, 3, 5))
