"""The lanes of one handler: what waits, what runs, and what waits behind a record that cannot go on.

All methods are for the owner thread. Workers see lanes and tasks only (`rota.consumer.core.work`).

A record's way: it is held until it is due, and until the rate allows it (`rota.consumer.core.held`); waits behind
the record that blocks its order key, if there is one; waits for others to make a batch
(`rota.consumer.core.batches`); waits in its lane. On each stretch of the way records stay in their order.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rota.consumer.core.batches import BatchError, Gathering, by_partition
from rota.consumer.core.blocked import Blocked
from rota.consumer.core.held import Held, Rate
from rota.consumer.core.ordering import InBatches
from rota.consumer.core.work import Lane, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.ordering import Ordering
    from rota.consumer.handlers import Batch

__all__ = ["Blocked", "Lanes"]

_PRUNE_EVERY = 1_000
"""Records."""

_MOST_BEFORE_WORKERS = 64
"""Of a handler with a rate limit no more wait for workers, or they would begin all at once."""


class Lanes:
    """``ready`` gives a lane to the workers. ``owned`` says whether a record's partition is (still) ours.

    ``batch``: tasks are batches. ``rate``: records per second. ``due_ms``: in how many milliseconds a record
    may begin. ``task``: what the workers want to be given.
    """

    def __init__(
        self,
        ordering: Ordering,
        ready: Callable[[Lane], None],
        owned: Callable[[Message], bool],
        *,
        batch: Batch | None = None,
        rate: float | None = None,
        due_ms: Callable[[Message], int | None] | None = None,
        task: type[Task] = Task,
    ) -> None:
        self.ordering = ordering if batch is None else InBatches(ordering)
        self.batch = batch
        self.blocked: dict[Hashable, Blocked] = {}
        self.taken = 0
        """Records that were dispatched and are due, less those that were dropped or settled without a worker."""
        self.dropped: list[Message] = []
        """Records that were dropped because their partition is not ours any more; they are not done."""
        self._ready = ready
        self._owned = owned
        self._new_task = task
        self._gathering = Gathering(batch.most, batch.wait_ms) if batch is not None else None
        self._rate = Rate(rate) if rate is not None else None
        self._held = Held(self.ordering.order_key, due_ms) if due_ms is not None else None
        self._lanes: list[Lane] = []
        self._open: list[Task] = []
        self._apart: dict[Task, Blocked] = {}
        self._holders: dict[int, Task] = {}  # recalled tasks that their lanes wait for
        self._since_prune = 0

    # The ordinary course.

    def dispatch(self, messages: Sequence[Message], now_ms: int = 0) -> None:
        """Hand out records that were just fetched, behind those that came before them."""
        if self._held is not None:
            messages = self._held.sift(messages, now_ms)
        self.taken += len(messages)
        self._admit(messages, now_ms)

    def when_due(self, now_ms: int, room: int, *, full: bool = False) -> None:
        """Hand out those that have waited long enough; of those that wait for their time, and are not counted
        yet, as many as there is ``room`` for. ``full``: nothing is fetched until some are done.
        """
        if self._held is not None and room > 0 and (due := self._held.due(now_ms, room)):
            self.taken += len(due)
            self._admit(due, now_ms)
        elif self._rate is not None:
            self._admit((), now_ms)
        if self._gathering is not None:
            for index, messages in self._gathering.due(now_ms, full=full):
                self._enqueue(index, messages)

    def not_due(self, topic: str, partition: int) -> int:
        """How many records of a partition wait for their time; they are not in flight (`taken`)."""
        return self._held.of[topic, partition] if self._held is not None else 0

    def not_due_in_all(self) -> int:
        """The same of all partitions."""
        return self._held.of.total() if self._held is not None else 0

    def next_ms(self, now_ms: int) -> int | None:
        """When `when_due` has something to do that it does not have now."""
        found = (
            self._held.next_ms() if self._held is not None else None,
            self._rate.next_ms(now_ms) if self._rate is not None else None,
            self._gathering.next_ms() if self._gathering is not None else None,
        )
        return min((at_ms for at_ms in found if at_ms is not None and at_ms > now_ms), default=None)

    def undone(self) -> Iterator[tuple[Sequence[Message], bool]]:
        """Every record that was dispatched and is not done, in pieces; whether those of each partition are in
        the order of their offsets there.
        """
        for task in self._open:
            running = task.running
            yield (task.messages[running:] if running else task.messages), task.in_order
        for entry in self.blocked.values():
            if not entry.stale:
                yield entry.records, True
            yield entry.behind, False
        for room in (self._held, self._gathering):
            if room is not None:
                for messages in room:
                    yield messages, False
        if self._rate is not None:
            yield self._rate.waiting, False

    def outside(self) -> Iterator[tuple[str, Sequence[Message]]]:
        """Records that no lane has yet, and what they wait for, in words."""
        if self._held is not None:
            yield from (("is not due yet (retry topic)", messages) for messages in self._held)
        if self._rate is not None:
            yield "waits for its turn (rate)", self._rate.waiting
        if self._gathering is not None:
            yield from (("waits for others of its batch", messages) for messages in self._gathering)

    def running(self) -> list[Task]:
        """Tasks that workers are at, or will come to; those apart from the lanes too."""
        self.prune()
        return [*self._open, *self._apart]

    def prune(self) -> None:
        """Forget tasks that are done, and let go of their records: what lives long is looked at by the garbage
        collector again and again.
        """
        self._since_prune = 0
        self._open = [task for task in self._open if task.running < len(task.messages)]

    # What workers give back.

    def give_back(self, task: Task) -> Blocked | None:
        """Take back a task, and its lane. What is returned waits for a decision: its record failed, or is
        now done.

        A record that failed (`Task.failure`) blocks its order key; one that ran apart from the lanes is
        still blocked. So is a batch; if its handler said which record failed, that one alone.
        """
        left = list(task.messages[task.running :])
        entry = self._apart.pop(task, None)
        if entry is not None:
            entry.come_back(left, together=_together(task))
            return entry
        index = task.lane.index
        if self._lanes[index] is not task.lane and self._holders.get(index) is not task:
            assert task.done, "a task that is not done holds its lane"
            return None  # it was done when the lanes were recalled
        task.close()
        if task.failure is not None:
            count = len(left) if self.batch is not None and _together(task) else 1
            entry = self._block(left[:count], None)
            left = left[count:]
        self._reopen(index, left, entry)
        return entry

    def again(self, entry: Blocked, attempt: int) -> None:
        """Let a worker have a blocked record once more."""
        if self._rate is not None:
            self._rate.owe(len(entry.records))
        lane = Lane(-1, self, taken=True)
        task = self._new_task(entry.records, lane, attempt=attempt, watched=True)
        entry.task = task
        entry.attempt = attempt
        self._apart[task] = entry
        lane.tasks.append(task)
        self._ready(lane)

    def settle(self, entry: Blocked) -> None:
        """A blocked record is settled without a worker: skipped, or safe somewhere else."""
        self.taken -= len(entry.records)
        self.release(entry)

    def give_up(self, entry: Blocked) -> None:
        """A blocked record is not done, and not ours any more."""
        self._disown(entry)
        self.release(entry)

    def release(self, entry: Blocked) -> None:
        """A blocked record is done: those behind it may go on."""
        del self.blocked[entry.order_key]
        for order_key in entry.aliases:
            del self.blocked[order_key]
        if entry.stale:
            self.taken -= entry.owed
        waiting = self._only_owned(entry.behind)
        if not waiting:
            return
        if entry.alone:
            follower = self._block(waiting[:1], None)
            follower.behind.extend(waiting[1:])
            follower.alone = entry.alone - 1
            self.again(follower, entry.attempt)
            return
        self._enqueue(self.ordering.lane(waiting[0]), waiting)

    # What takes long, and what is no longer ours.

    def detach(self, task: Task) -> Blocked | None:
        """Set a running record apart, so that others of its lane go on; None if the worker has just moved
        on. (A batch takes all of its records with it.)
        """
        index = task.running
        if task in self._apart or task.done:
            return None
        task.watched = True
        left: Sequence[Message] = ()
        if self.batch is None:
            task.end = min(task.end, index + 1)
            if task.running != index:
                return None  # it stops at the new end, and is given back there
            left = task.messages[index + 1 :]
            task.messages = task.messages[: index + 1]
        self._open.remove(task)
        entry = self._block(task.messages[index:], task)
        self._apart[task] = entry
        self._reopen(task.lane.index, left, entry)
        return entry

    def recall(self) -> None:
        """Take back everything that has not begun, drop what is not ours, and hand out the rest anew.

        Workers stop after the record that they are at, and until they have given that back their lanes wait.
        Then nothing that is not ours is left but what may have begun (`busy_elsewhere`).
        """
        old, self._lanes = self._lanes, [Lane(index, self) for index in range(len(self._lanes))]
        for lane in old:
            lane.recalled = True
        waiting = [_drain(lane) for lane in old]
        self._holders = {}
        for task in self._open:
            task.watched = True
            if task.done:
                continue
            index = task.lane.index
            waiting[index][:0] = task.cut() if self.batch is None else task.cut_batch()
            if task.messages:
                self._holders[index] = task
                self._lanes[index] = Lane(index, self, taken=True)
        self._open = list(self._holders.values())
        self._drop_what_waits()
        for index, messages in enumerate(waiting):
            if messages and (kept := self._park(self._only_owned(messages))):
                self._enqueue(index, kept)

    def busy_elsewhere(self) -> bool:
        """Whether work that has begun on records that are not ours (any more) is still under way."""
        return any(not self._owned(message) for message in self._started())

    def abandon(self) -> None:
        """Give up records that are not ours and still run; those that come after them wait until they end."""
        for task in list(self._holders.values()):
            while any(not self._owned(message) for message in task.messages[task.running :][:1]):
                if self.detach(task) is not None:
                    break
        for entry in list(self.blocked.values()):
            if not entry.stale and not self._owned(entry.message):
                self._disown(entry)

    def _started(self) -> Iterator[Message]:
        for task in self._holders.values():
            yield from task.messages[task.running :][:1]
        yield from (entry.message for entry in self.blocked.values() if entry.busy and not entry.stale)

    def _disown(self, entry: Blocked) -> None:
        self.dropped += entry.records
        entry.disown()
        if not self.ordering.in_order:  # each of a batch has an order key of its own, and may come again
            entry.aliases = [self.ordering.order_key(message) for message in entry.records[1:]]
            self.blocked.update(dict.fromkeys(entry.aliases, entry))

    def _drop_what_waits(self) -> None:
        if self._held is not None:
            taken = self.taken
            self._held.keep(self._only_owned)
            self.taken = taken
        for room in (self._rate, self._gathering):
            if room is not None:
                room.keep(self._only_owned)
        for entry in list(self.blocked.values()):
            entry.behind = deque(self._only_owned(entry.behind))
            if not entry.stale and not self._owned(entry.message):
                entry.alone = 0
                if not entry.busy:
                    self.give_up(entry)

    def _only_owned(self, messages: Iterable[Message]) -> list[Message]:
        kept: list[Message] = []
        before = len(self.dropped)
        for message in messages:
            (kept if self._owned(message) else self.dropped).append(message)
        self.taken -= len(self.dropped) - before
        return kept

    # Into the lanes.

    def _admit(self, messages: Sequence[Message], now_ms: int) -> None:
        if self._rate is not None:
            self._rate.waiting.extend(messages)
            self.prune()
            before_workers = sum(len(task.messages) - task.running for task in self._open)
            most = max(_MOST_BEFORE_WORKERS, int(self._rate.burst)) - before_workers
            messages = self._rate.take(most, now_ms)
        ordering, waiting = self.ordering, set[int]()
        if self.blocked and ordering.in_order:  # only those of the same lanes can have the same order keys
            waiting = {ordering.lane(entry.message) for entry in self.blocked.values()}
        elif self.blocked:
            messages = self._park(messages)
        if not messages:
            return
        for index, chosen in ordering.split(messages):
            if index in waiting:
                chosen = self._park(chosen)
                if not chosen:
                    continue
            if self._gathering is None:
                self._append(index, chosen, in_order=True)
                continue
            for full in self._gathering.add(index, chosen, now_ms, one_partition=ordering.one_partition):
                self._append(index, full, in_order=True)
        self._since_prune += len(messages)
        if self._since_prune > _PRUNE_EVERY:
            self.prune()

    def _enqueue(self, index: int, messages: Sequence[Message]) -> None:
        """Into a lane with what comes from several places, or has waited."""
        if self.batch is None:
            self._append(index, messages)
            return
        for _, group in by_partition(messages):
            for at in range(0, len(group), self.batch.most):
                self._append(index, group[at : at + self.batch.most])

    def _append(self, index: int, messages: Sequence[Message], *, in_order: bool = False) -> None:
        while index >= len(self._lanes):
            self._lanes.append(Lane(len(self._lanes), self))
        lane = self._lanes[index]
        task = self._new_task(messages, lane)
        task.in_order = in_order
        self._open.append(task)
        lane.tasks.append(task)
        try:
            lane.token.pop()
        except IndexError:
            return  # somebody is at it
        self._ready(lane)

    def _block(self, records: Sequence[Message], task: Task | None) -> Blocked:
        order_key = self.ordering.order_key(records[0])
        assert order_key not in self.blocked, "one record of an order key at a time"
        entry = self.blocked[order_key] = Blocked(records, order_key, task)
        return entry

    def _park(self, messages: Iterable[Message]) -> list[Message]:
        """Put those whose order key is blocked behind the record that blocks it; the rest."""
        blocked, order_key = self.blocked, self.ordering.order_key
        free = []
        for message in messages:
            entry = blocked.get(order_key(message))
            if entry is None:
                free.append(message)
            else:
                entry.behind.append(message)
        return free

    def _reopen(self, index: int, first: Sequence[Message], entry: Blocked | None) -> None:
        """Begin a lane anew whose worker has let go of it, with ``first`` before what waits in it. ``entry``: of
        a record of the lane that was just blocked.
        """
        old = self._lanes[index]
        old.recalled = True
        self._holders.pop(index, None)
        self._lanes[index] = Lane(index, self)
        messages = self._park(self._only_owned([*first, *_drain(old)]))
        if messages:
            self._enqueue(index, messages)
        if entry is not None and self._gathering is not None and self.ordering.in_order:
            entry.behind.extend(self._gathering.take(index, entry.message))


def _together(task: Task) -> bool:
    """Whether the records of a task that failed or ended early come again together."""
    return not isinstance(task.failure, BatchError) or task.failure.whole


def _drain(lane: Lane) -> list[Message]:
    found: list[Message] = []
    while True:
        try:
            task = lane.tasks.popleft()
        except IndexError:
            return found
        found += task.close()
