"""Back-pressure: when not to fetch, and which partitions to pause.

A handler that has its fill for a moment only keeps the owner from fetching: `Consumer.pause` throws away
what the client has fetched ahead, and that is for longer than a moment. Pausing lets the owner go on
polling, which it must (``max.poll.interval.ms``).

With several handlers that is not enough: what the client has fetched ahead is one queue for all topics, and in it the
records of the others wait behind the backlog of one. So a handler that has its fill *makes way* as soon as another one
has room: its partitions are paused, and what others are waiting for comes next.

No limit is ever exceeded: as many records are fetched as there is room for, and what counts is counted with
those that wait for another attempt, or for a topic to take them. Those of a retry topic that are not due yet
are not counted with them, or they would keep others from being fetched for as long: their own partition is
paused.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.consumer.clients.client import Client
    from rota.consumer.core.state import Limits, Observer, Partition, Route

__all__ = ["AGAIN_MS", "PATIENCE_MS", "Gates"]

PATIENCE_MS = 500
"""A handler is full for so long, without ever a moment's room, before its partitions are paused."""

AGAIN_MS = 1_000
"""A handler makes way no more than once in so long: each time what was fetched ahead of it is fetched again."""

_AHEAD_MS = 600
"""It goes on when what it still has lasts so long at its pace. The client asks for its records again with its next
fetch, which may be waiting for records of others by then: for ``fetch.wait.max.ms``, 500.
"""

_STEPS = 16
"""A handler has its fill while there is room for less than one part in so many: records are fetched in batches, not as
they are finished.
"""

NOT_DUE = 1_000
"""A partition that has brought so many records before their time is paused until half of them are due."""

_LOOK_MS = 100
_COUNT_MS = 10


