"""A timeline as a picture: one row per partition, time from left to right, one bar per span of ownership.

The picture is one self-contained SVG: no script, no font, no image from elsewhere. It follows the reader's
choice of light or dark, can be read without colour and, by its title and description, without eyes. All text
that comes from outside is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.timeline.look import PATTERNS, Look, looks, seconds
from rota.timeline.signs import SIGNS, draw_sign, is_fatal, safe, sign_of, wrapped

if TYPE_CHECKING:
    from rota.model import TopicPartition
    from rota.timeline.history import Incident
    from rota.timeline.ownership import Span
    from rota.timeline.pauses import Pause
    from rota.timeline.summary import Summary
    from rota.timeline.timeline import Timeline

__all__ = ["describe", "draw_svg"]

_STYLE: Final = """
.rota-page{fill:#fff}.rota-text{fill:#1b1f24}.rota-dim{fill:#59636e}.rota-line{stroke:#d1d5da}
.rota-edge{stroke:#1b1f24}.rota-row{fill:#f3f4f6}.rota-band{fill:#8b949e;fill-opacity:.22}
.rota-hatch{stroke:#1b1f24}.rota-gap{fill:#fff}.rota-sign{fill:#1b1f24;stroke:#fff}.rota-halo{stroke:#fff}
@media (prefers-color-scheme:dark){
.rota-page{fill:#0d1117}.rota-text{fill:#e6edf3}.rota-dim{fill:#9198a1}.rota-line{stroke:#30363d}
.rota-edge{stroke:#e6edf3}.rota-row{fill:#161b22}.rota-band{fill:#8b949e;fill-opacity:.28}
.rota-hatch{stroke:#e6edf3}.rota-gap{fill:#0d1117}.rota-sign{fill:#e6edf3;stroke:#0d1117}
.rota-halo{stroke:#0d1117}}
"""

_FONT: Final = 12
_CHAR: Final = 6.6  # the width to allow for one letter
_PAD: Final = 16


def draw_svg(timeline: Timeline, *, title: str = "Timeline", width: int = 1100, ident: str = "rota") -> str:
    """The picture as text of one SVG element, ``width`` units wide and as high as it needs.

    ``ident`` makes the ids of this picture differ from those of others on the same HTML page.
    """
    return _Picture(timeline, title, width, ident).draw()


def describe(summary: Summary) -> str:
    """The findings in one line."""
    parts = [
        seconds(summary.end_ms - summary.start_ms),
        _count(len(summary.partitions), "partition"),
        _count(len(summary.consumers), "consumer"),
        _count(len(summary.rebalances), "rebalance"),
    ]
    if summary.pauses:
        paused = len(summary.paused_partitions)
        parts.append(f"{_count(paused, 'partition')} paused, longest {seconds(summary.longest_pause_ms)}")
    else:
        parts.append("no pause")
    again = summary.processed_again or summary.delivered_again
    verb = "processed" if summary.processed_again else "delivered"
    parts.append(f"{_count(again, 'record')} {verb} again" if again else "nothing repeated")
    if summary.produced:
        parts.append(f"{_count(summary.lost, 'record')} lost" if summary.lost else "nothing lost")
    if summary.waiting:
        parts.append(f"{_count(summary.waiting, 'record')} waiting")
    return " · ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class _Picture:
    """Collects the parts of one picture, from top to bottom."""

    def __init__(self, timeline: Timeline, title: str, width: int, ident: str) -> None:
        self._timeline = timeline
        self._summary = timeline.summary()
        self._title = title
        self._width = max(width, 480)
        self._ident = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in ident)
        self._looks = looks(self._summary.consumers)
        self._partitions = [part.partition for part in self._summary.partitions]
        self._parts: list[str] = []
        count = max(len(self._partitions), 1)
        self._row = 24 if count <= 16 else max(11, 384 // count)
        one_topic = len({partition.topic for partition in self._partitions}) <= 1
        self._labels = [f"P{item.partition}" if one_topic else str(item) for item in self._partitions]
        longest = max((len(label) for label in self._labels), default=0)
        self._left = _PAD + min(max(longest * _CHAR, 28), 180) + 8
        self._right = self._width - _PAD - 102
        self._found = wrapped(
            describe(self._summary).split(" · "), int((self._width - 2 * _PAD) / _CHAR), " · "
        )
        self._top = 96 + 16 * len(self._found)
        self._bottom = self._top + count * self._row

    def draw(self) -> str:
        """The whole picture."""
        self._rows()
        self._bands()
        self._bars()
        self._pauses()
        self._duplicates()
        self._losses()
        self._incidents()
        self._axis()
        bottom = self._rebalances(self._legend(self._bottom + 44))
        return self._head(bottom + 4) + "\n".join(self._parts) + "\n</svg>\n"

    # Building blocks

    def _x(self, at_ms: int) -> float:
        length = max(self._summary.end_ms - self._summary.start_ms, 1)
        share = (at_ms - self._summary.start_ms) / length
        return self._left + min(max(share, 0), 1) * (self._right - self._left)

    def _y(self, partition: TopicPartition) -> float:
        return self._top + self._partitions.index(partition) * self._row

    def _since(self, at_ms: int) -> str:
        return f"{(at_ms - self._summary.start_ms) / 1000:.1f} s"

    def _rect(self, x: float, y: float, width: float, height: float, attributes: str, tip: str = "") -> None:
        shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {attributes}'
        self._parts.append(f"{shape}><title>{safe(tip)}</title></rect>" if tip else f"{shape}/>")

    def _text(self, x: float, y: float, text: str, attributes: str = 'class="rota-text"') -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{safe(text)}</text>')

    def _fit(self, text: str, room: float, size: float = _FONT) -> str:
        letters = int(room / (_CHAR * size / _FONT))
        return text if len(text) <= letters else text[: letters - 1] + "…" if letters > 1 else ""

    # The parts

    def _head(self, height: float) -> str:
        ident, width = self._ident, self._width
        described = describe(self._summary)
        patterns = "".join(
            f'<pattern id="{ident}-p{index}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<path d="{path}" stroke="#000" stroke-opacity=".38" stroke-width="1.3" fill="none"/></pattern>'
            for index, path in enumerate(PATTERNS)
            if path
        )
        hatch = (
            f'<pattern id="{ident}-hatch" width="6" height="6" patternUnits="userSpaceOnUse">'
            '<rect width="6" height="6" class="rota-gap"/>'
            '<path d="M0 6L6 0M-1 1L1 -1M5 7L7 5" class="rota-hatch" stroke-width="1" fill="none"/></pattern>'
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
            f'viewBox="0 0 {width} {height:.0f}" role="img" '
            f'aria-labelledby="{ident}-title {ident}-desc" font-family="sans-serif" font-size="{_FONT}">\n'
            f'<title id="{ident}-title">{safe(self._title)}</title>\n'
            f'<desc id="{ident}-desc">{safe(self._story(described))}</desc>\n'
            f"<style>{_STYLE}</style>\n<defs>{patterns}{hatch}</defs>\n"
            f'<rect width="{width}" height="{height:.0f}" class="rota-page"/>\n'
            f'<text x="{_PAD}" y="28" class="rota-text" font-size="17" font-weight="bold">'
            f"{safe(self._fit(self._title, width - 2 * _PAD, 19.5))}</text>\n"
            + "".join(
                f'<text x="{_PAD}" y="{48 + 16 * line}" class="rota-dim">{safe(text)}</text>\n'
                for line, text in enumerate(self._found)
            )
        )

    def _story(self, described: str) -> str:
        sentences = [described + "."]
        for index, item in enumerate(self._summary.rebalances, start=1):
            sentences.append(
                f"Rebalance {index} at {self._since(item.rebalance.started_ms)}: {self._why(index)}."
            )
        return " ".join(sentences)

    def _rows(self) -> None:
        last_pause = {part.partition: part for part in self._summary.partitions}
        size = min(_FONT, self._row - 1)
        small = f'font-size="{size - 1}"'
        for x, above, below in ((8, "longest", "pause"), (62, "read", "again")):
            self._text(self._right + x, self._top - 20, above, f'class="rota-dim" {small}')
            self._text(self._right + x, self._top - 7, below, f'class="rota-dim" {small}')
        for partition, label in zip(self._partitions, self._labels, strict=True):
            y, middle = self._y(partition), self._y(partition) + self._row / 2 + size * 0.36
            if self._partitions.index(partition) % 2 == 0:
                self._rect(_PAD, y, self._width - 2 * _PAD, self._row, 'class="rota-row"')
            room = self._left - _PAD - 8
            self._text(
                self._left - 8,
                middle,
                self._fit(label, room, size),
                f'class="rota-text" text-anchor="end" font-size="{size}"',
            )
            part = last_pause[partition]
            if part.longest_pause_ms:
                self._text(
                    self._right + 8, middle, seconds(part.longest_pause_ms), f'class="rota-text" {small}'
                )
            again = part.processed_again or part.delivered_again
            if again:
                self._text(self._right + 62, middle, f"{again:,}", f'class="rota-text" {small}')

    def _bands(self) -> None:
        labelled = -100.0
        for index, item in enumerate(self._summary.rebalances, start=1):
            rebalance = item.rebalance
            end_ms = self._summary.end_ms if rebalance.completed_ms is None else rebalance.completed_ms
            x = self._x(rebalance.started_ms)
            width = max(self._x(end_ms) - x, 2)
            self._rect(
                x,
                self._top - 20,
                width,
                self._bottom - self._top + 20,
                'class="rota-band"',
                f"rebalance {index}, {self._since(rebalance.started_ms)}: {self._why(index)}",
            )
            middle = x + width / 2
            if middle - labelled >= len(str(index)) * _CHAR + 4:
                self._text(middle, self._top - 8, str(index), 'class="rota-text" text-anchor="middle"')
                labelled = middle

    def _bars(self) -> None:
        inset = 3 if self._row >= 18 else 1
        for partition in self._partitions:
            for span in self._timeline.ownership(partition):
                self._bar(partition, span, inset)

    def _bar(self, partition: TopicPartition, span: Span, inset: int) -> None:
        look = self._looks[span.consumer]
        end_ms = self._summary.end_ms if span.end_ms is None else span.end_ms
        x, y = self._x(span.start_ms), self._y(partition) + inset
        width, height = max(self._x(end_ms) - x, 1), self._row - 2 * inset
        until = f"{self._since(end_ms)}, then {span.ended_by}" if span.end_ms is not None else "now"
        tip = f"{partition}: {span.consumer} from {self._since(span.start_ms)} to {until}"
        self._rect(x, y, width, height, f'fill="{look.colour}"', tip)
        self._patterned(x, y, width, height, look)
        size = min(_FONT, self._row - 2)
        name = span.consumer if len(span.consumer) * _CHAR * size / _FONT + 8 <= width else look.sign
        if len(name) * _CHAR * size / _FONT + 3 <= width:
            place = x + 4 + self._shift(partition, x) if name != look.sign else x + width / 2 - 3
            middle = y + height / 2 + size * 0.36
            halo = (
                f'font-size="{size}" fill="none" stroke="{look.colour}" stroke-width="4" aria-hidden="true"'
            )
            self._text(place, middle, name, halo)
            self._text(place, middle, name, f'fill="{look.ink}" font-size="{size}"')

    def _shift(self, partition: TopicPartition, x: float) -> float:
        """How far a name must give way to the sign of a repetition at the begin of its bar."""
        near = (
            item.partition == partition and abs(self._x(item.at_ms) - x) < 8
            for item in self._summary.duplicates
        )
        return 8 if any(near) else 0

    def _patterned(self, x: float, y: float, width: float, height: float, look: Look) -> None:
        if look.pattern:
            self._rect(
                x, y, width, height, f'fill="url(#{self._ident}-p{look.pattern})" pointer-events="none"'
            )

    def _pauses(self) -> None:
        for pause in self._summary.pauses:
            self._pause(pause)

    def _pause(self, pause: Pause) -> None:
        # Slimmer than a bar: an owner that does not read shows as a frame around the hatch.
        inset = 6 if self._row >= 18 else 2
        end_ms = self._summary.end_ms if pause.end_ms is None else pause.end_ms
        x, y = self._x(pause.start_ms), self._y(pause.partition) + inset
        width, height = max(self._x(end_ms) - x, 2), self._row - 2 * inset
        waiting = f", {_count(pause.waiting, 'record')} waited" if pause.waiting else ""
        tip = f"{pause.partition}: pause of {seconds(pause.duration_ms)}{waiting}: {pause.cause}"
        self._rect(x, y, width, height, f'fill="url(#{self._ident}-hatch)" class="rota-pause"', tip)
        text = seconds(pause.duration_ms)
        if self._row >= 14 and len(text) * _CHAR + 6 <= width:
            halo = 'class="rota-halo" text-anchor="middle" fill="none" stroke-width="5" aria-hidden="true"'
            self._text(x + width / 2, y + height / 2 + 4, text, halo)
            self._text(x + width / 2, y + height / 2 + 4, text, 'class="rota-text" text-anchor="middle"')

    def _duplicates(self) -> None:
        kind = "processed" if self._summary.processed_again else "delivered"
        for item in self._summary.duplicates:
            if item.kind == kind:
                tip = (
                    f"{item.partition}: offsets {item.first_offset} to {item.last_offset} {kind} again by "
                    f"{item.again_by}, before by {item.first_by}: {item.cause}"
                )
                y = self._y(item.partition) + self._row / 2
                self._parts.append(draw_sign("again", self._x(item.at_ms), y, self._row, tip))

    def _losses(self) -> None:
        history = self._timeline.history
        for loss in self._summary.losses:
            at_ms = history.partitions[loss.partition].production.time_of(loss.first_offset)
            x = self._x(self._summary.end_ms if at_ms is None else at_ms)
            tip = f"{loss.partition}: offsets {loss.first_offset} to {loss.last_offset} were never processed"
            y = self._y(loss.partition) + self._row / 2
            self._parts.append(draw_sign("lost", x, y, self._row, tip))

    def _incidents(self) -> None:
        y = self._top - 32
        end = -100.0
        for group in self._neighbours():
            incident = group[0]
            x = self._x(incident.at_ms)
            for item in group:
                tip = f"{self._since(item.at_ms)}: {item.consumer or 'the broker'} {item.words}"
                if is_fatal(item.kind):
                    self._killed(item, self._x(item.at_ms), tip)
            tips = "; ".join(f"{item.consumer or 'the broker'} {item.words}" for item in group)
            tips = f"{self._since(incident.at_ms)}: {tips}"
            self._parts.append(draw_sign(sign_of(incident.kind), x, y, 24, tips))
            look = self._looks.get(incident.consumer)
            name = incident.consumer or "broker"
            if look is not None and (len(self._looks) > 8 or len(name) > 16):
                name = look.sign
            name += f" +{len(group) - 1}" if len(group) > 1 else ""
            room = len(name) * _CHAR
            if x - room / 2 > end + 3:
                self._text(x, y - 9, name, 'class="rota-dim" text-anchor="middle" font-size="11"')
                end = x + room / 2

    def _neighbours(self) -> list[list[Incident]]:
        """Incidents of one sign that would lie on top of each other, together."""
        groups: list[list[Incident]] = []
        for item in self._summary.incidents:
            last = groups[-1][0] if groups else None
            same = last is not None and sign_of(last.kind) == sign_of(item.kind)
            if last is not None and same and self._x(item.at_ms) - self._x(last.at_ms) < 8:
                groups[-1].append(item)
            else:
                groups.append([item])
        return groups

    def _killed(self, incident: Incident, x: float, tip: str) -> None:
        for partition in self._partitions:
            for span in self._timeline.ownership(partition):
                if span.consumer == incident.consumer and span.end_ms == incident.at_ms:
                    y = self._y(partition) + self._row / 2
                    self._parts.append(draw_sign("killed", x, y, self._row, tip))

    def _axis(self) -> None:
        length_ms = max(self._summary.end_ms - self._summary.start_ms, 1)
        step = _tick_step(length_ms, (self._right - self._left) / 70)
        path = f'<path d="M{self._left:.1f} {self._bottom}H{self._right:.1f}" class="rota-edge" fill="none"/>'
        self._parts.append(path)
        for tick in range(0, length_ms + 1, step):
            x = self._x(self._summary.start_ms + tick)
            path = f'<path d="M{x:.1f} {self._bottom}v5" class="rota-edge" fill="none"/>'
            self._parts.append(path)
            number = tick / 1000
            text = f"{number:g} s"
            self._text(x, self._bottom + 18, text, 'class="rota-dim" text-anchor="middle"')

    def _legend(self, y: float) -> float:
        """The consumers, then the signs; returns where the next part may begin."""
        x: float = _PAD
        for name, look in self._looks.items():
            label = f"{look.sign}  {self._fit(name, 260)}"
            room = 26 + len(label) * _CHAR + 16
            if x > _PAD and x + room > self._width - _PAD:
                x, y = _PAD, y + 22
            self._rect(x, y - 11, 22, 14, f'fill="{look.colour}"')
            self._patterned(x, y - 11, 22, 14, look)
            self._text(x + 28, y, label)
            x += room
        x, y = _PAD, y + 26
        for kind, words in self._shown():
            room = 24 + len(words) * _CHAR + 12
            if x > _PAD and x + room > self._width - _PAD:
                x, y = _PAD, y + 22
            if kind in ("pause", "rebalance"):
                fill = f'fill="url(#{self._ident}-hatch)"' if kind == "pause" else 'class="rota-band"'
                self._rect(x, y - 11, 16, 14, fill)
            else:
                self._parts.append(draw_sign(kind, x + 8, y - 4, 24))
            self._text(x + 22, y, words, 'class="rota-dim"')
            x += room
        return y + 30

    def _shown(self) -> list[tuple[str, str]]:
        """Those signs that occur, and what they mean."""
        summary = self._summary
        present = {sign_of(incident.kind) for incident in summary.incidents}
        present |= {"again"} if summary.duplicates else set()
        present |= {"lost"} if summary.losses else set()
        found = [("rebalance", "rebalance")] if summary.rebalances else []
        found += [("pause", "pause: records wait")] if summary.pauses else []
        return found + [(kind, words) for kind, words in SIGNS.items() if kind in present]

    def _rebalances(self, y: float) -> float:
        """The list of rebalances, in as many columns as fit; returns the end of the picture."""
        lines = [
            (f"{index}", f"{self._since(item.rebalance.started_ms)}: {self._why(index)}")
            for index, item in enumerate(self._summary.rebalances, start=1)
        ]
        if not lines:
            return y - 12
        longest = max(len(text) for _, text in lines)
        columns = 2 if len(lines) > 8 and self._width >= 2 * (longest * _CHAR + 34 + _PAD) else 1
        height = -(-len(lines) // columns)
        room = (self._width - 2 * _PAD) / columns
        for index, (number, text) in enumerate(lines):
            x = _PAD + index // height * room
            line_y = y + index % height * 18
            self._text(x + 18, line_y, number, 'class="rota-text" text-anchor="end" font-weight="bold"')
            self._text(x + 26, line_y, self._fit(text, room - 34), 'class="rota-dim"')
        return y + height * 18

    def _why(self, index: int) -> str:
        item = self._summary.rebalances[index - 1]
        duration = item.rebalance.duration_ms
        took = "not completed" if duration is None else f"took {seconds(duration)}"
        paused = f", {item.paused} paused" if item.paused else ""
        moved = f", {item.moved} moved" if item.moved else ""
        return f"{'; '.join((item.rebalance.words, *item.rebalance.also))} ({took}{moved}{paused})"


def _tick_step(length_ms: int, most: float) -> int:
    """A round number of milliseconds such that at most ``most`` ticks are needed."""
    for unit in (1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000):
        for factor in (1, 2, 5):
            if length_ms / (unit * factor) <= most:
                return unit * factor
    return length_ms
