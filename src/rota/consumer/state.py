"""What the parts of the engine share: the partitions that are ours, the handlers, the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rota.consumer.client import Message, Offset
    from rota.consumer.lanes import Lanes
    from rota.consumer.policy import Policy
    from rota.consumer.progress import Range
    from rota.consumer.work import Task
    from rota.model import TopicPartition

__all__ = ["Limits", "Observer", "Ours", "Partition", "Route", "Workers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be under way, and when is committed. Times are milliseconds."""

    in_flight: int = 10_000
    """Records fetched and not done, of one handler."""
    in_flight_per_partition: int = 10_000
    commit_interval: int = 1_000
    """What is done is committed after so long, at the latest."""
    commit_every: int = 100
    """Or after so many records ..."""
    commit_spacing: int = 20
    """... but never sooner than so long after the commit before, whose answer must have come."""
    metadata_bytes: int = 4095
    """The longest text that a commit may carry (`rota.consumer.offset_metadata`); 0: none."""
    slow: int = 100
    """A record that takes longer is named in the log."""
    revoke_drain: int = 10_000
    """How long a rebalance waits for work that has begun."""
    shutdown_drain: int = 25_000
    """How long the end waits for it."""


class Ours:
    """The partitions whose records may be worked on; those that are being taken from us are not among them."""

    __slots__ = ("_ours",)

    def __init__(self) -> None:
        self._ours: set[tuple[str, int]] = set()

    def owns(self, message: Message) -> bool:
        return (message.topic(), message.partition()) in self._ours

    def add(self, partition: TopicPartition) -> None:
        self._ours.add(partition)

    def discard(self, partition: TopicPartition) -> None:
        self._ours.discard(partition)


class Partition:
    """One partition while it is ours."""

    __slots__ = ("committed", "kept", "paused")

    def __init__(self, committed: Offset | None, kept: Sequence[Range]) -> None:
        self.committed = committed
        """What the broker has confirmed."""
        self.kept = list(kept)
        """Offsets that were done before it came to us and have not been fetched since."""
        self.paused = False


class Workers(Protocol):
    """Threads, processes or an event loop that go through lanes."""

    @property
    def completed(self) -> int: ...
    def current(self) -> Iterator[Task]:
        """The task of each worker that is at one."""
        ...

    def close(self) -> None: ...


class Route:
    """A handler: its topics, lanes, workers and what becomes of failures."""

    def __init__(
        self, name: str, lanes: Lanes, workers: Workers, policy: Policy, *, batch: bool = False
    ) -> None:
        self.name = name
        self.lanes = lanes
        self.workers = workers
        self.policy = policy
        self.batch = batch

    @property
    def in_flight(self) -> int:
        """Records dispatched and not done, as far as workers have told."""
        return self.lanes.taken - self.workers.completed


class Observer:
    """Who wants to know what happens; called by the owner thread, so quickly. This one wants nothing."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions came."""

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions went, after what was done of them was committed."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions went to somebody else already; nothing was committed."""

    def fetched(self, messages: Sequence[Message]) -> None:
        """Records were handed to the lanes."""

    def committed(self, partition: TopicPartition, offset: Offset) -> None:
        """The broker has confirmed it."""

    def commit_failed(self, reason: str) -> None:
        """It has not."""

    def failed(self, message: Message, failure: BaseException, attempt: int, action: str) -> None:
        """A handler raised; ``action``: retry, dead-letter, skip or crash."""

    def slow(self, message: Message, running_ms: int, attempt: int) -> None:
        """A record has been running for long; told once for each attempt."""
