"""A client that is watched: how long its commits and rebalances take. Nothing is done for a record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from rota.consumer.clients.client import CommitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rota.consumer.clients.client import Offset, Rebalance
    from rota.consumer.clients.kafka import KafkaClient
    from rota.consumer.core.state import Committer
    from rota.consumer.operations.counts import Counts
    from rota.model import TopicPartition

__all__ = ["Watch", "observed"]

C = TypeVar("C", bound="Committer")


class Watch(Protocol):
    """Who wants to hear of commits and rebalances (`rota.consumer.operations.operations.Operations`)."""

    def client(self, client: KafkaClient) -> KafkaClient:
        """What is to be used in its place."""
        ...

    def committer(self, committer: C) -> C:
        """What is to be used in its place."""
        ...


def observed(client: C, counts: Counts) -> C:
    """The same client, or committer; ``counts`` hears of its commits and rebalances."""
    return cast("C", _Observed(client, counts))


class _Observed:
    """Everything that it does not know is the client's own."""

    def __init__(self, client: Committer, counts: Counts) -> None:
        self._client: Any = client
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        self._client.subscribe(topics, _Timed(rebalance, self._counts))

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        began = time.perf_counter()
        problem = None
        try:
            refused: Mapping[TopicPartition, str] = self._client.commit(offsets)
            return refused
        except CommitError as error:
            problem = str(error)
            raise
        finally:
            self._counts.commit_answered(time.perf_counter() - began, problem)

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> None:
        began = time.perf_counter()

        def noted(error: CommitError | None, refused: Mapping[TopicPartition, str]) -> None:
            self._counts.commit_answered(time.perf_counter() - began, str(error) if error else None)
            answered(error, refused)

        self._client.commit_soon(offsets, noted)


class _Timed:
    """Who is told of rebalances, with a stop-watch."""

    def __init__(self, rebalance: Rebalance, counts: Counts) -> None:
        self._rebalance = rebalance
        self._counts = counts

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._time("assigned", self._rebalance.assigned, partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._time("revoked", self._rebalance.revoked, partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._time("lost", self._rebalance.lost, partitions)

    def _time(
        self,
        kind: str,
        act: Callable[[Sequence[TopicPartition]], None],
        partitions: Sequence[TopicPartition],
    ) -> None:
        self._counts.rebalance_begins(kind)
        try:
            act(partitions)
        finally:
            self._counts.rebalance_ends()
