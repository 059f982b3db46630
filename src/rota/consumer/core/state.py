"""What the parts of the engine share: the partitions that are ours, the handlers, the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rota.consumer.naming import names_checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rota.consumer.clients.client import CommitError, Message, Offset
    from rota.consumer.core.lanes import Lanes
    from rota.consumer.core.policy import Policy
    from rota.consumer.core.progress import Range
    from rota.consumer.core.work import Lane, Task
    from rota.model import TopicPartition

__all__ = ["Committer", "Limits", "Observer", "Ours", "Outputs", "Partition", "Route", "Workers"]


@names_checked
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
    """The longest text that a commit may carry (`rota.consumer.core.offset_metadata`); 0: none."""
    note: str = ""
    """What a commit carries when nothing is done beyond it: words for people and tools, not read by Rota."""
    slow: int = 100
    """A record that takes longer is named in the log."""
    revoke_drain: int = 10_000
    """How long a rebalance waits for work that has begun."""
    shutdown_drain: int = 25_000
    """How long the end waits for it, a rebalance that it comes upon included."""


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

    __slots__ = ("committed", "done", "kept", "next", "paused")

    def __init__(self, committed: Offset | None, kept: Sequence[Range]) -> None:
        self.committed = committed
        """What the broker has confirmed; None when the log is seen to begin anew."""
        self.kept = list(kept)
        """Offsets that were done before it came to us and have not been fetched since."""
        self.next = committed.offset if committed else 0
        """The least offset that may come next, where there are `kept` ones or outputs of exactly-once handlers."""
        self.done: Sequence[Range] = tuple(kept)
        """What was done beyond the first record that was not, when all was looked at."""
        self.paused = False


class Workers(Protocol):
    """Threads, processes or an event loop that go through lanes (`rota.consumer.core.work`)."""

    def start(self) -> None:
        """Called once, by the owner, before it subscribes."""
        ...

    def ready(self, lane: Lane, /) -> None:
        """A lane has tasks, and its token is taken for whoever goes through it. Called by the owner."""
        ...

    @property
    def completed(self) -> int:
        """Records that were finished, in tasks that ended."""
        ...

    def current(self) -> Iterator[Task]:
        """The task of each worker that is at one."""
        ...

    def close(self) -> None:
        """Nothing more comes. Called by the owner at the end; returns in bounded time."""
        ...


class Outputs(Protocol):
    """What exactly-once handlers want to produce, kept until the offsets of their records are committed."""

    def done(self, message: Message, outputs: Sequence[Any]) -> None:
        """Called by a worker, before `Task.running` moves past the record: a commit that covers a record
        finds its outputs here. Of a batch: its last record. ``outputs`` replace those of an attempt before.
        """
        ...

    @property
    def waiting(self) -> int:
        """Records whose outputs were not committed yet: they count as under way."""
        ...

    def drop(self, message: Message) -> None:
        """The handler ran on after its partition had gone: nothing comes of it. Called by the owner."""
        ...

    def forget(self, partitions: Sequence[TopicPartition]) -> None:
        """These are not ours any more: what was not committed is somebody else's. Called by the owner."""
        ...


class Committer(Protocol):
    """Where progress goes: the group's committed offsets (`Client` is one), or a transaction.

    A commit covers the records before `Offset.offset` and those that `decode_done` finds in its metadata.
    """

    def commit(self, offsets: Mapping[TopicPartition, Offset], /) -> Mapping[TopicPartition, str]:
        """Commit and wait; what was refused and why. Raises `CommitError` when nothing was taken."""
        ...

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
        /,
    ) -> None:
        """Commit; ``answered`` is called before this returns, or by the owner's thread later on."""
        ...


class Route:
    """A handler: its topics, lanes, workers and what becomes of failures. ``outputs``: of exactly-once handlers."""

    def __init__(
        self,
        name: str,
        lanes: Lanes,
        workers: Workers,
        policy: Policy,
        *,
        outputs: Outputs | None = None,
    ) -> None:
        self.name = name
        self.lanes = lanes
        self.workers = workers
        self.policy = policy
        self.outputs = outputs

    @property
    def in_flight(self) -> int:
        """Records dispatched and not done, as far as is known without looking: those in tasks that have not
        ended all count. So do those whose outputs wait to be committed.
        """
        return self.lanes.taken - self.workers.completed + self._not_written

    @property
    def in_flight_now(self) -> int:
        """The same less what is done of tasks that workers are at; never too few."""
        ended = self.workers.completed  # read first: a task that ends meanwhile is in neither
        running = sum(task.running for task in self.workers.current())
        return self.lanes.taken - ended - running + self._not_written

    @property
    def _not_written(self) -> int:
        return 0 if self.outputs is None else self.outputs.waiting


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
        """A handler raised; ``action``: retry, retry-topic, dead-letter, skip or crash."""

    def settled(self, message: Message) -> None:
        """A record that had failed is done: by a later attempt, skipped, or safe in another topic."""

    def paused(self, reasons: Mapping[TopicPartition, str]) -> None:
        """These are not fetched for the time being, and why."""

    def resumed(self, partitions: Sequence[TopicPartition]) -> None:
        """These are fetched again."""

    def client_error(self, words: str, *, final: bool) -> None:
        """The client reports a trouble: max.poll.interval.ms exceeded, a topic that does not exist, ...
        ``final``: the consumer ends.
        """

    def slow(self, message: Message, running_ms: int, attempt: int) -> None:
        """A record has been running for long; told once for each attempt."""
