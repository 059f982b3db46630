"""How a worker does the records of a task: one by one, or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.consumer.record import Record, Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.consumer.client import Message
    from rota.consumer.work import Task

__all__ = ["Done", "each", "in_batches"]


class Done:
    """What a batch handler may return: everything up to this record is done, the rest comes again."""

    __slots__ = ("record",)

    def __init__(self, record: Record[Any]) -> None:
        self.record = record


def each(
    handle: Callable[[Record[Any], Any], object],
    decode: Callable[[Message], Any],
    context: Callable[[Task], Any],
) -> Callable[[Task], None]:
    """Every record is a call."""

    def work(task: Task) -> None:
        # The hot loop of a worker. `running` is written before `end` is read: see `rota.consumer.work`.
        messages = task.messages
        mine = context(task)
        index = 0
        while True:
            task.running = index
            if index >= task.end:
                return
            handle(Record(messages[index], decode), mine)
            index += 1

    return work


def in_batches(
    handle: Callable[[Records[Any], Any], object],
    decode: Callable[[Message], Any],
    context: Callable[[Task], Any],
) -> Callable[[Task], None]:
    """A task is one call."""

    def work(task: Task) -> None:
        if task.end < len(task.messages):
            return  # it is being recalled, and has not begun
        answer = handle(Records(task.messages, decode), context(task))
        if isinstance(answer, Done):
            upto = answer.record.offset
            task.running = sum(message.offset() <= upto for message in task.messages)
            assert task.running, "a batch handler finishes a record, or raises"
        else:
            task.running = len(task.messages)

    return work
