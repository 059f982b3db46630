"""Why something happened to a group, how sure that is, and on what evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.monitor.findings import Certainty

if TYPE_CHECKING:
    from rota.timeline.events import RebalanceReason

__all__ = ["Verdict"]


class Verdict(NamedTuple):
    """A cause: of which member ("" for none in particular), and what speaks for it, in words.

    ``doubts`` says what else it may have been; "" where nothing else fits.
    """

    reason: RebalanceReason
    member: str
    certainty: Certainty
    evidence: str
    doubts: str = ""

    @property
    def grounds(self) -> str:
        """Evidence and doubts in one line."""
        return "; ".join(part for part in (self.evidence, self.doubts) if part)

    @property
    def words(self) -> str:
        """The same with the certainty before."""
        return f"{self.certainty.value}: {self.grounds}" if self.grounds else self.certainty.value
