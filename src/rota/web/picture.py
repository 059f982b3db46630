"""One group's timeline as plain values, which the browser draws: who held which partition when, and what happened.

`rota.timeline` works it out; here it only gets names, looks and an order. What goes on has no end (null): the browser
carries it to the right edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from rota.timeline.account import accounts
from rota.timeline.events import MemberJoined
from rota.timeline.signs import SIGNS, sign_of
from rota.timeline.timeline import Timeline
from rota.web.log import log_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rota.model import TopicPartition
    from rota.monitor.cast import Cast
    from rota.monitor.view import GroupView
    from rota.timeline.account import Account
    from rota.timeline.ownership import Names, Span
    from rota.timeline.summary import Summary

__all__ = ["Story", "story"]

WORTH_MS: Final = 50
"""Shorter pauses are not drawn."""


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
    found = [each.account for each in view.told if each.account is not None] or accounts(summary)
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
    return Story(document, log_documents(view.told, found, summary.incidents), names.of)


def _rows(view: GroupView, timeline: Timeline, names: Names) -> list[dict[str, Any]]:
    """A row for each partition. Who holds it although no event says so has done so since before (null)."""
    owners = view.facts.owners()
    parts = {part.partition for part in view.partitions} | set(timeline.partitions()) | set(owners)
    waits = _waits(view, timeline)
    rows = []
    for part in sorted(parts):
        spans = timeline.ownership(part)
        drawn = [[span.consumer, span.start_ms, span.end_ms, span.ended_by] for span in spans]
        if not spans and part in owners:
            drawn = [[names.of(owners[part].member_id), None, None, ""]]
        rows.append(
            {
                "topic": part.topic,
                "partition": part.partition,
                "spans": drawn,
                "gaps": _apart([*_unread(spans), *waits.get(part, ())]),
            }
        )
    return rows


def _waits(view: GroupView, timeline: Timeline) -> dict[TopicPartition, list[list[Any]]]:
    """Pauses that somebody measured or knows of: ``[from, until, why]``, each partition's."""
    found: dict[TopicPartition, list[list[Any]]] = {}
    for pause in timeline.pauses():
        found.setdefault(pause.partition, []).append([pause.start_ms, pause.end_ms, pause.cause])
    for each in view.told:
        if not each.is_done:
            continue
        for part, wait_ms in each.cost.paused.items():
            if wait_ms >= WORTH_MS:
                since_ms = each.cost.since_ms[part]
                found.setdefault(part, []).append([since_ms, since_ms + wait_ms, each.words])
    if view.rebalance is not None:
        for part, since_ms in view.rebalance.paused.items():
            found.setdefault(part, []).append([since_ms, None, view.rebalance.words])
    return found


def _apart(gaps: Iterable[list[Any]]) -> list[list[Any]]:
    """In order of time, and of those that overlap the first: they are the same pause by two witnesses."""
    kept: list[list[Any]] = []
    for gap in sorted(gaps, key=lambda each: each[0]):
        if not kept or (kept[-1][1] is not None and kept[-1][1] <= gap[0]):
            kept.append(gap)
        elif kept[-1][1] is not None and (gap[1] is None or gap[1] > kept[-1][1]):
            kept[-1] = [kept[-1][0], gap[1], kept[-1][2]]
    return kept


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
        "moved": len({move.partition for move in item.moves}),
    }


def _incidents(summary: Summary) -> list[dict[str, Any]]:
    return [
        {
            "at_ms": item.at_ms,
            "sign": sign_of(item.kind),
            "means": SIGNS[sign_of(item.kind)],
            "words": f"{item.consumer or 'the broker'} {item.words}",
        }
        for item in summary.incidents
    ]
