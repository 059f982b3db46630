"""Why records are not acknowledged: librdkafka tries again in silence, for minutes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rota.cli.output import note
from rota.model import RotaError

if TYPE_CHECKING:
    from rota.cluster import Cluster

__all__ = ["Undelivered"]

PATIENCE_S = 4.0
"""How long some record waits before it is asked why, and then from question to question."""


class Undelivered:
    """Says once what keeps a topic from taking records, and once that it takes them again."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._since = time.monotonic()
        self._asking: threading.Thread | None = None
        self._reason = self._said = ""

    def look(self, under_way: int) -> None:
        """Call often, with how many records wait for their acknowledgement."""
        now = time.monotonic()
        if self._asking is not None:
            if self._asking.is_alive():
                return
            self._asking, self._since = None, now
        elif not under_way:
            self._reason, self._since = "", now
        elif now - self._since > PATIENCE_S:
            self._asking = threading.Thread(target=self._ask, name="why", daemon=True)
            self._asking.start()
        if self._reason != self._said:
            note(
                f"waiting: {self._reason}"
                if self._reason
                else f"going on: topic {self._topic} takes records again"
            )
            self._said = self._reason

    def reason(self) -> str:
        """What is wrong with the topic, or with the cluster, in one line; empty if nothing is."""
        from rota.cluster.health import no_leader_words, too_few_words

        try:
            found = self._cluster.describe_topics([self._topic])[self._topic]
        except RotaError as error:
            return str(error)
        if isinstance(found, RotaError):
            return str(found)
        return "; ".join(words for words in (no_leader_words(found), too_few_words(found)) if words)

    def _ask(self) -> None:
        self._reason = self.reason()
