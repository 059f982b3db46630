"""What has happened so far, counted: the engine's events, commits, rebalances, durations of handlers.

Written where things happen and read by whoever asks. No lock is taken for a record: events are the owner's,
durations belong to the thread that measured them, and a reader adds up what it finds.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from rota.consumer.core.policy import SkipRecordError
from rota.consumer.core.state import Observer
from rota.consumer.failed.traces import exception_text
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Message, Offset

__all__ = ["BOUNDS", "Counts", "Durations", "Failure", "Histogram"]

BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds in seconds: those of OpenTelemetry's conventions for messaging, and two below for quick
handlers.
"""

MOST_FAILURES = 1_000
"""Of a partition, so many records that failed are known by how they did."""

_topic: Callable[[Any], str] = methodcaller("topic")


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts``: how many lay in each of `BOUNDS` and, last, beyond; ``total``: their sum in seconds."""

    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        return sum(self.counts)


class Durations:
    """Seconds, from any thread; each thread counts in cells of its own, so that nothing is lost or locked."""

    def __init__(self) -> None:
        self.mine = threading.local()
        """What each thread has: ``cells``, once `cells` was called by it."""
        self._all: list[tuple[threading.Thread, list[float]]] = []
        self._ended = [0.0] * (len(BOUNDS) + 2)
        """What threads counted that are no more: owners that were relieved come and go."""
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        cells = getattr(self.mine, "cells", None) or self.cells()
        cells[bisect_left(BOUNDS, seconds)] += 1
        cells[-1] += seconds

    def cells(self) -> list[float]:
        """New ones for this thread: a count for each of `BOUNDS`, one beyond, and the sum."""
        cells = self.mine.cells = [0.0] * (len(BOUNDS) + 2)
        with self._lock:
            going = [(threading.current_thread(), cells)]
            for thread, theirs in self._all:
                if thread.is_alive():
                    going.append((thread, theirs))
                else:
                    self._ended = [sum(pair) for pair in zip(self._ended, theirs, strict=True)]
            self._all = going
        return cells

    def read(self) -> Histogram:
        with self._lock:
            every = [self._ended, *(list(cells) for _, cells in self._all)]
        sums = [sum(column) for column in zip(*every, strict=True)]
        return Histogram(tuple(int(count) for count in sums[:-1]), float(sums[-1]))


@dataclass(frozen=True, slots=True)
class Failure:
    """How a record that is not done yet has failed."""

    attempt: int
    words: str
    action: str
    since_ms: int
    """Of the first failure, by the engine's clock."""


class Counts(Observer):
    """Everything that is counted. ``now_ms``: the engine's clock; ``wall_ms``: milliseconds since 1970.

    ``fetches``: count the records of each topic. That costs a look at each of them, unless they are all of
    ``only_topic``.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        *,
        fetches: bool = True,
        only_topic: str | None = None,
    ) -> None:
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self.started_ms = wall_ms()
        self.assigned_since: dict[TopicPartition, int] = {}
        """Since when partitions are ours, in milliseconds since 1970."""
        self.rebalances: Counter[str] = Counter()
        self.rebalance_s = {kind: Durations() for kind in ("assigned", "revoked", "lost")}
        self.rebalance_now: tuple[str, int] | None = None
        """The kind of the rebalance that is being carried out, and since when by the engine's clock."""
        self.last_rebalance: tuple[str, int] | None = None
        """Its kind, and when in milliseconds since 1970."""
        self.commits = 0
        self.commits_failed = 0
        self.commit_s = Durations()
        self.last_commit_ms: int | None = None
        """When the broker last confirmed an offset, in milliseconds since 1970."""
        self.last_commit_problem: str | None = None
        self.fetched_of: Counter[str] = Counter()
        """Records handed to the lanes, by topic."""
        self.failed_as: Counter[tuple[str, str]] = Counter()
        """Attempts that failed, by topic and what became of the record."""
        self.skipped_of: Counter[str] = Counter()
        """Records that a handler skipped, by topic."""
        self.slow_of: Counter[str] = Counter()
        self.failures: dict[TopicPartition, dict[int, Failure]] = {}
        """The records that have failed and are not done, by offset; of a partition the first ones (`MOST_FAILURES`):
        what is asked for is how the record has failed that a partition waits for.
        """
        self.on_commit: Callable[[float, str | None], None] | None = None
        """Who wants to hear how long a commit took, and what was wrong with it."""
        self._fetches = fetches
        self._only_topic = only_topic

    # The engine's events.

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        now_ms = self._wall_ms()
        self.assigned_since.update(dict.fromkeys(partitions, now_ms))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self.assigned_since.pop(partition, None)
            self.failures.pop(partition, None)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.revoked(partitions)

    def fetched(self, messages: Sequence[Message]) -> None:
        if self._only_topic is not None:
            self.fetched_of[self._only_topic] += len(messages)
        elif self._fetches:
            self.fetched_of.update(map(_topic, messages))

    def committed(self, partition: TopicPartition, offset: Offset) -> None:
        self.last_commit_ms = self._wall_ms()
        known = self.failures.get(partition, {})
        for at in [at for at in known if at < offset.offset]:
            del known[at]

    def commit_failed(self, reason: str) -> None:
        self.commits_failed += 1
        self.last_commit_problem = reason

    def failed(self, message: Message, failure: BaseException, attempt: int, action: str) -> None:
        topic = message.topic()
        if isinstance(failure, SkipRecordError):
            self.skipped_of[topic] += 1
            return
        self.failed_as[topic, action] += 1
        known = self.failures.setdefault(TopicPartition(topic, message.partition()), {})
        before = known.get(message.offset())
        since_ms = before.since_ms if before is not None else self._now_ms()
        known[message.offset()] = Failure(attempt, _words(failure), action, since_ms)
        if len(known) > MOST_FAILURES:
            del known[max(known)]

    def settled(self, message: Message) -> None:
        known = self.failures.get(TopicPartition(message.topic(), message.partition()), {})
        known.pop(message.offset(), None)

    def slow(self, message: Message, running_ms: int, attempt: int) -> None:  # noqa: ARG002
        self.slow_of[message.topic()] += 1

    # What `rota.consumer.operations.observed` sees of the client.

    def rebalance_begins(self, kind: str) -> None:
        self.rebalance_now = kind, self._now_ms()

    def rebalance_ends(self) -> None:
        assert self.rebalance_now is not None
        kind, began_ms = self.rebalance_now
        self.rebalances[kind] += 1
        self.rebalance_s[kind].add((self._now_ms() - began_ms) / 1000)
        self.last_rebalance = kind, self._wall_ms()
        self.rebalance_now = None

    def commit_answered(self, seconds: float, problem: str | None = None) -> None:
        self.commits += 1
        self.commit_s.add(seconds)
        if self.on_commit is not None:
            self.on_commit(seconds, problem)


def _words(failure: BaseException) -> str:
    text = exception_text(failure)
    said = f"{type(failure).__name__}: {text}" if text else type(failure).__name__
    return said if len(said) <= 200 else said[:199] + "…"
