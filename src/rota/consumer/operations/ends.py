"""Where partitions end, as the brokers say: asked by a client and a thread of their own, so that nobody waits.

The consumer's own client cannot be asked for this. Its connection to a broker is busy with a fetch that waits for
records, half a second as a rule, and whatever is asked besides waits behind it; so would the owner thread.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from rota.cluster import Cluster
from rota.consumer.failed.letter_topics import connection_settings
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.model import TopicPartition

__all__ = ["Ends"]

TIMEOUT_S = 5.0


class Ends:
    """Connects, and starts its thread, when it is asked for the first time. ``every_ms``: how often it asks the
    brokers, at the most.
    """

    def __init__(self, config: Mapping[str, Any], every_ms: int) -> None:
        self._config = config
        self._every_ms = every_ms
        self._asked_ms: int | None = None
        self._busy = False
        self._known: Mapping[TopicPartition, int] = {}
        self._wanted: SimpleQueue[Sequence[TopicPartition] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def of(self, partitions: Sequence[TopicPartition], now_ms: int) -> Mapping[TopicPartition, int]:
        """What the brokers said when they were asked last, of those that answered; and they are asked again. An end
        never goes back, so an old answer is good for whoever has not come so far.
        """
        with self._lock:
            due = self._asked_ms is None or now_ms - self._asked_ms >= self._every_ms
            if partitions and due and not self._busy:
                self._asked_ms, self._busy = now_ms, True
                self._wanted.put(list(partitions))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="rota-ends", daemon=True)
                    self._thread.start()
            return self._known

    def close(self) -> None:
        """Ask no more."""
        self._wanted.put(None)

    def _run(self) -> None:
        bootstrap = str(self._config["bootstrap.servers"])
        cluster = Cluster(bootstrap, connection_settings(self._config), timeout_s=TIMEOUT_S)
        while (wanted := self._wanted.get()) is not None:
            try:
                answers = cluster.end_offsets(wanted)
            except RotaError:
                answers = {}
            self._known = {partition: end for partition, end in answers.items() if end is not None}
            self._busy = False
        cluster.close()
