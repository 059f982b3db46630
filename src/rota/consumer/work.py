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
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.client import Message

__all__ = ["Lane", "Task"]


class Task:
    """Some records for one lane.

    What lies before ``running`` is done; ``running`` is the record that a worker is at, or will begin with.
    The worker *gives back* the task, and lets go of its lane for good, if it ends before the last record
    (``failure``, or ``end`` was moved), or if it is ``watched``.
    """

    __slots__ = ("attempt", "end", "failure", "lane", "messages", "running", "watched")

    def __init__(
        self, messages: Sequence[Message], lane: Lane, *, attempt: int = 1, watched: bool = False
    ) -> None:
        self.messages = messages
        self.lane = lane
        self.running = 0
        self.end = len(messages)
        self.attempt = attempt
        self.watched = watched
        self.failure: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether every record is done."""
        return self.running >= len(self.messages)

    def close(self) -> None:
        """Its records are elsewhere now."""
        self.messages = ()

    def __repr__(self) -> str:
        return f"Task({self.running} of {len(self.messages)}, lane {self.lane.index}, attempt {self.attempt})"


class Lane:
    """Tasks that run one after the other. Whoever claims a task of a ``recalled`` lane gives it back at
    once.
    """

    __slots__ = ("index", "recalled", "tasks", "token")

    def __init__(self, index: int, *, taken: bool = False) -> None:
        self.index = index
        self.tasks: deque[Task] = deque()
        self.token: deque[None] = deque(() if taken else (None,))
        self.recalled = False
