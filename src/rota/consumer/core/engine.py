"""The owner's side of the runtime: everything between the client and the workers.

The engine is told what happens (`dispatch`, `tick`, and by the client: `assigned`, `revoked`, `lost`) and
acts on client and workers. Whoever calls it is its only thread.
"""

from __future__ import annotations

import logging
from queue import Empty
from typing import TYPE_CHECKING, Protocol

from rota.consumer.core.batches import BatchError
from rota.consumer.core.commits import Commits
from rota.consumer.core.failures import Failures
from rota.consumer.core.gates import Gates
from rota.consumer.core.hooks import Hooked
from rota.consumer.core.offset_metadata import decode_done
from rota.consumer.core.policy import SkipRecordError
from rota.consumer.core.state import Limits, Observer, Ours, Partition, Route
from rota.consumer.core.watch import Watch
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from random import Random

    from rota.consumer.clients.client import Client, Message
    from rota.consumer.core.blocked import Blocked
    from rota.consumer.core.failures import DeadLetters
    from rota.consumer.core.state import Committer
    from rota.consumer.core.work import Task

__all__ = ["Engine", "Returned"]

log = logging.getLogger("rota.consumer")

_COMMIT_PATIENCE_MS = 5_000
"""How long a rebalance, or the end, tries to commit what is done, after it has waited for it."""
_AGAIN_MS = 100
_MOST_TOLD = 5
"""Partitions in one line."""
_SAME_WORDS_MS = 60_000
"""The client's complaints are repeated so often at most."""


class Returned(Protocol):
    """Tasks that workers gave back."""

    def get(self, block: bool = True, timeout: float | None = None) -> Task: ...


