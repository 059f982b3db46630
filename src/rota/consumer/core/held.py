"""Records that may not begin yet: those of retry topics before they are due, and those of a handler with a
rate limit.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from rota.consumer.clients.client import Message

__all__ = ["Held", "Rate"]


class Held:
    """Records that are not due, and those of their order key that came after them.

    ``order_key`` as in `rota.consumer.core.ordering`; ``due_ms``: in how many milliseconds a record may begin; None
    for those that never wait, nor for one another. It is asked once, when a record comes: whatever clocks say
    later, none waits longer.
    """

    def __init__(
        self, order_key: Callable[[Message], Hashable], due_ms: Callable[[Message], int | None]
    ) -> None:
        self._order_key = order_key
        self._due_ms = due_ms
        self._queues: dict[Hashable, deque[tuple[int, Message]]] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._count = itertools.count()
        self.of: Counter[tuple[str, int]] = Counter()
        """How many of each partition are here."""

    def sift(self, messages: Iterable[Message], now_ms: int) -> list[Message]:
        """Those that may begin; the others stay here."""
        free = []
        for message in messages:
            wait_ms = self._due_ms(message)
            if wait_ms is None:
                free.append(message)
                continue
            order_key = self._order_key(message)
            queue = self._queues.get(order_key)
            if queue is None and wait_ms <= 0:
                free.append(message)
                continue
            self.of[message.topic(), message.partition()] += 1
            if queue is not None:
                queue.append((now_ms + wait_ms, message))
            else:
                self._hold(order_key, deque([(now_ms + wait_ms, message)]))
        return free

    def due(self, now_ms: int, most: int) -> list[Message]:
        """Those whose time has come, up to ``most``."""
        free: list[Message] = []
        while self._heap and self._heap[0][0] <= now_ms and len(free) < most:
            _, _, order_key = heapq.heappop(self._heap)
            queue = self._queues.pop(order_key, None)
            while queue and queue[0][0] <= now_ms and len(free) < most:
                free.append(queue.popleft()[1])
            if queue:
                self._hold(order_key, queue)
        self.of.subtract((message.topic(), message.partition()) for message in free)
        return free

    def next_ms(self) -> int | None:
        """When the next one is due."""
        return self._heap[0][0] if self._heap else None

    def keep(self, owned: Callable[[Iterable[Message]], list[Message]]) -> None:
        """Only what ``owned`` lets through."""
        queues, self._queues, self._heap = self._queues, {}, []
        self.of.clear()
        for order_key, queue in queues.items():
            due = {id(message): at_ms for at_ms, message in queue}
            kept = owned(message for _, message in queue)
            if kept:
                self._hold(order_key, deque((due[id(message)], message) for message in kept))
                self.of.update((message.topic(), message.partition()) for message in kept)

    def __iter__(self) -> Iterator[Sequence[Message]]:
        return ([message for _, message in queue] for queue in self._queues.values())

    def _hold(self, order_key: Hashable, queue: deque[tuple[int, Message]]) -> None:
        self._queues[order_key] = queue
        heapq.heappush(self._heap, (queue[0][0], next(self._count), order_key))


class Rate:
    """At most ``per_second`` records begin in a second, evenly: after a pause at most a tenth of a second's
    worth at once. Those that wait do so here, in their order.
    """

    def __init__(self, per_second: float) -> None:
        self.waiting: deque[Message] = deque()
        self._per_ms = per_second / 1000
        self.burst = max(1.0, per_second / 10)
        self._tokens = self.burst
        self._at_ms: int | None = None

    def take(self, most: int, now_ms: int) -> list[Message]:
        """Those that may begin now, up to ``most``."""
        self._refill(now_ms)
        count = min(int(self._tokens), len(self.waiting), max(0, most))
        self._tokens -= count
        return [self.waiting.popleft() for _ in range(count)]

    def owe(self, count: int) -> None:
        """So many began without asking, for another attempt."""
        self._tokens -= count

    def next_ms(self, now_ms: int) -> int | None:
        """When the next one may begin; None if none waits for that."""
        self._refill(now_ms)
        if not self.waiting or self._tokens >= 1:
            return None
        return now_ms + int((1 - self._tokens) / self._per_ms) + 1

    def keep(self, owned: Callable[[Iterable[Message]], list[Message]]) -> None:
        """Only what ``owned`` lets through."""
        self.waiting = deque(owned(self.waiting))

    def _refill(self, now_ms: int) -> None:
        if self._at_ms is not None:
            self._tokens = min(self.burst, self._tokens + (now_ms - self._at_ms) * self._per_ms)
        self._at_ms = now_ms
