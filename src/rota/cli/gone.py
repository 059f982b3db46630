"""Noticing that a topic was deleted, or a partition lost its leader, while it is read.

librdkafka waits in silence for more of its records.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rota.cluster import Cluster, TopicDescription

__all__ = ["TopicWatch"]

ASK_EVERY_S = 2.0


class TopicWatch:
    """Asks now and then, without waiting for the answer, whether the topics are still there, and led."""

    def __init__(self, cluster: Cluster, topics: Iterable[TopicDescription]) -> None:
        """``topics`` as they were just now."""
        from rota.cluster.health import no_leader_words

        described = {topic.name: topic for topic in topics}
        self.there = set(described)
        self._cluster = cluster
        self._answer: Callable[[], dict[str, TopicDescription | RotaError] | None] | None = None
        self._asked_at = time.monotonic()
        self._suspects: set[str] = set()
        self._words = {name: words for name, topic in described.items() if (words := no_leader_words(topic))}
        self._said: dict[str, str] = {}
        self._news = self._leaders(self._words)

    def gone(self) -> list[str]:
        """The topics that are gone since the last call; two answers in a row must have said so.

        A broker that is just starting may not have learnt of every topic yet.
        """
        from rota.cluster.client import is_missing
        from rota.cluster.health import no_leader_words

        if not self.there or time.monotonic() - self._asked_at < ASK_EVERY_S:
            return []
        if self._answer is None:
            self._answer = self._cluster.ask_topics(self.there)
        found = self._answer()
        if found is None:
            return []
        self._answer = None
        self._asked_at = time.monotonic()
        self._news += self._leaders(
            {
                name: no_leader_words(topic)
                for name, topic in found.items()
                if not isinstance(topic, RotaError)
            }
        )
        missing = {name for name, answer in found.items() if is_missing(answer)}
        confirmed = sorted(missing & self._suspects)
        self._suspects = missing
        self.there -= set(confirmed)
        return confirmed

    def news(self) -> list[str]:
        """What there is to say about leaders since the last call."""
        news, self._news = self._news, []
        return news

    def _leaders(self, words: Mapping[str, str]) -> list[str]:
        """What was found twice and not said yet; that it is over is said once."""
        news = []
        for name, said in list(self._said.items()):
            if not words.get(name, said):
                del self._said[name]
                news.append(f"going on: every partition of topic {name} has a leader again")
        for name, text in words.items():
            if text and text == self._words.get(name) and text != self._said.get(name):
                self._said[name] = text
                news.append(f"waiting: {text}")
        self._words = dict(words)
        return news
