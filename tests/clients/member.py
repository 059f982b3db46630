"""One consumer-group member as the tests see it, whichever client library is behind it.

A member runs its poll loop in a thread (or, see `process.py`, in a process), notes what happens to it as
`Event`s and keeps the set of partitions that its client says it owns. Tests wait on these; they never sleep
for a guessed time.
"""

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tests.kafka.ports import PATIENCE_S, wait_until

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class MemberConfig:
    """How a member is set up; the names are Kafka's, times in milliseconds. `auto_commit_ms` 0 = no auto-
    commit.
    """

    client: str
    bootstrap_servers: str
    group: str
    topics: tuple[str, ...]
    client_id: str
    strategy: str = "range"
    instance_id: str | None = None
    session_timeout_ms: int = 10_000
    heartbeat_interval_ms: int = 300
    max_poll_interval_ms: int = 60_000
    auto_commit_ms: int = 0
    commit_each_poll: bool = False
    metadata_max_age_ms: int = 300_000


@dataclass(frozen=True, slots=True)
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: assigned, revoked, lost, committed, unreachable (the brokers; it tries again), error or closed."""

    kind: str
    partitions: frozenset[Partition] = frozenset()
    detail: str = ""
    at: float = field(default_factory=time.monotonic, compare=False)


class Member(ABC):
    """Events, records and ownership; subclasses run a client and call the `on_…` methods."""

    def __init__(self, config: MemberConfig) -> None:
        self.config = config
        self.name = config.client_id
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.owned: frozenset[Partition] = frozenset()

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """Close the client politely and wait for it."""

    def on_assigned(self, partitions: Iterable[Partition]) -> None:
        moved = frozenset(partitions)
        self.owned |= moved
        self.events.append(Event("assigned", moved))

    def on_revoked(self, partitions: Iterable[Partition], kind: str = "revoked") -> None:
        moved = frozenset(partitions)
        self.owned -= moved
        self.events.append(Event(kind, moved))

    def note(self, kind: str, detail: str = "") -> None:
        self.events.append(Event(kind, detail=detail))

    def kinds(self, since: int = 0) -> list[str]:
        return [event.kind for event in self.events[since:]]

    def moved(self, kind: str, since: int = 0) -> frozenset[Partition]:
        """Every partition named by events of this kind from index `since` on."""
        return frozenset().union(*(event.partitions for event in self.events[since:] if event.kind == kind))

    def wait_owns(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        wait_until(
            f"{self.name} owns {count} partitions",
            lambda: len(self.owned) == count and bool(self.events),
            timeout_s,
        )

    def wait_event(self, kind: str, since: int = 0, timeout_s: float = PATIENCE_S) -> Event:
        wait_until(f"{self.name}: {kind}", lambda: kind in self.kinds(since), timeout_s)
        return next(event for event in self.events[since:] if event.kind == kind)

    def wait_records(self, count: int, timeout_s: float = PATIENCE_S) -> list[Record]:
        wait_until(f"{self.name} has read {count} records", lambda: len(self.records) >= count, timeout_s)
        return list(self.records)


class Steered(ABC):
    """What a test may have a member do, in every library but VerifiableConsumer's."""

    @abstractmethod
    def seek(self, topic: str, partition: int, offset: int) -> None: ...

    @abstractmethod
    def subscribe_to(self, topics: Sequence[str]) -> None:
        """Change the subscription and keep the listener."""


class ThreadMember(Member, Steered):
    """A member whose client lives in a thread of this process. `do` runs a function on the client there."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__(config)
        self.listener: Any = None  # of clients that take one object for all callbacks
        self.stopping = threading.Event()
        self._tasks: queue.SimpleQueue[tuple[Callable[[Any], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), f"{self.name} does not close"

    def subscribe_to(self, topics: Sequence[str]) -> None:
        self.do(lambda client: client.subscribe(topics=list(topics), listener=self.listener))

    def do(self, function: Callable[[Any], Any], timeout_s: float = PATIENCE_S) -> Any:
        """Run `function(client)` between two polls and return its result (awaited for asyncio clients)."""
        return self.do_later(function).result(timeout_s)

    def do_later(self, function: Callable[[Any], Any]) -> Future[Any]:
        """The same without waiting for it."""
        future: Future[Any] = Future()
        self._tasks.put((function, future))
        return future

    def next_task(self) -> tuple[Callable[[Any], Any], Future[Any]] | None:
        try:
            return self._tasks.get_nowait()
        except queue.Empty:
            return None

    def run_tasks(self, client: Any) -> None:
        while (task := self.next_task()) is not None:
            function, future = task
            try:
                future.set_result(function(client))
            except Exception as error:
                future.set_exception(error)

    def _main(self) -> None:
        try:
            self.run()
        except Exception as error:
            self.note("error", f"{type(error).__name__}: {error}")
        finally:
            self.note("closed")

    @abstractmethod
    def run(self) -> None:
        """The poll loop; returns when `stopping` is set and the client is closed."""
