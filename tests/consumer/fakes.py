"""A Kafka and workers without threads and clocks, for tests that choose every interleaving themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty
from random import Random

from rota.consumer.client import CommitError, Message, Offset, Rebalance
from rota.consumer.work import Lane, Task
from rota.model import TopicPartition

Answer = Callable[[CommitError | None, Mapping[TopicPartition, str]], None]


@dataclass(frozen=True)
class FakeMessage:
    where: TopicPartition
    at: int
    its_key: bytes | None

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
        return None


@dataclass
class FakeKafka:
    """What outlives a consumer: records (offsets may have holes) and committed offsets."""

    records: dict[TopicPartition, list[FakeMessage]] = field(default_factory=dict)
    committed: dict[TopicPartition, Offset] = field(default_factory=dict)

    def produce(self, partition: TopicPartition, key: bytes | None, hole: int = 0) -> FakeMessage:
        log = self.records.setdefault(partition, [])
        message = FakeMessage(partition, (log[-1].at + 1 if log else 0) + hole, key)
        log.append(message)
        return message


class FakeClient:
    """One member; a test gives it partitions and takes them."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka
        self.rebalance: Rebalance | None = None
        self.fetch_at: dict[TopicPartition, int] = {}
        self.handed_out: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.asked: list[tuple[dict[TopicPartition, Offset], Answer]] = []
        self.commits_fail = False
        self.closed = False

    def subscribe(self, _topics: Sequence[str], rebalance: Rebalance) -> None:
        self.rebalance = rebalance

    def problem(self, message: Message) -> tuple[str, bool]:
        raise AssertionError(f"{message} is a record")

    def group_metadata(self) -> object:
        return "member-1"

    def consume(self, most: int, _timeout_s: float) -> Sequence[Message]:
        found: list[Message] = []
        for partition, at in self.fetch_at.items():
            if partition in self.paused:
                continue
            for message in self.kafka.records.get(partition, ()):
                if message.at >= at and len(found) < most:
                    found.append(message)
                    self.fetch_at[partition] = self.handed_out[partition] = message.at + 1
        return found

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset | None]:
        return {partition: self.kafka.committed.get(partition) for partition in partitions}

    def start(self, starts: Mapping[TopicPartition, int | None]) -> None:
        for partition, offset in starts.items():
            self.fetch_at[partition] = offset or 0

    def positions(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {
            partition: self.handed_out[partition] for partition in partitions if partition in self.handed_out
        }

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        if self.commits_fail:
            raise CommitError("the coordinator is away")
        self.take(offsets)
        return {}

    def commit_soon(self, offsets: Mapping[TopicPartition, Offset], answered: Answer) -> None:
        assert not self.asked, "one commit at a time"
        self.asked.append((dict(offsets), answered))

    def take(self, offsets: Mapping[TopicPartition, Offset]) -> None:
        self.kafka.committed.update(offsets)

    def answer(self, *, ok: bool) -> None:
        for offsets, answered in self.asked[:]:
            self.asked.clear()
            if ok:
                self.take({p: offset for p, offset in offsets.items() if p in self.fetch_at})
                answered(None, {p: "not ours" for p in offsets if p not in self.fetch_at})
            else:
                answered(CommitError("the coordinator is away"), {})

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self.paused.difference_update(partitions)

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
            self.paused.discard(partition)


class FakeWorkers:
    """Workers as generators: each stops wherever a real thread could lose the processor.

    They do what `rota.consumer.threads` and `rota.consumer.runners.each` do, with a yield between any two
    reads or writes that the owner could see.
    """

    def __init__(
        self, count: int, returned: FakeReturned, handler: Callable[[Message, Task], Iterator[None]]
    ) -> None:
        self._ready: deque[Lane] = deque()
        self._returned = returned
        self._handler = handler
        self._completed = [0] * count
        self._current: list[Task | None] = [None] * count
        self._threads: list[Iterator[None] | None] = [None] * count
        returned.workers.append(self)

    def ready(self, lane: Lane) -> None:
        self._ready.append(lane)

    @property
    def completed(self) -> int:
        return sum(self._completed)

    def current(self) -> Iterator[Task]:
        return (task for task in self._current if task is not None)

    def close(self) -> None:
        pass

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
            thread = self._threads[index] = self._go_through(self._ready.popleft(), index)
        if next(thread, StopIteration) is StopIteration:
            self._threads[index] = None

    def _go_through(self, lane: Lane, index: int) -> Iterator[None]:
        while True:
            yield
            try:
                task = lane.tasks.popleft()
            except IndexError:
                yield
                lane.token.append(None)
                yield
                if not lane.tasks:
                    return
                yield
                try:
                    lane.token.pop()
                except IndexError:
                    return
                continue
            yield
            if lane.recalled:
                yield
                self._returned.put(task)
                return
            yield
            self._current[index] = task
            try:
                yield from self._work(task)
            except Exception as failure:
                task.failure = failure
            self._current[index] = None
            self._completed[index] += task.running
            yield
            if task.watched or task.running < len(task.messages):
                yield
                self._returned.put(task)
                return

    def _work(self, task: Task) -> Iterator[None]:
        messages = task.messages
        at = 0
        while True:
            yield
            task.running = at
            yield
            if at >= task.end:
                return
            yield from self._handler(messages[at], task)
            at += 1


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
