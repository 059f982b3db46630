"""What a doctor has to say of one group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rota.monitor.findings import Finding, Severity

__all__ = ["Diagnosis", "Unjudged"]


class Unjudged(NamedTuple):
    """A rule that could say neither yes nor no, and why."""

    rule: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings, the worst first; ``judged`` are the rules that had what they need, ``unjudged`` the others.

    ``span_s`` is how long the group was watched, in seconds.
    """

    group: str
    at_ms: int
    span_s: float
    findings: tuple[Finding, ...]
    judged: tuple[str, ...]
    unjudged: tuple[Unjudged, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is worse than worth knowing."""
        return all(finding.severity is Severity.INFO for finding in self.findings)
