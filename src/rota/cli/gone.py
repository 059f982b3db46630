"""Noticing that a topic was deleted while it is read: librdkafka then waits in silence for more of its records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rota.cluster import Cluster

__all__ = ["TopicWatch"]

ASK_EVERY_S = 2.0


class TopicWatch:
    """Asks now and then, without waiting for the answer, whether the topics are still there."""

    def __init__(self, cluster: Cluster, topics: Iterable[str]) -> None:
        self.there = set(topics)
        self._cluster = cluster
        self._answer: Callable[[], set[str] | None] | None = None
        self._asked_at = time.monotonic()
        self._suspects: set[str] = set()

    def gone(self) -> list[str]:
        """The topics that are gone since the last call; two answers in a row must have said so.

        A broker that is just starting may not have learnt of every topic yet.
        """
        if not self.there or time.monotonic() - self._asked_at < ASK_EVERY_S:
            return []
        if self._answer is None:
            self._answer = self._cluster.ask_missing(self.there)
        missing = self._answer()
        if missing is None:
            return []
        self._answer = None
        self._asked_at = time.monotonic()
        confirmed = sorted(missing & self._suspects)
        self._suspects = missing
        self.there -= set(confirmed)
        return confirmed
