"""What passes between the owner thread and the workers: tasks, in lanes.

A *task* is some records in the order in which they were fetched. A *lane* is a queue of tasks that one
worker at a time goes through, so that records which share a lane never run at once and never out of order:
one lane for a partition, or for the keys that share a hash. Nothing is locked. Every field has one writer
at a time, and the three places where owner and worker look at each other rest on the order of their reads
and writes:

- *the token.* While a lane is in the ready queue, or held by a worker, its token is taken: `deque.pop`
  gives it to exactly one who tries. A worker that finds no more tasks puts it back and looks once more;
  whoever appended a task in between either finds the token or is found;
- *the end.* A worker writes `Task.running`, then reads `Task.end`; the owner writes `Task.end`, then reads
  `Task.running`. If it still sees the record that it saw before, the worker cannot go past the new end;
- *the watch.* A worker writes `Task.running`, then reads `Task.watched`; the owner writes `Task.watched`,
  then reads `Task.running`. If the task is not done by then, the worker will give it back.

A worker that does all records of a task at once, a batch, writes `Task.begun` before it reads `Task.end`,
and does nothing if the end is not behind the last record; ``running`` moves when the handler has returned.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.lanes import Lanes

__all__ = ["Lane", "Task"]


class Task:
    """Some records for one lane.

    What lies before ``running`` is done; ``running`` is the record that a worker is at, or will begin with.
    The worker *gives back* the task, and lets go of its lane for good, if it ends before the last record
    (``failure``, or ``end`` was moved), or if it is ``watched``.
    """

    __slots__ = ("attempt", "begun", "end", "failure", "in_order", "lane", "messages", "running", "watched")

    def __init__(
        self, messages: Sequence[Message], lane: Lane, *, attempt: int = 1, watched: bool = False
    ) -> None:
        self.messages = messages
        self.lane = lane
        self.running = 0
        self.end = len(messages)
        self.attempt = attempt
        self.watched = watched
        self.begun = False
        self.in_order = False
        """Whether those of each partition are in the order of their offsets."""
        self.failure: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether every record is done."""
        return self.running >= len(self.messages)

    def cut(self) -> Sequence[Message]:
        """Keep a worker that may be at the task from going further; the records that it will not come to,
        which are no longer the task's.
        """
        at = self.running
        self.end = min(self.end, at + 1)
        # By now the worker may be one further, on a look at the old end, but not two.
        at = self.running
        left = self.messages[at + 1 :]
        if left:
            self.messages = self.messages[: at + 1]
        return left

    def cut_batch(self) -> Sequence[Message]:
        """The same for a batch: all of it, or nothing once it has begun."""
        self.end = -1
        return () if self.begun else self.close()

    def close(self) -> Sequence[Message]:
        """Its records are elsewhere now."""
        left, self.messages = self.messages, ()
        return left

    def __repr__(self) -> str:
        return f"Task({self.running} of {len(self.messages)}, lane {self.lane.index}, attempt {self.attempt})"


class Lane:
    """Tasks that run one after the other. Whoever claims a task of a ``recalled`` lane gives it back at
    once. ``of``: the lanes that it is one of.
    """

    __slots__ = ("index", "of", "recalled", "tasks", "token")

    def __init__(self, index: int, of: Lanes | None = None, *, taken: bool = False) -> None:
        self.index = index
        self.of = of
        self.tasks: deque[Task] = deque()
        self.token: deque[None] = deque(() if taken else (None,))
        self.recalled = False
