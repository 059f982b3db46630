"""Several who want to know what happens, told one after the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rota.consumer.core.state import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rota.consumer.clients.client import Message, Offset
    from rota.model import TopicPartition

__all__ = ["Observers"]

log = logging.getLogger("rota.consumer")


class Observers(Observer):
    """What one of them raises is logged, and ends neither the consumer nor the news for the others."""

    def __init__(self, every: Sequence[Observer]) -> None:
        self._every = tuple(every)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell(lambda observer: observer.assigned(partitions))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell(lambda observer: observer.revoked(partitions))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell(lambda observer: observer.lost(partitions))

    def fetched(self, messages: Sequence[Message]) -> None:
        self._tell(lambda observer: observer.fetched(messages))

    def committed(self, partition: TopicPartition, offset: Offset) -> None:
        self._tell(lambda observer: observer.committed(partition, offset))

    def commit_failed(self, reason: str) -> None:
        self._tell(lambda observer: observer.commit_failed(reason))

    def failed(self, message: Message, failure: BaseException, attempt: int, action: str) -> None:
        self._tell(lambda observer: observer.failed(message, failure, attempt, action))

    def settled(self, message: Message) -> None:
        self._tell(lambda observer: observer.settled(message))

    def paused(self, reasons: Mapping[TopicPartition, str]) -> None:
        self._tell(lambda observer: observer.paused(reasons))

    def resumed(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell(lambda observer: observer.resumed(partitions))

    def client_error(self, words: str, *, final: bool) -> None:
        self._tell(lambda observer: observer.client_error(words, final=final))

    def slow(self, message: Message, running_ms: int, attempt: int) -> None:
        self._tell(lambda observer: observer.slow(message, running_ms, attempt))

    def _tell(self, news: Callable[[Observer], None]) -> None:
        for observer in self._every:
            try:
                news(observer)
            except Exception:
                log.exception("%s failed at what it was told", type(observer).__name__)
