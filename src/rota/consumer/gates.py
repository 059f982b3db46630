"""Back-pressure: when not to fetch, and which partitions to pause.

A handler that has its fill for a moment only keeps the owner from fetching: `Consumer.pause` throws away
what the client has fetched ahead, and that is for longer than a moment. Pausing lets the owner go on
polling, which it must (``max.poll.interval.ms``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.consumer.client import Client
    from rota.consumer.state import Limits, Partition, Route

__all__ = ["PATIENCE_MS", "Gates"]

PATIENCE_MS = 500
"""A handler is full for so long before its partitions are paused, and the owner polls at least as often."""

_LOOK_MS = 100


class Gates:
    """``partitions`` and ``routes`` (by topic) are the engine's."""

    def __init__(
        self,
        client: Client,
        partitions: Mapping[TopicPartition, Partition],
        routes: Mapping[str, Route],
        limits: Limits,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._routes = routes
        self._every = list(dict.fromkeys(routes.values()))
        self._limits = limits
        self._full_since: dict[Route, int] = {}
        self._crowded: set[TopicPartition] = set()
        self._next_look_ms = 0
        self.by_user: set[TopicPartition] = set()
        """Paused because somebody asked for it."""

    def room(self) -> int:
        """How many records may be fetched now; 0 while a handler has its fill and its partitions are not
        paused yet.
        """
        room = self._limits.in_flight
        for route in self._every:
            left = self._limits.in_flight - route.in_flight
            if left <= 0 and not self._shut(route):
                return 0
            if left > 0:
                room = min(room, left)
        return room

    def look(self, now_ms: int) -> None:
        """Pause and resume what must be."""
        for route in self._every:
            if route.in_flight >= self._limits.in_flight:
                self._full_since.setdefault(route, now_ms)
            elif route in self._full_since and 2 * route.in_flight <= self._limits.in_flight:
                del self._full_since[route]
        if now_ms >= self._next_look_ms:
            self._next_look_ms = now_ms + _LOOK_MS
            self._crowded = self._crowded_now()
            self._apply(now_ms)

    def look_soon(self) -> None:
        """Something has changed: do not wait with the next look."""
        self._next_look_ms = 0

    def reasons(self, now_ms: int) -> dict[TopicPartition, str]:
        """Why partitions are paused, in words."""
        full = {route for route, since in self._full_since.items() if now_ms - since >= PATIENCE_MS}
        found = {}
        for partition in self._partitions:
            if partition in self.by_user:
                found[partition] = "paused by the application"
            elif self._routes[partition.topic] in full:
                found[partition] = f"{self._limits.in_flight:,} records are under way (in_flight)"
            elif partition in self._crowded:
                most = self._limits.in_flight_per_partition
                found[partition] = f"{most:,} of its records are under way (in_flight_per_partition)"
        return found

    def _shut(self, route: Route) -> bool:
        topics = [partition for partition in self._partitions if self._routes[partition.topic] is route]
        return all(self._partitions[partition].paused for partition in topics)

    def _crowded_now(self) -> set[TopicPartition]:
        most = self._limits.in_flight_per_partition
        found: set[TopicPartition] = set()
        for route in self._every:
            if 2 * route.in_flight < most:
                continue
            counts = Counter((message.topic(), message.partition()) for message in route.lanes.undone())
            for where, count in counts.items():
                partition = TopicPartition(*where)
                if count >= most or (partition in self._crowded and 2 * count > most):
                    found.add(partition)
        return found

    def _apply(self, now_ms: int) -> None:
        wanted = self.reasons(now_ms)
        self._switch(
            [p for p, state in self._partitions.items() if not state.paused and p in wanted], paused=True
        )
        self._switch(
            [p for p, state in self._partitions.items() if state.paused and p not in wanted], paused=False
        )

    def _switch(self, partitions: Sequence[TopicPartition], *, paused: bool) -> None:
        if not partitions:
            return
        (self._client.pause if paused else self._client.resume)(partitions)
        for partition in partitions:
            self._partitions[partition].paused = paused
