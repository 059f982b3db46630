"""What interrupted a partition, and which of several interruptions is to be named as the cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from rota.timeline.events import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.model import TopicPartition
    from rota.timeline.history import History

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


def interruptions(history: History, partition: TopicPartition) -> list[Interruption]:
    """All that befell the partition or who owned it then, by start."""
    spans = history.ledger.spans.get(partition, [])
    found: list[Interruption] = []
    for span in spans:
        found.append(_moment(InterruptionKind.OWNERSHIP, span.start_ms, span.consumer, "was assigned it"))
        if span.end_ms is not None:
            found.append(_moment(InterruptionKind.OWNERSHIP, span.end_ms, span.consumer, span.ended_by))
    for incident in history.incidents:
        at_ms, who = incident.at_ms, incident.consumer
        if incident.kind in _HARMLESS:
            continue
        if who and not any(
            span.consumer == who and span.start_ms <= at_ms <= _or_ever(span.end_ms) for span in spans
        ):
            continue
        kind = InterruptionKind.STOP if incident.kind == "stopped" else InterruptionKind.FAULT
        found.append(_moment(kind, at_ms, who or "the broker", incident.words))
    for rebalance in history.rebalances:
        end_ms = history.end_ms if rebalance.completed_ms is None else rebalance.completed_ms
        kind = InterruptionKind.REBALANCE
        found.append(Interruption(kind, rebalance.started_ms, end_ms, "", rebalance.words))
    found.sort(key=lambda item: (item.start_ms, item.kind, item.words))
    return found


def _or_ever(end_ms: int | None) -> float:
    # A clean stop is preceded by its own revocation: who gave it back a moment ago still counts as the owner.
    return float("inf") if end_ms is None else end_ms + 20 * CLOCK_SKEW_MS


def _moment(kind: InterruptionKind, at_ms: int, consumer: str, words: str) -> Interruption:
    return Interruption(kind, at_ms, at_ms, consumer, f"{consumer} {words}")


def root_cause(candidates: Iterable[Interruption], *, latest: bool = False) -> Interruption | None:
    """The one nearest to the root; among equals the earliest, or the latest if asked."""
    sign = -1 if latest else 1
    return min(candidates, key=lambda item: (item.kind, sign * item.start_ms), default=None)
