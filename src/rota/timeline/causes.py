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

__all__ = ["CLOCK_SKEW_MS", "Interruption", "InterruptionKind", "interruptions", "root_cause"]

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


_HARMLESS: Final = frozenset({"started", FaultKind.THAWED.value, FaultKind.RECONNECTED.value})
_OVER_WITH: Final = {FaultKind.FROZEN.value: FaultKind.THAWED, FaultKind.CUT_OFF.value: FaultKind.RECONNECTED}


def interruptions(history: History, partition: TopicPartition) -> list[Interruption]:
    """All that befell the partition or who owned it then, by start.

    An end of ownership lasts until the next begin, a freeze until the consumer is let go on.
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
            for later in history.incidents[index:]
            if later.consumer == incident.consumer and later.kind == over
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