class Gates:
    """``partitions`` and ``routes`` (by topic) are the engine's."""

    def __init__(
        self,
        client: Client,
        partitions: Mapping[TopicPartition, Partition],
        routes: Mapping[str, Route],
        limits: Limits,
        observer: Observer,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._routes = routes
        self._every = list(dict.fromkeys(routes.values()))
        self._limits = limits
        self._observer = observer
        self._full_since: dict[Route, int] = {}
        self._making_way: dict[Route, tuple[int, int]] = {}  # since when, and how many it had then
        self._made_way_ms: dict[Route, int] = {}
        self._room = limits.in_flight  # when it was last asked for
        self._filled: Route | None = None  # who was given all of it
        self._crowded_since: dict[TopicPartition, int] = {}
        self._counts = limits.in_flight_per_partition < limits.in_flight
        self._spare = limits.in_flight_per_partition
        self._delays = any(route.policy.hops for route in self._every)
        self._next_count_ms = 0
        self._next_look_ms = 0
        self._step = max(1, limits.in_flight // _STEPS)
        self.by_user: set[TopicPartition] = set()
        """Paused because somebody asked for it, whether ours or not."""

    def room(self) -> int:
        """How many records may be fetched now; 0 while a handler has its fill and its partitions are not
        paused yet.
        """
        room = self._limits.in_flight
        for route in self._every:
            left = self._left(route)
            if left < self._step and not self._shut(route):
                return 0
            if left > 0:
                room = min(room, left)
        self._room = max(0, min(room, self._spare)) if self._counts else room
        return self._room

    def fetched(self, count: int) -> None:
        """So many came, of whatever partitions."""
        self._spare -= count
        if self._delays:
            self.look_soon()

    def given(self, route: Route, count: int) -> None:
        """One of several handlers is given so many of those. Who takes all that there was room for may have left
        others waiting behind them, even if it has room again before anybody looks.
        """
        if count >= self._room:
            self._filled = route

    def look(self, now_ms: int) -> None:
        """Pause and resume what must be."""
        for route in self._every:
            left = self._left(route)
            if left < self._step:
                self._full_since.setdefault(route, now_ms)
            elif route in self._full_since:
                paused = now_ms - self._full_since[route] >= PATIENCE_MS
                if not paused or 2 * left >= self._limits.in_flight:
                    del self._full_since[route]
        if self._filled is not None or (self._full_since and len(self._every) > 1) or self._making_way:
            self._make_way(now_ms)
        if self._counts and now_ms >= self._next_count_ms and self._is_near_a_share():
            self._count(now_ms)
        if now_ms >= self._next_look_ms:
            self.apply(now_ms)

    def look_soon(self) -> None:
        """Something has changed: do not wait with the next look."""
        self._next_look_ms = 0

    def apply(self, now_ms: int) -> None:
        """Pause and resume at once."""
        self._next_look_ms = now_ms + _LOOK_MS
        wanted = self.reasons(now_ms)
        shut = [p for p, state in self._partitions.items() if not state.paused and p in wanted]
        opened = [p for p, state in self._partitions.items() if state.paused and p not in wanted]
        if shut:
            self._switch(shut, paused=True)
            self._observer.paused({partition: wanted[partition] for partition in shut})
        if opened:
            self._switch(opened, paused=False)
            self._observer.resumed(opened)
        if (shut or opened) and self._counts:
            self._count(now_ms)

    def reasons(self, now_ms: int) -> dict[TopicPartition, str]:
        """Why partitions are paused, in words."""
        full = {route for route, since in self._full_since.items() if now_ms - since >= PATIENCE_MS}
        found = {}
        for partition in self._partitions:
            if partition in self.by_user:
                found[partition] = "paused by the application"
            elif self._routes[partition.topic] in self._making_way:
                most = self._limits.in_flight
                found[partition] = (
                    f"{most:,} records are under way (in_flight), and other handlers are given theirs"
                )
            elif self._routes[partition.topic] in full:
                found[partition] = f"{self._limits.in_flight:,} records are under way (in_flight)"
            elif now_ms - self._crowded_since.get(partition, now_ms) >= _LOOK_MS:
                most = self._limits.in_flight_per_partition
                found[partition] = f"{most:,} of its records are under way (in_flight_per_partition)"
            elif self._has_too_many_not_due(partition):
                found[partition] = "its records are not due yet (retry topic)"
        return found

    def full(self, route: Route) -> bool:
        """Whether a handler has its fill: nothing is fetched for it until it has worked off some."""
        return self._left(route) < self._step

    def _left(self, route: Route) -> int:
        """How many more records the handler may have."""
        left = self._limits.in_flight - route.in_flight
        return left if 2 * left >= self._limits.in_flight else self._limits.in_flight - route.in_flight_now

    def _make_way(self, now_ms: int) -> None:
        """Who has its fill makes way for others, and goes on before it has nothing to do."""
        for route in self._every:
            left = self._left(route)
            if route in self._making_way:
                if self._may_go_on(route, left, now_ms):
                    del self._making_way[route]
                    self.look_soon()
            elif (left < self._step or route is self._filled) and self._may_make_way(route, now_ms):
                self._making_way[route] = now_ms, self._limits.in_flight - left
                self._made_way_ms[route] = now_ms
                self.look_soon()
        self._filled = None

    def _may_make_way(self, route: Route, now_ms: int) -> bool:
        """Not too often, and only for somebody who can be given something."""
        before_ms = self._made_way_ms.get(route)
        if before_ms is not None and now_ms - before_ms < AGAIN_MS:
            return False
        fetched = {self._routes[at.topic] for at, state in self._partitions.items() if not state.paused}
        others = fetched.difference(self._making_way, (route,))
        return any(not self.full(each) for each in others)

    def _may_go_on(self, route: Route, left: int, now_ms: int) -> bool:
        """When half is done, or what is left does not last long."""
        since_ms, had = self._making_way[route]
        has = self._limits.in_flight - left
        return 2 * left >= self._limits.in_flight or has * (now_ms - since_ms) <= _AHEAD_MS * (had - has)

    def _has_too_many_not_due(self, partition: TopicPartition) -> bool:
        most = min(NOT_DUE, self._limits.in_flight)
        count = self._routes[partition.topic].lanes.not_due(*partition)
        return count >= most or (self._partitions[partition].paused and 2 * count > most)

    def _shut(self, route: Route) -> bool:
        return all(state.paused for at, state in self._partitions.items() if self._routes[at.topic] is route)

    def _is_near_a_share(self) -> bool:
        """Whether a partition may have half of what it may have."""
        return 2 * self._spare <= self._limits.in_flight_per_partition or bool(self._crowded_since)

    def _count(self, now_ms: int) -> None:
        """How many records each partition has under way, and hence how many may be fetched before they are
        counted again.
        """
        most = self._limits.in_flight_per_partition
        self._next_count_ms = now_ms + _COUNT_MS
        counts: Counter[tuple[str, int]] = Counter()
        for route in self._every:
            for messages, _ in route.lanes.undone():
                counts.update((message.topic(), message.partition()) for message in messages)
        crowded = {
            partition: self._crowded_since.get(partition, now_ms)
            for partition in self._partitions
            if counts[partition] >= most
            or (partition in self._crowded_since and 2 * counts[partition] > most)
        }
        self._crowded_since = crowded
        unpaused = [counts[at] for at, state in self._partitions.items() if not state.paused]
        self._spare = most - max(unpaused, default=0)

    def _switch(self, partitions: Sequence[TopicPartition], *, paused: bool) -> None:
        (self._client.pause if paused else self._client.resume)(partitions)
        for partition in partitions:
            self._partitions[partition].paused = paused
