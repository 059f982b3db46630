"""``rota timeline``: what a recording tells of a group, above all why it rebalanced."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli.options import json_option
from rota.cli.output import count_of, emit, emit_json, note, printable
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rota.timeline import Summary, Timeline
    from rota.timeline.account import Account
    from rota.timeline.events import Event

__all__ = ["timeline"]


@click.command()
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--group", "-g", metavar="NAME", help="Of this group; needed where the recording has several.")
@click.option("--at", metavar="TIME", help="Only rebalances of that minute (14:02) or second (14:02:07).")
@click.option("--since", metavar="TIME", help="Only rebalances that went on at or after this time.")
@click.option("--until", metavar="TIME", help="Only rebalances that began before this time.")
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help="Draw the whole recording: who owned what, pauses and repeats.",
)
@json_option()
def timeline(
    file: str,
    group: str | None,
    at: str | None,
    since: str | None,
    until: str | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Say why a group rebalanced, who moved where, and what waited, from a recording.

    FILE is what --timeline of `rota broker` or `rota lab` wrote; - reads it from standard input. Times are of
    this machine's clock: 14:02, 14:02:07, or with a date 2026-11-21T14:02; with a zone too, 2026-11-21T14:02Z.
    Pauses are measured where consumers recorded what they read, as those of the lab do; a broker alone knows how long
    each rebalance took.

    \b
    Examples:
      rota timeline broker.jsonl
      rota timeline broker.jsonl --group orders --at 14:02
      rota timeline lab.jsonl --svg lab.svg
      tail -n 1000 broker.jsonl | rota timeline - --json
    """
    if at is not None and (since is not None or until is not None):
        raise RotaError("give either --at or --since and --until", exit_code=2)
    window = Window(at, since, until)
    name = "standard input" if file == "-" else file
    events = _read(file, name)
    chosen = _choose(events, group, name)

    from rota.timeline import Timeline
    from rota.timeline.account import accounts, between

    whole = Timeline.of(events, chosen)
    summary = whole.summary()
    found = accounts(summary)
    shown = between(found, *window.bounds(summary)) if window else found
    if as_json:
        emit_json(
            {"group": chosen, "rebalances": [item.document() for item in shown], "summary": summary.to_dict()}
        )
    else:
        _print(whole, summary, chosen, shown, found, narrowed=bool(window))
    if svg is not None:
        _draw(whole, svg, chosen)


class Window:
    """The times asked for; they become moments once the recording is known."""

    def __init__(self, at: str | None, since: str | None, until: str | None) -> None:
        self._since = None if at is None and since is None else Moment(at or since or "")
        self._until = None if until is None else Moment(until)
        self._at = at is not None

    def __bool__(self) -> bool:
        return self._since is not None or self._until is not None

    def bounds(self, summary: Summary) -> tuple[int, int]:
        """From, and up to but without, in milliseconds since 1970."""
        since_ms = 0 if self._since is None else self._since.ms(summary.end_ms)
        if self._at and self._since is not None:
            return since_ms, since_ms + self._since.length_ms
        return since_ms, 2**63 if self._until is None else self._until.ms(summary.end_ms)


class Moment:
    """A time somebody typed: of the day, or with a date before it, and then a zone behind it if it is another one.

    Raises:
        RotaError: it is none.
    """

    _DAY_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,3})?)?")
    _ZONE = re.compile(r"Z|[+-]\d{2}(:?\d{2})?")

    def __init__(self, text: str) -> None:
        day, _, clock = text.strip().upper().replace("T", " ").rpartition(" ")
        time = re.split(r"[Z+-]", clock, maxsplit=1)[0]
        zone = clock.removeprefix(time)
        self._dated = bool(day)
        if self._DAY_TIME.fullmatch(time) is None:
            raise _no_time(text)
        if zone and (not day or self._ZONE.fullmatch(zone) is None):
            raise _no_time(text)
        try:
            padded = f"{day or '2000-01-01'} {time.zfill(len(time) + (time.index(':') == 1))}"
            self._moment = datetime.fromisoformat(_with_milliseconds(padded) + zone)
        except ValueError:
            raise _no_time(text) from None
        self.length_ms = 60_000 if time.count(":") == 1 else 1_000 if "." not in time else 1
        """How long that minute, that second, that millisecond lasts."""

    def ms(self, end_ms: int) -> int:
        """Milliseconds since 1970; a time of the day is the last such before the recording's end."""
        if self._dated:
            return int(self._moment.astimezone().timestamp() * 1000)
        end = datetime.fromtimestamp(end_ms / 1000)  # noqa: DTZ006  # a wall clock's day, as the person means it
        moment = datetime.combine(end.date(), self._moment.time())
        if moment > end:
            moment -= timedelta(days=1)
        return int(moment.astimezone().timestamp() * 1000)


