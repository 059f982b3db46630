"""What a rule is: a pure function from evidence to findings, with what a person is told of it.

Each rule is a file of its own in `rota.monitor.doctor.rules`, with one constant ``RULE``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.model import TopicPartition

__all__ = ["Lesson", "Rule"]

WATCH_S: Final = 8
"""Longer than the 5 s between two commits of a usual client, and half of the time that the doctor looks."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What ``--explain`` teaches: what it is, why it happens, what to do. Paragraphs without line breaks."""

    what: str
    why: str
    todo: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong.

    ``id`` is ``D06``, ``name`` is in kebab case, ``title`` a few words for a list. ``silences`` are the rules whose
    findings say nothing new where this one has found something in the same partitions (or of the same members, or in
    the whole group, where one of the two findings names none). ``causes`` are rules whose finding this one explains: it
    becomes a part of that finding, which is then no worse than this one if somebody meant it so (``meant``: a deploy).
    ``explains_lag``: what it finds may be why a group is behind; that it finds nothing counts after a while only.
    """

    id: str
    name: str
    severity: Severity
    title: str
    judge: Callable[[Evidence], list[Finding]]
    lesson: Lesson
    needs: tuple[Need, ...] = ()
    silences: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    meant: bool = False
    explains_lag: bool = False

    def lacking(self, evidence: Evidence) -> str | None:
        """Why this rule cannot be judged, in words; None where it can."""
        return next((why for need in self.needs if (why := evidence.lacks(need)) is not None), None)

    def too_soon(self, evidence: Evidence) -> str | None:
        """Why it means nothing yet that this rule found nothing, in words; None where it does."""
        held = any(part.lag and part.member is not None for part in evidence.view.partitions)
        if not self.explains_lag or not held or evidence.rest_s >= WATCH_S:
            return None
        return f"the same members had their partitions for {evidence.rest_s:.0f} s of the look; it takes {WATCH_S} s"

    def finding(
        self,
        evidence: Evidence,
        words: str,
        *lines: EvidenceLine,
        severity: Severity | None = None,
        certainty: Certainty = Certainty.CERTAIN,
        partitions: Iterable[TopicPartition] = (),
        members: Iterable[str] = (),
        advice: str = "",
        commands: Iterable[str] = (),
        doubts: str = "",
    ) -> Finding:
        """What this rule found; ``lines`` are its evidence, ``severity`` is the rule's own if it is not given."""
        return Finding(
            rule=self.id,
            name=self.name,
            severity=severity or self.severity,
            group=evidence.group,
            words=words,
            evidence=lines,
            certainty=certainty,
            partitions=tuple(partitions),
            members=tuple(members),
            advice=advice,
            commands=tuple(commands),
            doubts=doubts,
        )
