"""What handlers of batches say, and where records wait for others to be handled together with."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.record import Record

__all__ = ["BatchError", "Done", "Gathering", "by_partition"]


class Done:
    """What a batch handler may return: everything up to this record is done, the rest comes again."""

    __slots__ = ("record",)

    def __init__(self, record: Record[Any]) -> None:
        self.record = record


class BatchError(Exception):
    """``raise BatchError(record) from error``: those before ``record`` are done, this one failed with
    ``error``. It is tried again by itself, and the rest of the batch comes behind it.

    If an exactly-once handler has produced something by then, nothing of the batch is done, and all of it is
    tried again.
    """

    def __init__(self, record: Record[Any], reason: str = "") -> None:
        super().__init__(reason or f"{record} failed")
        self.record = record
        self.whole = False
        """Whether the records before it are not done either; the runtime says so."""


class Gathering:
    """Records that wait for more of their lane and partition, ``wait_ms`` milliseconds at the longest."""

    def __init__(self, most: int, wait_ms: int) -> None:
        self._most = most
        self._wait_ms = wait_ms
        # In the order in which their first records came; a group that hands out a batch begins anew.
        self._groups: dict[tuple[int, Hashable], tuple[int, list[Message]]] = {}

    def add(
        self, lane: int, messages: list[Message], now_ms: int, *, one_partition: bool
    ) -> Iterator[list[Message]]:
        """The batches that are full; what is left waits."""
        first = messages[0]
        one = [((first.topic(), first.partition()), messages)]
        for where, more in one if one_partition else by_partition(messages):
            since_ms, group = self._groups.get((lane, where), (now_ms, []))
            group = group + more if group else more
            if len(group) >= self._most or not self._wait_ms:
                self._groups.pop((lane, where), None)
                full = len(group) if not self._wait_ms else len(group) - len(group) % self._most
                for at in range(0, full, self._most):
                    yield group[at : min(at + self._most, full)]
                since_ms, group = now_ms, group[full:]
            if group:
                self._groups[lane, where] = since_ms, group

    def due(self, now_ms: int, *, full: bool = False) -> list[tuple[int, list[Message]]]:
        """What has waited long enough, with its lane; all of it if the handler is ``full``: nothing more comes then."""
        found = []
        while self._groups:
            (lane, where), (since_ms, group) = next(iter(self._groups.items()))
            if now_ms - since_ms < self._wait_ms and not full:
                break
            del self._groups[lane, where]
            found.append((lane, group))
        return found

    def next_ms(self) -> int | None:
        """When something will have waited long enough."""
        for since_ms, _ in self._groups.values():
            return since_ms + self._wait_ms
        return None

    def take(self, lane: int, message: Message) -> list[Message]:
        """Those of this lane and of the partition of ``message``: they wait no longer here."""
        _, group = self._groups.pop((lane, (message.topic(), message.partition())), (0, []))
        return group

    def keep(self, owned: Callable[[Iterable[Message]], list[Message]]) -> None:
        """Only what ``owned`` lets through."""
        kept = {key: (since_ms, owned(group)) for key, (since_ms, group) in self._groups.items()}
        self._groups = {key: (since_ms, group) for key, (since_ms, group) in kept.items() if group}

    def __iter__(self) -> Iterator[Sequence[Message]]:
        return (group for _, group in self._groups.values())


def by_partition(
    messages: Sequence[Message], *, one_topic: bool = False
) -> Iterable[tuple[tuple[str, int], list[Message]]]:
    """The messages of each partition, in their order. ``one_topic``: they cannot be of several."""
    # A fetch brings many of one partition behind each other: what is done for each record is done by C.
    kind = type(messages[0])
    found: dict[tuple[str, int], list[Message]] = {}
    for partition, group in groupby(messages, kind.partition):
        run = list(group)
        topic = run[0].topic()
        if one_topic or list(map(kind.topic, run)).count(topic) == len(run):
            pieces = [(topic, run)]
        else:
            pieces = [(topic, list(some)) for topic, some in groupby(run, kind.topic)]
        for topic, piece in pieces:
            known = found.setdefault((topic, partition), piece)
            if known is not piece:
                known += piece
    return found.items()