def _with_milliseconds(text: str) -> str:
    head, dot, digits = text.partition(".")
    return f"{head}.{digits:0<3}" if dot else head


def _no_time(text: str) -> RotaError:
    return RotaError(
        f"{text!r} is no time such as 14:02, 14:02:07, 2026-11-21T14:02 or 2026-11-21T14:02Z", exit_code=2
    )


class _Lines:
    """The lines of a recording, counted on their way to who reads them."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = source
        self.number = 0
        self.full = 0
        """How many of them were not empty."""

    def __iter__(self) -> Iterator[bytes]:
        for line in self._source:
            self.number += 1
            self.full += bool(line.strip())
            yield line


def _read(file: str, name: str) -> list[Event]:
    """All events; a torn last line is left out with a note.

    Raises:
        RotaError: the file cannot be read, a line of it is no event (with ``file:line``), or there is none at all.
    """
    from rota.timeline.events import read_events

    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as source:
            lines = _Lines(source)
            try:
                events = list(read_events(lines))
            except RotaError as error:
                words = str(error).removeprefix(f"line {lines.number}: ")
                raise RotaError(f"{name}:{lines.number}: {words}") from None
            except RecursionError:
                raise RotaError(
                    f"{name}:{lines.number}: cannot read the timeline event: nested too deep"
                ) from None
    except OSError as error:
        raise RotaError(f"cannot read {name}: {error.strerror}") from None
    if lines.full > len(events):
        note(f"{name}:{lines.number}: the last line is not whole and was left out")
    if not events:
        raise RotaError(f"{name} holds no event: was it written by --timeline of rota broker or rota lab?")
    return events


def _choose(events: Sequence[Event], group: str | None, name: str) -> str | None:
    """The group to tell of; None where the recording names none."""
    groups = list(
        dict.fromkeys(each for event in events if (each := getattr(event, "group", None)) is not None)
    )
    if group is not None and group not in groups:
        known = f"it tells of {', '.join(groups)}" if groups else "it tells of none"
        raise RotaError(f"{name} has nothing of the group {group}: {known}")
    if group is None and len(groups) > 1:
        raise RotaError(
            f"{name} tells of the groups {', '.join(groups)}: choose one with --group", exit_code=2
        )
    return group or next(iter(groups), None)


def _print(
    whole: Timeline,
    summary: Summary,
    group: str | None,
    shown: Sequence[Account],
    found: Sequence[Account],
    *,
    narrowed: bool,
) -> None:
    from rota.timeline.account import clock_text
    from rota.timeline.text import draw_text

    day = f"{datetime.fromtimestamp(summary.start_ms / 1000).astimezone():%Y-%m-%d}"
    emit(
        f"Group {printable(group or '(not named)')}, {day} {clock_text(summary.start_ms)} to "
        f"{clock_text(summary.end_ms)}: {count_of(len(found), 'rebalance')}"
        f"{f', {len(shown)} of them at the time asked for' if narrowed else ''}."
    )
    for item in shown:
        emit()
        for line in item.lines():
            emit(printable(line))
    if narrowed:
        if not shown and found:
            emit(_nearest(found))
        return
    if not any(part.delivered or part.processed for part in summary.partitions):
        emit()
        emit("How long records waited is not in this recording: no consumer wrote into it what it read.")
    emit()
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    emit(draw_text(whole, _width(), color=colour, rebalances=False).rstrip("\n"))


def _nearest(found: Sequence[Account]) -> str:
    from rota.timeline.account import clock_text

    times = ", ".join(clock_text(item.rebalance.started_ms) for item in found[:20])
    return f"There were rebalances at {times}{' and later' if len(found) > 20 else ''}."


def _draw(whole: Timeline, svg: Path, group: str | None) -> None:
    from rota.timeline.svg import draw_svg

    try:
        svg.write_text(draw_svg(whole, title=f"rota timeline: {group or 'a group'}"))
    except OSError as error:
        raise RotaError(f"cannot write {svg}: {error.strerror}") from None
    note(f"The picture is in {svg}.")


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns
