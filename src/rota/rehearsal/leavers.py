"""Why a member left that nobody asked to: the lab knows whom it stopped, the coordinator does not.

A client of librdkafka leaves without a word when its handler has kept it from polling for
``max.poll.interval.ms``: to the coordinator that is a goodbye like any other. But the lab asked nobody to stop, and a
running client leaves for no other reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.rehearsal.seats import SeatState
from rota.timeline.events import Event, MemberJoined, MemberLeft, RebalanceReason, RebalanceStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.rehearsal.seats import Seat

__all__ = ["Leavers"]


class Leavers:
    """Remembers who joined; `explain` puts the reason right in what the coordinator tells."""

    def __init__(self, seats: list[Seat]) -> None:
        self._seats = seats
        self._joined: dict[str, tuple[str, int]] = {}

    def explain(self, events: Iterable[Event]) -> list[Event]:
        """The same events, in order; a running consumer that left was too slow."""
        found: list[Event] = []
        for event in events:
            if isinstance(event, MemberJoined):
                self._joined[event.member] = event.client_id, event.at_ms
            slow = RebalanceReason.POLL_INTERVAL_EXCEEDED
            if isinstance(event, MemberLeft) and self._too_slow(event):
                event = MemberLeft(event.at_ms, event.group, event.member, slow, event.detail)
            elif isinstance(event, RebalanceStarted) and self._too_slow(event):
                event = RebalanceStarted(
                    event.at_ms, event.group, event.generation, slow, event.member, event.detail
                )
            found.append(event)
        return found

    def _too_slow(self, event: MemberLeft | RebalanceStarted) -> bool:
        """Whether it left of its own accord: as the process that runs now, which was not asked to stop."""
        name, joined_ms = self._joined.get(event.member, ("", 0))
        seat = next((seat for seat in self._seats if seat.name == name), None)
        if event.reason is not RebalanceReason.MEMBER_LEFT or seat is None:
            return False
        return seat.state in (SeatState.RUNNING, SeatState.FROZEN) and joined_ms >= seat.started_ms
