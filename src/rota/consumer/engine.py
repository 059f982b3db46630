"""The owner's side of the runtime: everything between the client and the workers.

The engine is told what happens (`dispatch`, `tick`, and by the client: `assigned`, `revoked`, `lost`) and
acts on client and workers. Whoever calls it is its only thread.
"""

from __future__ import annotations

import logging
from queue import Empty
from typing import TYPE_CHECKING, Protocol

from rota.consumer.commits import Commits
from rota.consumer.failures import Failures
from rota.consumer.gates import Gates
from rota.consumer.hooks import Hooked
from rota.consumer.offset_metadata import decode_done
from rota.consumer.policy import SkipRecordError
from rota.consumer.state import Limits, Observer, Ours, Partition, Route
from rota.consumer.watch import Watch
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from random import Random

    from rota.consumer.client import Client, Message
    from rota.consumer.failures import DeadLetters
    from rota.consumer.work import Task

__all__ = ["Engine", "Returned"]

log = logging.getLogger("rota.consumer")


class Returned(Protocol):
    """Tasks that workers gave back."""

    def get(self, block: bool = True, timeout: float | None = None) -> Task: ...


class Engine:
    """One member of a group at work.

    ``routes``: the handler of each topic. ``ours``: shared with their lanes. ``now_ms``: a clock that never
    goes back.
    """

    def __init__(
        self,
        client: Client,
        routes: Mapping[str, Route],
        ours: Ours,
        returned: Returned,
        now_ms: Callable[[], int],
        random: Random,
        *,
        limits: Limits | None = None,
        dead_letters: DeadLetters | None = None,
        observer: Observer | None = None,
        hooks: Hooked | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.partitions: dict[TopicPartition, Partition] = {}
        self.stopping: str | None = None
        """Why the consumer must end, once it must."""
        self.meanwhile: Callable[[], None] = _nothing
        """Called again and again while a rebalance or the end waits for work that has begun."""
        self._client = client
        self._routes = routes
        self._every: list[Route] = list(dict.fromkeys(routes.values()))
        self._returned = returned
        self._now_ms = now_ms
        self._observer = observer or Observer()
        self._hooks = hooks or Hooked()
        self._ours = ours
        self._withdrawn = False
        self.failures = Failures(dead_letters, random, self._observer, self._stop)
        self.commits = Commits(client, self.partitions, self._every, self.limits, self._observer)
        self.gates = Gates(client, self.partitions, routes, self.limits)
        self.watch = Watch(self._every, self.limits.slow, self._observer)

    @property
    def routes(self) -> Mapping[str, Route]:
        """The handler of each topic."""
        return self._routes

    def start(self) -> None:
        """Before the first record."""
        for route in self._every:
            route.workers.start()

    def close(self) -> None:
        """After `finish`."""
        for route in self._every:
            route.workers.close()

    def pause(self, partition: TopicPartition) -> None:
        """Fetch no more of it until `resume`, whatever rebalances come between; what was fetched goes on."""
        self.gates.by_user.add(partition)
        self.gates.look_soon()

    def resume(self, partition: TopicPartition) -> None:
        """Undo `pause`."""
        self.gates.by_user.discard(partition)
        self.gates.look_soon()

    # The ordinary course.

    def room(self) -> int:
        """How many records may be fetched now; 0: none for a moment, call `wait` instead."""
        return self.gates.room()

    def patience_ms(self, most: int) -> int:
        """For how long, up to ``most``, nothing is due."""
        due_ms = self.failures.next_ms()
        return most if due_ms is None else max(0, min(most, due_ms - self._now_ms()))

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Hand out what was fetched."""
        if self._withdrawn:  # partitions went while these were on their way to us
            self._withdrawn = False
            messages = [message for message in messages if self._ours.owns(message)]
        messages = [message for message in messages if message.error() is None or self._told_of(message)]
        if any(state.kept for state in self.partitions.values()):
            messages = [message for message in messages if not self._done_before(message)]
        if not messages:
            return
        self._observer.fetched(messages)
        if len(self._every) == 1:
            self._every[0].lanes.dispatch(messages)
            return
        by_route: dict[Route, list[Message]] = {}
        for message in messages:
            by_route.setdefault(self._routes[message.topic()], []).append(message)
        for route, chosen in by_route.items():
            route.lanes.dispatch(chosen)

    def tick(self) -> None:
        """Everything that is due; call it after every poll."""
        self._take_back(0)
        now_ms = self._now_ms()
        self.failures.when_due(now_ms)
        self.watch.look(now_ms)
        self.gates.look(now_ms)
        self.commits.when_due(now_ms)
        if self.commits.fenced and self.stopping is None:
            self._stop(self.commits.fenced)
        for route in self._every:
            route.lanes.dropped.clear()

    def wait(self, timeout_ms: int) -> None:
        """Wait for a worker to give something back, at most so long."""
        self._take_back(timeout_ms)

    def finish(self) -> bool:
        """The end: nothing more begins; wait for what has begun, and commit. Whether all of it was
        committed.
        """
        going = list(self.partitions)
        clean = self._let_go(going, self.limits.shutdown_drain)
        committed = self.commits.now(going)
        self._forget(going)
        self._stop(self._hooks.revoked(going, lost=False))
        return clean and committed

    # What the client tells.

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions came: begin where the group is, without what was done beyond."""
        known = self._client.committed(partitions)
        starts: dict[TopicPartition, int | None] = {}
        for partition in partitions:
            committed = known.get(partition)
            kept = decode_done(committed.offset, committed.metadata) if committed else ()
            self.partitions[partition] = Partition(committed, kept)
            self._ours.add(partition)
            starts[partition] = committed.offset if committed else None
        self._client.start(starts)
        self._client.resume(partitions)  # a pause from an earlier assignment may have survived
        why = self._hooks.assigned(partitions)
        if why is not None:
            self._disown(partitions, why)
        self._observer.assigned(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions go: finish what has begun, commit, and only then let them go."""
        going = [partition for partition in partitions if partition in self.partitions]
        if not going:
            return
        self._let_go(going, self.limits.revoke_drain)
        self.commits.now(going)
        self._forget(going)
        self._stop(self._hooks.revoked(going, lost=False))
        self._observer.revoked(going)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions are somebody else's already: nothing is committed."""
        going = [partition for partition in partitions if partition in self.partitions]
        if not going:
            return
        self._let_go(going, 0)
        self._forget(going)
        self._stop(self._hooks.revoked(going, lost=True))
        self._observer.lost(going)

    # Its parts.

    def _let_go(self, going: Iterable[TopicPartition], drain_ms: int) -> bool:
        """Stop work on these partitions; whether what had begun has ended."""
        for partition in going:
            self._ours.discard(partition)
        self._withdrawn = True
        for route in self._every:
            route.lanes.recall()
        deadline_ms = self._now_ms() + drain_ms
        while any(route.lanes.busy_elsewhere() for route in self._every):
            left_ms = deadline_ms - self._now_ms()
            if left_ms <= 0:
                break
            self._take_back(min(left_ms, 50))
            self.failures.serve()
            self.meanwhile()
        busy = any(route.lanes.busy_elsewhere() for route in self._every)
        for route in self._every:
            route.lanes.abandon()
        return not busy

    def _forget(self, gone: Iterable[TopicPartition]) -> None:
        for partition in gone:
            self.partitions.pop(partition, None)

    def _take_back(self, timeout_ms: int) -> None:
        try:
            task = (
                self._returned.get(timeout=timeout_ms / 1000)
                if timeout_ms
                else self._returned.get(block=False)
            )
            while True:
                self._decide(task)
                task = self._returned.get(block=False)
        except Empty:
            return

    def _decide(self, task: Task) -> None:
        route = self._routes[task.messages[0].topic()]
        entry = route.lanes.give_back(task)
        if entry is None:
            return
        if entry.stale:
            route.lanes.release(entry)
        elif task.failure is not None:
            if self._ours.owns(entry.message) or isinstance(task.failure, SkipRecordError):
                self.failures.handle(route, entry, task.failure, task.attempt, self._now_ms())
            else:  # its partition goes: whoever has it next tries it again
                route.lanes.give_up(entry)
        elif task.done:
            route.lanes.release(entry)
        else:
            route.lanes.again(entry, task.attempt)

    def _disown(self, partitions: Iterable[TopicPartition], why: str) -> None:
        """Partitions that have just come cannot be worked on: none of their records begins."""
        for partition in partitions:
            self._ours.discard(partition)
        self._forget(partitions)
        self._withdrawn = True
        self._stop(why)

    def _stop(self, why: str | None) -> None:
        if self.stopping is None:
            self.stopping = why

    def _told_of(self, message: Message) -> bool:
        words, final = self._client.problem(message)
        log.log(logging.ERROR if final else logging.WARNING, "%s", words)
        if final:
            self._stop(words)
        return False

    def _done_before(self, message: Message) -> bool:
        state = self.partitions[TopicPartition(message.topic(), message.partition())]
        offset = message.offset()
        while state.kept and state.kept[0].end <= offset:
            del state.kept[0]
        return bool(state.kept) and state.kept[0].first <= offset


def _nothing() -> None:
    pass