class Engine:
    """One member of a group at work.

    ``routes``: the handler of each topic. ``ours``: shared with their lanes. ``now_ms``: a clock that never
    goes back. ``committer``: None for the client itself.
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
        committer: Committer | None = None,
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
        self._exactly_once = any(route.outputs is not None for route in self._every)
        self._route_of = {route.lanes: route for route in self._every}
        self._random = random
        self._withdrawn = False
        self._end_ms: int | None = None
        self._said: dict[str, int] = {}
        self.failures = Failures(dead_letters, random, self._observer, self._stop)
        self.commits = Commits(
            client, committer or client, self.partitions, self._every, self.limits, self._observer, now_ms
        )
        self.gates = Gates(client, self.partitions, routes, self.limits, self._observer)
        self.watch = Watch(self._every, self.limits.slow, self._observer)

    @property
    def routes(self) -> Mapping[str, Route]:
        """The handler of each topic."""
        return self._routes

    def start(self) -> None:
        """Before the first record."""
        for route in self._every:
            route.workers.start()

    def hurry(self) -> None:
        """The end is asked for: whatever is waited for from now on, handlers have `Limits.shutdown_drain` in all.
        From any thread, and from a signal handler.
        """
        if self._end_ms is None:
            self._end_ms = self._now_ms() + self.limits.shutdown_drain

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
        now_ms = self._now_ms()
        due = [route.lanes.next_ms(now_ms) for route in self._every]
        soonest = min((at_ms for at_ms in (*due, self.failures.next_ms()) if at_ms is not None), default=None)
        return most if soonest is None else max(0, min(most, soonest - now_ms))

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Hand out what was fetched."""
        if messages and any(map(type(messages[0]).error, messages)):
            messages = [message for message in messages if message.error() is None or self._told_of(message)]
        if self._withdrawn:  # partitions went while these were on their way to us
            self._withdrawn = False
            messages = [message for message in messages if self._ours.owns(message)]
        if not messages:
            return
        self.commits.handed_out(messages)
        if self._exactly_once or any(state.kept for state in self.partitions.values()):
            messages = [message for message in messages if not self._done_before(message)]
            if not messages:
                return
        self._observer.fetched(messages)
        self.gates.fetched(len(messages))
        now_ms = self._now_ms()
        if len(self._every) == 1:
            self._every[0].lanes.dispatch(messages, now_ms)
            return
        by_route: dict[Route, list[Message]] = {}
        for message in messages:
            by_route.setdefault(self._routes[message.topic()], []).append(message)
        for route, chosen in by_route.items():
            self.gates.given(route, len(chosen))
            route.lanes.dispatch(chosen, now_ms)

    def tick(self) -> None:
        """Everything that is due; call it after every poll."""
        self._take_back(0)
        now_ms = self._now_ms()
        self._begin_due(now_ms)
        self.watch.look(now_ms)
        self.gates.look(now_ms)
        self.commits.when_due(now_ms)
        if self.commits.fenced:
            self._stop(self.commits.fenced)

    def wait(self, timeout_ms: int) -> None:
        """Wait for a worker to give something back, at most so long."""
        self._take_back(timeout_ms)

    def finish(self) -> bool:
        """The end: nothing more begins; wait for what has begun, and commit. Whether all of it was
        committed.
        """
        going = list(self.partitions)
        self.commits.look(going)
        clean = self._let_go(going, self.limits.shutdown_drain)
        self.failures.end()
        committed = self._commit(going)
        if not committed:
            self._stop(self._comes_again(going))
        self._forget(going)
        self._stop(self._hooks.revoked(going, lost=False))
        self._observer.revoked(going)
        return clean and committed

    # What the client tells.

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions came: begin where the group is, without what was done beyond."""
        nobody = self._without_handler(partitions)
        if nobody is not None:
            self._client.start(dict.fromkeys(partitions))
            self._withdrawn = True
            self._stop(nobody)
            return
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
        self.gates.apply(self._now_ms())
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
        self._commit(going)
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
            end_ms = deadline_ms if self._end_ms is None else min(deadline_ms, self._end_ms)
            left_ms = end_ms - self._now_ms()
            if left_ms <= 0:
                break
            self._take_back(min(left_ms, 50))
            self._begin_due(self._now_ms())  # of partitions that stay
            self.meanwhile()
        busy = any(route.lanes.busy_elsewhere() for route in self._every)
        for route in self._every:
            route.lanes.abandon()
        return not busy

    def _commit(self, going: Sequence[TopicPartition]) -> bool:
        """Commit what is done of partitions that go; again, if the broker cannot take it just now."""
        until_ms = self._now_ms() + _COMMIT_PATIENCE_MS
        if self._end_ms is not None:  # a rebalance on the way out takes none of what the end has
            until_ms = min(until_ms, self._end_ms + _COMMIT_PATIENCE_MS)
        while True:
            committed = self.commits.now(going)
            if committed is not None:
                return committed
            left_ms = until_ms - self._now_ms()
            if left_ms <= 0:
                return False
            again_ms = self._now_ms() + min(left_ms, _AGAIN_MS)
            while (wait_ms := again_ms - self._now_ms()) > 0:
                self._take_back(wait_ms)
                self.meanwhile()

    def _comes_again(self, going: Sequence[TopicPartition]) -> str:
        """What is done and could not be committed, in words."""
        known = [(partition, self.partitions[partition].committed) for partition in sorted(going)]
        due = self.commits.due(going, full=True)
        where = [
            f"{partition} from {f'offset {before.offset}' if before is not None else 'its beginning'}"
            for partition, before in known
            if partition in due
        ]
        told, more = ", ".join(where[:_MOST_TOLD]), len(where) - _MOST_TOLD
        return f"what was done could not be committed and comes again: {told}" + (
            f" and {more} more" if more > 0 else ""
        )

    def _forget(self, gone: Sequence[TopicPartition]) -> None:
        for partition in gone:
            self.partitions.pop(partition, None)
        self.commits.forget(gone)
        self.failures.forget()
        for route in self._every:
            route.lanes.dropped.clear()
            if route.outputs is not None:
                route.outputs.forget(gone)

    def _begin_due(self, now_ms: int) -> None:
        self.failures.when_due(now_ms)
        for route in self._every:
            room = self.limits.in_flight - route.in_flight
            route.lanes.when_due(now_ms, room, full=self.gates.full(route))

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
        assert task.lane.of is not None
        route = self._route_of[task.lane.of]
        entry = route.lanes.give_back(task)
        if entry is None:
            return
        if entry.stale:
            if route.outputs is not None:
                for message in task.messages:
                    route.outputs.drop(message)
            route.lanes.release(entry)
        elif task.failure is not None:
            self._failed(route, entry, task.failure, task.attempt)
        elif task.done:
            route.lanes.release(entry)
            if task.attempt > 1:
                self._observer.settled(entry.message)
        else:
            route.lanes.again(entry, task.attempt)

    def _failed(self, route: Route, entry: Blocked, failure: BaseException, attempt: int) -> None:
        skipped = isinstance(failure, SkipRecordError)
        if not skipped and not self._ours.owns(entry.message):
            route.lanes.give_up(entry)  # its partition goes: whoever has it next tries it again
            return
        if isinstance(failure, BatchError) and failure.__cause__ is not None:
            failure = failure.__cause__
        if len(entry.records) > 1 and not skipped:
            decision = route.policy.decide(failure, attempt, self._random, entry.message.topic())
            if decision.action not in ("retry", "later"):
                entry.single_out()  # the others of the batch are not to suffer for one
                route.lanes.again(entry, attempt)
                return
        self.failures.handle(route, entry, failure, attempt, self._now_ms())

    def _without_handler(self, partitions: Iterable[TopicPartition]) -> str | None:
        """Why nobody, or more than one, would have to handle these: a topic that came later, and a pattern."""
        try:
            for partition in partitions:
                self._routes[partition.topic]
        except RotaError as error:
            return str(error)
        return None

    def _disown(self, partitions: Sequence[TopicPartition], why: str) -> None:
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
        now_ms = self._now_ms()
        if now_ms - self._said.get(words, -_SAME_WORDS_MS) >= _SAME_WORDS_MS:
            self._said = {said: at for said, at in self._said.items() if now_ms - at < _SAME_WORDS_MS}
            self._said[words] = now_ms
            log.log(logging.ERROR if final else logging.WARNING, "%s", words)
        self._observer.client_error(words, final=final)
        if final:
            self._stop(words)
        return False

    def _done_before(self, message: Message) -> bool:
        state = self.partitions[TopicPartition(message.topic(), message.partition())]
        offset = message.offset()
        if offset < state.next:  # the log begins anew: what was done and committed were other records
            state.kept, state.done, state.committed = [], (), None
        state.next = offset + 1
        while state.kept and state.kept[0].end <= offset:
            del state.kept[0]
        return bool(state.kept) and state.kept[0].first <= offset


def _nothing() -> None:
    pass
