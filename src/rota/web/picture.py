"""One group's timeline as plain values, which the browser draws: who held which partition when, and what happened.

`rota.timeline` works it out; here it only gets names, looks and an order. What goes on has no end (null): the browser
carries it to the right edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from rota.model import TopicPartition
from rota.timeline.account import Account, accounts
from rota.timeline.events import MemberJoined
from rota.timeline.ownership import Names
from rota.timeline.signs import SIGNS, sign_of
from rota.timeline.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.monitor.cast import Cast
    from rota.monitor.view import GroupView
    from rota.timeline.ownership import Span
    from rota.timeline.summary import Summary

__all__ = ["Story", "story"]

MOST_ENTRIES: Final = 200
"""Of the log, the newest."""


@dataclass(frozen=True, slots=True)
class Story:
    """A group's life as the page shows it. ``name_of``: what people call a member, by its member id."""

    timeline: dict[str, Any]
    log: list[dict[str, Any]]
    name_of: Callable[[str], str]


def story(view: GroupView, cast: Cast) -> Story:
    """Everything about the past of one group. ``cast``: the group's own, which gives everybody a look and keeps it."""
    cast.take(view)
    timeline = Timeline.of(view.events, view.facts.group)
    summary = timeline.summary()
    names = timeline.history.names.copy()
    for member in view.facts.members:
        if names.of(member.member_id) == member.member_id:
            names.joined(
                MemberJoined(
                    view.at_ms,
                    view.facts.group,
                    member.member_id,
                    member.client_id,
                    member.host,
                    member.instance_id,
                )
            )
    found = accounts(summary)
    rows = _rows(view, timeline, names)
    shown = [*summary.consumers, *(names.of(member.member_id) for member in view.facts.members)]
    owners = [span[0] for item in rows for span in item["spans"]]
    document = {
        "start_ms": summary.start_ms or None,
        "rows": rows,
        "rebalances": [_rebalance(item) for item in found],
        "incidents": _incidents(summary),
        "looks": {name: cast.look_of(name)._asdict() for name in dict.fromkeys([*shown, *owners])},
    }
    return Story(document, _log(found, summary), names.of)


def _rows(view: GroupView, timeline: Timeline, names: Names) -> list[dict[str, Any]]:
    """A row for each partition. Who holds it although no event says so has done so since before (null)."""
    owners = view.facts.owners()
    parts = {part.partition for part in view.partitions} | set(timeline.partitions()) | set(owners)
    paused = {} if view.rebalance is None else view.rebalance.paused
    pauses: dict[TopicPartition, list[list[Any]]] = {}
    for pause in timeline.pauses():
        pauses.setdefault(pause.partition, []).append([pause.start_ms, pause.end_ms, pause.cause])
    rows = []
    for part in sorted(parts):
        spans = timeline.ownership(part)
        drawn = [[span.consumer, span.start_ms, span.end_ms, span.ended_by] for span in spans]
        if not spans and part in owners:
            drawn = [[names.of(owners[part].member_id), None, None, ""]]
        gaps = pauses.get(part, []) or _unread(spans)
        if part in paused and not (gaps and gaps[-1][1] is None):
            gaps.append([paused[part], None, "" if view.rebalance is None else view.rebalance.words])
        rows.append(
            {
                "topic": part.topic,
                "partition": part.partition,
                "spans": drawn,
                "gaps": gaps,
            }
        )
    return rows


def _unread(spans: list[Span]) -> list[list[Any]]:
    """When nobody held the partition, after somebody had."""
    gaps: list[list[Any]] = []
    for span, after in zip_longest(spans, spans[1:]):
        if span.end_ms is not None and (after is None or after.start_ms > span.end_ms):
            why = f"{span.consumer} {span.ended_by}" if span.ended_by else "nobody held it"
            gaps.append([span.end_ms, None if after is None else after.start_ms, why])
    return gaps


def _rebalance(item: Account) -> dict[str, Any]:
    done = item.rebalance
    return {
        "number": item.number,
        "start_ms": done.started_ms,
        "end_ms": done.completed_ms,
        "words": "; ".join((done.words, *done.also)),
        "detail": done.detail,
        "generation": done.generation,
        "protocol": None if item.generation is None else item.generation.protocol,
        "moved": len({move.partition for move in item.moves}),
    }


def _incidents(summary: Summary) -> list[dict[str, Any]]:
    return [
        {
            "at_ms": item.at_ms,
            "consumer": item.consumer,
            "sign": sign_of(item.kind),
            "means": SIGNS[sign_of(item.kind)],
            "words": f"{item.consumer or 'the broker'} {item.words}",
        }
        for item in summary.incidents
    ]


def _log(found: list[Account], summary: Summary) -> list[dict[str, Any]]:
    """What happened, the newest first."""
    entries: list[dict[str, Any]] = [
        {
            "at_ms": item.rebalance.started_ms,
            "kind": "rebalance",
            "number": item.number,
            "words": "; ".join((item.rebalance.words, *item.rebalance.also)),
            "end_ms": item.rebalance.completed_ms,
            "lines": _lines(item),
        }
        for item in found
    ]
    entries += [
        {
            "at_ms": item.at_ms,
            "kind": sign_of(item.kind),
            "words": f"{item.consumer or 'the broker'} {item.words}",
            "end_ms": item.at_ms,
            "lines": [],
        }
        for item in summary.incidents
    ]
    entries.sort(key=lambda entry: entry["at_ms"], reverse=True)
    return entries[:MOST_ENTRIES]


def _lines(item: Account) -> list[str]:
    """The account without its heading."""
    lines = [line.strip() for line in item.lines()[1:]]
    return (
        lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
    )


_MOST_LINES: Final = 12
