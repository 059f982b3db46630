"""What a doctor says: one finding a cause, with its evidence, its certainty and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rota.model import TopicPartition

__all__ = ["Certainty", "EvidenceLine", "Finding", "Severity", "worst"]


class Severity(StrEnum):
    """How bad it is; `rank` sorts the worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Certainty(StrEnum):
    """How sure the doctor is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One value that led to a finding, and where it comes from (an API of Kafka's, or a topic)."""

    what: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a group, or worth knowing.

    ``words`` is one sentence for a person; ``rule`` is its number (``D01``), ``name`` the rule's in kebab case.
    ``commands`` are command lines that can be run as they stand, ``doubts`` what would change the doctor's mind.
    """

    rule: str
    name: str
    severity: Severity
    group: str
    words: str
    evidence: tuple[EvidenceLine, ...] = ()
    certainty: Certainty = Certainty.CERTAIN
    partitions: tuple[TopicPartition, ...] = ()
    members: tuple[str, ...] = ()
    advice: str = ""
    commands: tuple[str, ...] = ()
    doubts: str = ""
    cause: str = ""
    """The rule that explains this finding and became a part of it: ``D10`` in a storm of rebalances."""


def worst(findings: Iterable[Finding]) -> Finding | None:
    """The one that counts most; the first of equals."""
    return min(findings, key=lambda finding: finding.severity.rank, default=None)
