"""In which partitions transactions were seen: there a lag counts markers too, so it is an upper bound."""

from __future__ import annotations

from collections.abc import Collection

from rota.monitor.headers import Key

__all__ = ["Marks"]


class Marks:
    """Keys of partitions, each kept until its topic has been in no look for ``keep_ms``.

    Not dropped at once: a look may lack a topic because a broker was away, and what it was marked for is not seen again
    soon. Pure: times are arguments.
    """

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        self._partitions: dict[str, set[int]] = {}
        self._seen_ms: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._partitions.values()))

    def __contains__(self, key: Key) -> bool:
        topic, partition = key
        return partition in self._partitions.get(topic, ())

    def add(self, key: Key, at_ms: int) -> None:
        """A transaction was seen there."""
        topic, partition = key
        self._partitions.setdefault(topic, set()).add(partition)
        self._seen_ms[topic] = at_ms

    def keep(self, topics: Collection[str], at_ms: int) -> None:
        """One more look, with these topics (by id): those that have not been there for long are forgotten."""
        for topic, seen_ms in list(self._seen_ms.items()):
            if topic in topics or at_ms < seen_ms:  # a clock that was set back says nothing
                self._seen_ms[topic] = at_ms
            elif at_ms - seen_ms > self._keep_ms:
                del self._seen_ms[topic], self._partitions[topic]
