"""The lanes of one handler: what waits, what runs, and what waits behind a record that cannot go on.

All methods are for the owner thread. Workers see lanes and tasks only (`rota.consumer.work`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rota.consumer.work import Lane, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from rota.consumer.client import Message
    from rota.consumer.ordering import Ordering

__all__ = ["Blocked", "Lanes"]


class Blocked:
    """A record that is not done, apart from the lanes, and those of its order key that wait ``behind`` it.

    It is running by itself (``task``), on its way to another topic (``sending``), or waits for its next
    attempt. A ``stale`` one ran when its partition went: nothing comes of it any more, but its successors
    must not overtake it.
    """

    __slots__ = ("behind", "message", "order_key", "sending", "stale", "task")

    def __init__(self, message: Message, order_key: Hashable, task: Task | None = None) -> None:
        self.message = message
        self.order_key = order_key
        self.task = task
        self.sending = False
        self.behind: deque[Message] = deque()
        self.stale = False

    @property
    def busy(self) -> bool:
        """Whether something is being done that has begun, and will end by itself."""
        return self.task is not None or self.sending


class Lanes:
    """``ready`` gives a lane to the workers. ``owned`` says whether a record's partition is (still) ours."""

    def __init__(
        self, ordering: Ordering, ready: Callable[[Lane], None], owned: Callable[[Message], bool]
    ) -> None:
        self.ordering = ordering
        self.blocked: dict[Hashable, Blocked] = {}
        self.taken = 0
        """Records that were dispatched, less those that were dropped or settled without a worker."""
        self.dropped: list[Message] = []
        """Records that were dropped because their partition is not ours any more; they are not done."""
        self._ready = ready
        self._owned = owned
        self._lanes = [Lane(index) for index in range(ordering.lanes)]
        self._open: list[Task] = []
        self._apart: dict[Task, Blocked] = {}
        self._holders: dict[int, Task] = {}  # recalled tasks that their lanes wait for
        self._prune_at = 64

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Hand out records that were just fetched, behind those that came before them."""
        self.taken += len(messages)
        if self.blocked:
            messages = self._park(messages)
        for index, chosen in enumerate(self.ordering.split(messages)):
            if chosen:
                self._enqueue(index, chosen)
        if len(self._open) > self._prune_at:
            self.prune()

    def undone(self) -> Iterator[Message]:
        """Every record that was dispatched and is not done."""
        for task in self._open:
            yield from task.messages[task.running :]
        for entry in self.blocked.values():
            if not entry.stale:
                yield entry.message
            yield from entry.behind

    def running(self) -> list[Task]:
        """Tasks that workers are at, or will come to; those apart from the lanes too."""
        self.prune()
        return [*self._open, *self._apart]

    def prune(self) -> None:
        """Forget tasks that are done."""
        self._open = [task for task in self._open if task.running < len(task.messages)]
        self._prune_at = max(64, 2 * len(self._open))

    # What workers give back.

    def give_back(self, task: Task) -> Blocked | None:
        """Take back a task, and its lane. What is returned waits for a decision: its record failed, or is
        now done.

        A record that failed (`Task.failure`) blocks its order key; one that ran apart from the lanes is
        still blocked.
        """
        apart = self._apart.pop(task, None)
        if apart is not None:
            apart.task = None
            if apart.stale and task.done:
                self.taken += 1  # the worker has counted it, and so had we when it was dropped
            return apart
        index = task.lane.index
        if self._lanes[index] is not task.lane and self._holders.get(index) is not task:
            assert task.done, "a task that is not done holds its lane"
            return None  # it was done when the lanes were recalled
        left = list(task.messages[task.running :])
        task.close()
        entry = None
        if task.failure is not None:
            entry = self._block(left.pop(0), None)
        self._reopen(index, left)
        return entry

    def again(self, entry: Blocked, attempt: int) -> None:
        """Let a worker have a blocked record once more."""
        lane = Lane(-1, taken=True)
        task = Task((entry.message,), lane, attempt=attempt, watched=True)
        entry.task = task
        self._apart[task] = entry
        lane.tasks.append(task)
        self._ready(lane)

    def settle(self, entry: Blocked) -> None:
        """A blocked record is settled without a worker: skipped, or safe somewhere else."""
        self.taken -= 1
        self.release(entry)

    def give_up(self, entry: Blocked) -> None:
        """A blocked record is not done, and not ours any more."""
        self._disown(entry)
        self.release(entry)

    def release(self, entry: Blocked) -> None:
        """A blocked record is done: those behind it may go on."""
        del self.blocked[entry.order_key]
        waiting = self._only_owned(entry.behind)
        if waiting:
            self._enqueue(self.ordering.lane(waiting[0]), waiting)

    # What takes long, and what is no longer ours.

    def detach(self, task: Task) -> Blocked | None:
        """Set a running record apart, so that others of its lane go on; None if the worker has just moved
        on.
        """
        index = task.running
        if task in self._apart or task.done:
            return None
        task.watched = True
        task.end = index + 1
        if task.running != index:
            return None  # it goes on to the end, and is given back there
        left = list(task.messages[index + 1 :])
        task.messages = task.messages[: index + 1]
        self._open.remove(task)
        entry = self._block(task.messages[index], task)
        self._apart[task] = entry
        self._reopen(task.lane.index, left)
        return entry

    def recall(self) -> list[Task]:
        """Take back everything that has not begun, drop what is not ours, and hand out the rest anew.

        Workers stop after the record that they are at. Returns the tasks that are at one and will be given
        back; until then their lanes wait.
        """
        old, self._lanes = self._lanes, [Lane(index) for index in range(self.ordering.lanes)]
        for lane in old:
            lane.recalled = True
        waiting = [_drain(lane) for lane in old]
        held = []
        for task in self._open:
            task.watched = True
            if not task.done:
                task.end = min(task.end, task.running + 1)
                held.append(task)
        self._open = held
        self._holders = {task.lane.index: task for task in held}
        for index in self._holders:
            self._lanes[index] = Lane(index, taken=True)
        self._drop_blocked()
        for index, messages in enumerate(waiting):
            kept = self._park(self._only_owned(messages)) if messages else messages
            if kept:
                self._enqueue(index, kept)
        return held

    def busy_elsewhere(self) -> bool:
        """Whether work that has begun on records that are not ours (any more) is still under way."""
        return any(not self._owned(message) for message in self._started())

    def abandon(self) -> None:
        """Give up records that are not ours and still run; those that come after them wait until they end."""
        for task in list(self._holders.values()):
            if not task.done and not self._owned(task.messages[task.running]):
                self.detach(task)
        for entry in self.blocked.values():
            if not entry.stale and not self._owned(entry.message):
                self._disown(entry)

    def _started(self) -> Iterator[Message]:
        for task in self._holders.values():
            yield from task.messages[task.running : task.running + 1]
        yield from (entry.message for entry in self.blocked.values() if entry.busy and not entry.stale)

    def _disown(self, entry: Blocked) -> None:
        entry.stale = True
        self.taken -= 1
        self.dropped.append(entry.message)

    def _drop_blocked(self) -> None:
        for entry in list(self.blocked.values()):
            entry.behind = deque(self._only_owned(entry.behind))
            if not (entry.busy or entry.stale or self._owned(entry.message)):
                self.give_up(entry)

    def _only_owned(self, messages: Iterable[Message]) -> list[Message]:
        kept: list[Message] = []
        before = len(self.dropped)
        for message in messages:
            (kept if self._owned(message) else self.dropped).append(message)
        self.taken -= len(self.dropped) - before
        return kept

    def _block(self, message: Message, task: Task | None) -> Blocked:
        order_key = self.ordering.order_key(message)
        assert order_key not in self.blocked, "one record of an order key at a time"
        entry = self.blocked[order_key] = Blocked(message, order_key, task)
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

    def _reopen(self, index: int, first: list[Message]) -> None:
        """Begin a lane anew whose worker has let go of it, with ``first`` before what waits in it."""
        old = self._lanes[index]
        old.recalled = True
        self._holders.pop(index, None)
        self._lanes[index] = Lane(index)
        messages = self._park(self._only_owned([*first, *_drain(old)]))
        if messages:
            self._enqueue(index, messages)

    def _enqueue(self, index: int, messages: Sequence[Message]) -> None:
        lane = self._lanes[index]
        task = Task(messages, lane)
        self._open.append(task)
        lane.tasks.append(task)
        try:
            lane.token.pop()
        except IndexError:
            return  # somebody is at it
        self._ready(lane)


def _drain(lane: Lane) -> list[Message]:
    found: list[Message] = []
    while True:
        try:
            task = lane.tasks.popleft()
        except IndexError:
            return found
        found += task.messages
        task.close()
