"""A Kafka and workers without threads and clocks, for tests that choose every interleaving themselves."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty
from random import Random
from typing import Any

from tests.consumer.stepwise import stepwise

from rota.consumer.clients.client import CommitError, Message, Offset, Rebalance
from rota.consumer.core.work import Lane, Task
from rota.consumer.workers.runners import each, in_batches
from rota.consumer.workers.threads import Threads
from rota.model import TopicPartition

Answer = Callable[[CommitError | None, Mapping[TopicPartition, str]], None]


@dataclass(frozen=True, eq=False)
class FakeMessage:
    """``due_ms``: by the test's clock; ``problem``: it is no record, and why."""

    where: TopicPartition
    at: int
    its_key: bytes | None
    due_ms: int = 0
    problem: str | None = None

    def topic(self) -> str:
        return self.where.topic

    def partition(self) -> int:
        return self.where.partition

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.its_key

    def value(self) -> bytes | None:
        return b""

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 0, 0

    def error(self) -> object | None:
        return self.problem


@dataclass
class FakeKafka:
    """What outlives a consumer: records (offsets may have holes) and committed offsets."""

    records: dict[TopicPartition, list[FakeMessage]] = field(default_factory=dict)
    committed: dict[TopicPartition, Offset] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    largest_metadata: int = 4096

    def produce(
        self, partition: TopicPartition, key: bytes | None, hole: int = 0, due_ms: int = 0
    ) -> FakeMessage:
        """A record; ``hole``: so many offsets before it have none."""
        at = self.ends.get(partition, 0) + hole
        message = FakeMessage(partition, at, key, due_ms)
        self.records.setdefault(partition, []).append(message)
        self.ends[partition] = at + 1
        return message

    def mark(self, partition: TopicPartition) -> None:
        """The marker of a transaction: an offset without a record."""
        self.ends[partition] = self.ends.get(partition, 0) + 1


