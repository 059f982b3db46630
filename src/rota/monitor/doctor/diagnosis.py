"""What a doctor has to say of one group."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rota.monitor.findings import Finding, Severity

__all__ = ["Diagnosis", "Unjudged", "Verdict"]


class Verdict(StrEnum):
    """What is said of a group before anything else."""

    ILL = "ill"
    """Something is wrong."""
    UNKNOWN = "unknown"
    """Nothing was found, but the group is behind, and rules that could say why were not judged."""
    HEALTHY = "healthy"


class Unjudged(NamedTuple):
    """A rule that could say neither yes nor no, and why."""

    rule: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings, the worst first; ``judged`` are the rules that had what they need, ``unjudged`` the others.

    ``span_s`` is how long the group was watched, in seconds. ``unexplained`` are those unjudged rules that may be why
    the group is behind: none where it is not.
    """

    group: str
    at_ms: int
    span_s: float
    findings: tuple[Finding, ...]
    judged: tuple[str, ...]
    unjudged: tuple[Unjudged, ...]
    unexplained: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What is worth knowing is no illness."""
        if any(finding.severity is not Severity.INFO for finding in self.findings):
            return Verdict.ILL
        return Verdict.UNKNOWN if self.unexplained else Verdict.HEALTHY

    @property
    def healthy(self) -> bool:
        """Whether nothing is worse than worth knowing, and no rule that matters was left out."""
        return self.verdict is Verdict.HEALTHY
