"""Records that take long: named in the log, and set apart so that others of their lane go on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.state import Observer, Route
    from rota.consumer.core.work import Task

__all__ = ["Watch"]

log = logging.getLogger("rota.consumer")

_LONGEST_KEY = 60


class Watch:
    """Looks at the workers four times in ``slow_ms``. No clock is read for a record: what is still there is
    slow.
    """

    def __init__(self, routes: Sequence[Route], slow_ms: int, observer: Observer) -> None:
        self._routes = routes
        self._slow_ms = slow_ms
        self._observer = observer
        self._next_ms = 0
        self._seen: dict[
            Task, tuple[int, int, bool]
        ] = {}  # the record it was at, since when, whether that was told

    def look(self, now_ms: int) -> None:
        """Call it often."""
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + max(1, self._slow_ms // 4)
        seen: dict[Task, tuple[int, int, bool]] = {}
        for route in self._routes:
            for task in route.workers.current():
                at = task.running
                if at >= len(task.messages):
                    continue
                before, since, told = self._seen.get(task, (-1, 0, False))
                if before != at:
                    since, told = now_ms, False
                if not told and now_ms - since >= self._slow_ms:
                    told = self._tell(route, task, task.messages[at], now_ms - since)
                seen[task] = (at, since, told)
        self._seen = seen

    def running(self) -> list[tuple[Message, int, int]]:
        """Records that were seen running, since when, and in which attempt."""
        return [
            (task.messages[at], since, task.attempt)
            for task, (at, since, _) in self._seen.items()
            if at < len(task.messages)
        ]

    def _tell(self, route: Route, task: Task, message: Message, ms: int) -> bool:
        many = f" with {len(task.messages) - 1} more" if route.lanes.batch is not None else ""
        log.warning(
            "slow: %s-%d at offset %d%s (key %s) has been running for %d ms (attempt %d)",
            message.topic(), message.partition(), message.offset(), many, _key(message), ms, task.attempt,
        )  # fmt: skip
        self._observer.slow(message, ms, task.attempt)
        if route.lanes.batch is None:
            route.lanes.detach(task)
        return True


def _key(message: Message) -> str:
    key = message.key()
    if key is None:
        return "none"
    return repr(key) if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]!r}..."