class FakeClient:
    """One member; a test gives it partitions and takes them."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka
        self.rebalance: Rebalance | None = None
        self.fetch_at: dict[TopicPartition, int] = {}
        self.handed_out: dict[TopicPartition, int] = {}
        self.open: dict[TopicPartition, list[FakeMessage]] = {}
        """What was handed out since the partition came, each message made anew."""
        self.paused: set[TopicPartition] = set()
        self.asked: list[tuple[dict[TopicPartition, Offset], Answer]] = []
        self.epochs: Counter[TopicPartition] = Counter()
        self._asked_in: dict[TopicPartition, int] = {}
        self.wished: dict[TopicPartition, int] = {}
        self.confirmed: dict[TopicPartition, Offset | None] = {}
        self.commits_fail: list[CommitError] = []
        self.closed = False

    def subscribe(self, _topics: Sequence[str], rebalance: Rebalance) -> None:
        self.rebalance = rebalance

    def consume(self, most: int, _timeout_s: float) -> Sequence[Message]:
        return self.fetch(most)

    def fetch(self, most: int, between: Callable[[], None] | None = None) -> list[FakeMessage]:
        """``between`` happens when one record is in hand, and not with the caller yet: not at all, if its partition
        goes and comes back.
        """
        found: list[FakeMessage] = []
        for partition in list(self.fetch_at):
            while partition in self.fetch_at and partition not in self.paused and len(found) < most:
                message = self._next(partition)
                if message is None:
                    break
                found.append(message)
                if between is not None:
                    epoch = self.epochs[partition]
                    between()
                    between = None
                    if self.epochs[partition] != epoch:
                        found.clear()
        return found

    def _next(self, partition: TopicPartition) -> FakeMessage | None:
        at = self.fetch_at[partition]
        for message in self.kafka.records.get(partition, ()):
            if message.at >= at:
                fresh = replace(message)
                self.open[partition].append(fresh)
                self.fetch_at[partition] = self.handed_out[partition] = message.at + 1
                return fresh
        if self.kafka.ends.get(partition, 0) > at:  # markers are stepped over
            self.fetch_at[partition] = self.handed_out[partition] = self.kafka.ends[partition]
        return None

    def problem(self, message: Message) -> tuple[str, bool]:
        return str(message.error()), str(message.error()).startswith("final")

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset | None]:
        return {partition: self.kafka.committed.get(partition) for partition in partitions}

    def start(self, starts: Mapping[TopicPartition, int | None]) -> None:
        for partition, offset in starts.items():
            self.epochs[partition] += 1
            self.fetch_at[partition] = offset or 0
            self.open[partition] = []
            self.confirmed[partition] = self.kafka.committed.get(partition)
            self.wished[partition] = offset or 0

    def positions(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {
            partition: self.handed_out[partition] for partition in partitions if partition in self.handed_out
        }

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        self._wish(offsets)
        if self.commits_fail:
            raise self.commits_fail.pop()
        refused = self.take(offsets)
        self._confirm(offsets, refused)
        return refused

    def commit_soon(self, offsets: Mapping[TopicPartition, Offset], answered: Answer) -> None:
        assert not self.asked, "one commit at a time"
        self._wish(offsets)
        self.asked.append((dict(offsets), answered))
        self._asked_in = {partition: self.epochs[partition] for partition in offsets}

    def take(self, offsets: Mapping[TopicPartition, Offset]) -> dict[TopicPartition, str]:
        """What becomes of a commit at the broker."""
        refused: dict[TopicPartition, str] = {}
        for partition, offset in offsets.items():
            if partition not in self.fetch_at:
                refused[partition] = "not ours"
            elif len(offset.metadata) > self.kafka.largest_metadata:
                refused[partition] = "Offset metadata string too large"
            else:
                self.kafka.committed[partition] = offset
        return refused

    def answer(self, *, ok: bool = True, error: CommitError | None = None, lost: bool = False) -> None:
        """``lost``: it was taken, and the answer did not come through."""
        if not ok and error is None:
            error = CommitError("the coordinator is away")
        for offsets, answered in self.asked[:]:
            self.asked.clear()
            late = {p: "the generation is over" for p in offsets if self._asked_in[p] != self.epochs[p]}
            offsets = {p: offset for p, offset in offsets.items() if p not in late}
            refused = late | self.take(offsets) if error is None or lost else {}
            if error is None:
                self._confirm(offsets, refused)
            answered(error, refused if error is None else {})

    def _wish(self, offsets: Mapping[TopicPartition, Offset]) -> None:
        for partition, offset in offsets.items():
            assert partition in self.fetch_at, f"a commit of {partition}, which is not ours"
            assert offset.offset >= self.wished[partition], f"a commit of {partition} goes back"
            self.wished[partition] = offset.offset

    def _confirm(
        self, offsets: Mapping[TopicPartition, Offset], refused: Mapping[TopicPartition, str]
    ) -> None:
        for partition, offset in offsets.items():
            if partition not in refused and partition in self.fetch_at:
                self.confirmed[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self.paused.difference_update(partitions)

    def group_metadata(self) -> Any:
        return None

    def close(self) -> None:
        self.closed = True

    # What the test does to it.

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        assert self.rebalance is not None
        self.rebalance.assigned(partitions)

    def withdraw(self, partitions: Sequence[TopicPartition], *, lost: bool) -> None:
        assert self.rebalance is not None
        if lost:
            for partition in partitions:
                del self.fetch_at[partition]
            self.rebalance.lost(partitions)
        else:
            self.rebalance.revoked(partitions)
            for partition in partitions:
                del self.fetch_at[partition]
        for partition in partitions:
            self.handed_out.pop(partition, None)
            self.open.pop(partition)
            self.confirmed.pop(partition)
            self.paused.discard(partition)


class FakeWorkers:
    """Workers as generators: each stops wherever a real thread could lose the processor.

    They run the code of `rota.consumer.workers.threads` and `rota.consumer.workers.runners`, made stepwise. The
    ``handler`` is a generator function too, of message (or messages) and task.
    """

    def __init__(
        self,
        count: int,
        returned: FakeReturned,
        handler: Callable[[Any, Task], Iterator[Any]],
        *,
        batch: bool = False,
        outputs: Any = None,
    ) -> None:
        self._ready: deque[Lane] = deque()
        self._returned = returned
        self._completed = [0] * count
        self._current: list[Task | None] = [None] * count
        self._threads: list[tuple[Lane, Iterator[None]] | None] = [None] * count
        self._work = (_in_batches if batch else _each)(
            lambda given, context: handler(given.messages if batch else given.message, context.task),
            None,
            _Context,
            outputs,
        )
        self.started = False
        returned.workers.append(self)

    def start(self) -> None:
        self.started = True

    def ready(self, lane: Lane) -> None:
        self._ready.append(lane)

    @property
    def completed(self) -> int:
        return sum(self._completed)

    def current(self) -> Iterator[Task]:
        return (task for task in self._current if task is not None)

    def close(self) -> None:
        self.started = False

    @property
    def able(self) -> list[int]:
        """Workers that can take a step."""
        return [i for i, thread in enumerate(self._threads) if thread is not None or self._ready]

    def step(self, index: int) -> None:
        """One step of this worker, if it has something to do."""
        thread = self._threads[index]
        if thread is None:
            if not self._ready:
                return
            lane = self._ready.popleft()
            thread = self._threads[index] = lane, _go_through(self, lane, index)
        lane, steps = thread
        try:
            next(steps)
        except StopIteration as end:
            self._threads[index] = None
            if end.value:
                self._ready.append(lane)


class _Context:
    def __init__(self, task: Task) -> None:
        self.task = task

    def take_outputs(self) -> Sequence[object]:
        return (self.task.attempt,)


_go_through = stepwise(Threads._go_through, ("work",))
_each = stepwise(each, ("handle",))
_in_batches = stepwise(in_batches, ("handle",))


class FakeReturned:
    """The queue of given-back tasks; while somebody waits for it, time passes and workers go on."""

    def __init__(self, random: Random, clock: FakeClock) -> None:
        self.workers: list[FakeWorkers] = []
        self._tasks: deque[Task] = deque()
        self._random = random
        self._clock = clock

    def put(self, task: Task) -> None:
        self._tasks.append(task)

    def get(self, block: bool = True, timeout: float | None = None) -> Task:
        until = self._clock.now + int((timeout or 0) * 1000)
        while block and not self._tasks and self._clock.now < until:
            able = [(pool, index) for pool in self.workers for index in pool.able]
            if able and self._random.random() < 0.95:
                pool, index = self._random.choice(able)
                pool.step(index)
            else:
                self._clock.now += 1
        if not self._tasks:
            raise Empty
        return self._tasks.popleft()


class FakeClock:
    """Milliseconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now
