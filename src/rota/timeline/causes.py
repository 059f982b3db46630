"""What interrupted a partition, and which of several interruptions is to be named as the cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from rota.timeline.events import FATAL_KINDS, FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.model import TopicPartition
    from rota.timeline.history import History, Incident
    from rota.timeline.ownership import Span
    from rota.timeline.repeats import Repeat

__all__ = [
    "CLOCK_SKEW_MS",
    "Interruption",
    "InterruptionKind",
    "cause_of_repeat",
    "interruptions",
    "root_cause",
]

CLOCK_SKEW_MS: Final = 50
"""How far apart the stamps of two processes may be for the same moment."""


class InterruptionKind(IntEnum):
    """From root to symptom: a fault explains the rebalance that explains the change of owner."""

    FAULT = 0
    STOP = 1
    REBALANCE = 2
    OWNERSHIP = 3


@dataclass(frozen=True, slots=True)
class Interruption:
    """Something that may have kept a partition from being read; ``end_ms`` = ``start_ms`` for a moment."""

    kind: InterruptionKind
    start_ms: int
    end_ms: int
    consumer: str
    words: str


_HARMLESS: Final = frozenset({"started", "sped-up", FaultKind.THAWED.value, FaultKind.RECONNECTED.value})
_OVER_WITH: Final = {FaultKind.FROZEN.value: FaultKind.THAWED, FaultKind.CUT_OFF.value: FaultKind.RECONNECTED}

_ENDS: Final = FATAL_KINDS | {"started", "stopped"}


def interruptions(history: History, partition: TopicPartition) -> list[Interruption]:
    """All that befell the partition or who owned it then, by start.

    An end of ownership lasts until the next begin, a freeze until the consumer is let go on, or ends.
    """
    spans = history.ledger.spans.get(partition, [])
    found: list[Interruption] = []
    for span in spans:
        who, start_ms = span.consumer, span.start_ms
        found.append(_interruption(InterruptionKind.OWNERSHIP, start_ms, start_ms, who, "was assigned it"))
        if span.end_ms is not None:
            until_ms = _next_start(spans, span.end_ms, history.end_ms)
            kind = InterruptionKind.OWNERSHIP
            found.append(_interruption(kind, span.end_ms, until_ms, who, span.ended_by))
    for index, incident in enumerate(history.incidents):
        if incident.kind not in _HARMLESS and (not incident.consumer or _owned_by(spans, incident)):
            kind = InterruptionKind.STOP if incident.kind == "stopped" else InterruptionKind.FAULT
            until_ms = _until(history, spans, index)
            who = incident.consumer or "the broker"
            found.append(_interruption(kind, incident.at_ms, until_ms, who, incident.words))
    for rebalance in history.rebalances:
        end_ms = history.end_ms if rebalance.completed_ms is None else rebalance.completed_ms
        kind = InterruptionKind.REBALANCE
        found.append(Interruption(kind, rebalance.started_ms, end_ms, "", rebalance.words))
    found.sort(key=lambda item: (item.start_ms, item.kind, item.words))
    return found


def _owned_by(spans: list[Span], incident: Incident) -> bool:
    # A clean stop is preceded by its own revocation: who gave it back a moment ago still counts as the owner.
    at_ms = incident.at_ms
    return any(
        span.consumer == incident.consumer
        and span.start_ms <= at_ms
        and (span.end_ms is None or at_ms <= span.end_ms + 20 * CLOCK_SKEW_MS)
        for span in spans
    )


def _next_start(spans: list[Span], at_ms: int, default_ms: int) -> int:
    return next((span.start_ms for span in spans if span.start_ms >= at_ms), default_ms)


def _until(history: History, spans: list[Span], index: int) -> int:
    """Until when an incident keeps its consumer from reading."""
    incident = history.incidents[index]
    if incident.kind == "stopped" or incident.kind in FATAL_KINDS:
        return _next_start(spans, incident.at_ms, history.end_ms)
    over = _OVER_WITH.get(incident.kind)
    if over is None:
        return incident.at_ms
    return next(
        (
            later.at_ms
            for later in history.incidents[index + 1 :]
            if later.consumer == incident.consumer and (later.kind == over or later.kind in _ENDS)
        ),
        history.end_ms,
    )


def _interruption(
    kind: InterruptionKind, start_ms: int, end_ms: int, consumer: str, words: str
) -> Interruption:
    return Interruption(kind, start_ms, end_ms, consumer, f"{consumer} {words}")


def root_cause(candidates: Iterable[Interruption], *, latest: bool = False) -> Interruption | None:
    """The one nearest to the root; among equals the earliest, or the latest if asked."""
    sign = -1 if latest else 1
    return min(candidates, key=lambda item: (item.kind, sign * item.start_ms), default=None)


def cause_of_repeat(spans: list[Span], known: list[Interruption], repeat: Repeat) -> Interruption | None:
    """Why records that one reading had had came again in another; None: the reader went back by itself.

    First what lay upon the first reader when its ownership ended: a kill, a freeze. Then, where the records came
    again to one that was not the owner any more, what lay upon that one. Else the nearest to the root of what
    happened in between, without faults that the first reader survived reading.
    """
    before, again = repeat.before, repeat.again
    for who, since_ms in ((before.consumer, before.start_ms), (again.consumer, 0)):
        ended = [span for span in spans if span.consumer == who and span.end_ms is not None]
        ends = [span.end_ms for span in ended if span.end_ms and since_ms <= span.end_ms <= again.start_ms]
        owns = who == again.consumer and any(_holds(span, who, again.start_ms) for span in spans)
        if ends and not owns:
            # The first reader's end of that reading; the last end of one that was late.
            end_ms = ends[0] if who == before.consumer else ends[-1]
            upon = [item for item in known if _lies_upon(item, who, end_ms)]
            if upon:
                return min(upon, key=lambda item: item.start_ms)
    between = [item for item in known if before.start_ms <= item.start_ms <= again.start_ms]
    survived = before.end_ms - CLOCK_SKEW_MS
    relevant = [item for item in between if item.kind != InterruptionKind.FAULT or item.end_ms >= survived]
    # Of what happened since, the first reader's end is nearer to the root than whatever others did.
    own = [
        item for item in relevant if item.consumer == before.consumer or item.kind != InterruptionKind.FAULT
    ]
    return root_cause(own or relevant, latest=True)


def _holds(span: Span, consumer: str, at_ms: int) -> bool:
    return (
        span.consumer == consumer and span.start_ms <= at_ms and (span.end_ms is None or at_ms < span.end_ms)
    )


def _lies_upon(item: Interruption, consumer: str, at_ms: int) -> bool:
    """Whether a fault of the consumer lasted at that time; an order to be slower is over at once."""
    own = item.kind == InterruptionKind.FAULT and item.consumer == consumer
    return own and item.start_ms <= at_ms < item.end_ms
