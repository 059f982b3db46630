"""The consumers of a lab, each with a number and a colour that stay its own however often it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.rehearsal.processes import Actor

__all__ = ["Seat", "SeatState"]


class SeatState(StrEnum):
    """What a consumer's process is doing, in words for the screen."""

    RUNNING = "running"
    FROZEN = "frozen (SIGSTOP)"
    STOPPING = "stopping (SIGTERM)"
    LEFT = "has left"
    AWAY = "stopped (static)"
    """A static member that said no goodbye: the group keeps its partitions for it until its session times out."""
    KILLED = "killed (kill -9)"
    CRASHED = "crashed"


@dataclass
class Seat:
    """One consumer's place; ``actor`` is its latest process."""

    number: int
    name: str
    delay_ms: float
    actor: Actor | None = None
    state: SeatState = SeatState.LEFT
    started_ms: int = 0
    """When that process was started."""
    usual_delay_ms: float | None = None
    """The handler's delay from before it was made to hang; None while it does not."""

    @property
    def running(self) -> bool:
        """Whether its process is there, be it frozen or about to end."""
        return self.state in (SeatState.RUNNING, SeatState.FROZEN, SeatState.STOPPING)
