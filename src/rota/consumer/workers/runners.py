"""How a worker does the records of a task: one by one, or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.consumer.core.batches import BatchError, Done
from rota.consumer.record import Record, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.state import Outputs
    from rota.consumer.core.work import Task

__all__ = [
    "BatchError",
    "Done",
    "begin_batch",
    "done_before",
    "each",
    "end_batch",
    "in_batches",
    "position_in",
]


def each(
    handle: Callable[[Record[Any], Any], object],
    decode: Callable[[Message], Any],
    context: Callable[[Task], Any],
    outputs: Outputs | None = None,
    retry_topics: Sequence[str] = (),
) -> Callable[[Task], None]:
    """Every record is a call. ``outputs``: who gets what the context has to be written after each.
    ``retry_topics``: the handler's own.
    """

    def work(task: Task) -> None:
        # The hot loop of a worker. `running` is written before `end` is read: see `rota.consumer.core.work`.
        mine = context(task)
        new = object.__new__
        index = 0
        for message in task.messages:
            task.running = index
            if index >= task.end:
                return
            record = new(Record)  # a call of Record would cost half as much again
            record.message = message
            record._decode = decode  # noqa: SLF001
            record._retry_topics = retry_topics  # noqa: SLF001
            handle(record, mine)
            index += 1
        task.running = index

    def work_with_outputs(task: Task) -> None:
        assert outputs is not None
        messages = task.messages
        mine = context(task)
        index = 0
        while True:
            task.running = index
            if index >= task.end:
                return
            handle(Record(messages[index], decode, retry_topics), mine)
            outputs.done(messages[index], mine.take_outputs())
            index += 1

    return work if outputs is None else work_with_outputs


def in_batches(
    handle: Callable[[Records[Any], Any], object],
    decode: Callable[[Message], Any],
    context: Callable[[Task], Any],
    outputs: Outputs | None = None,
    retry_topics: Sequence[str] = (),
) -> Callable[[Task], None]:
    """A task is one call, and what it produced belongs to the last record that it has done."""

    def work(task: Task) -> None:
        messages = begin_batch(task)
        if not messages:
            return
        mine = context(task)
        try:
            answer = handle(Records(messages, decode, retry_topics), mine)
        except BatchError as error:
            done = done_before(error, messages, () if outputs is None else mine.take_outputs())
            if outputs is not None and done:
                outputs.done(messages[done - 1], ())
            task.running = done
            raise
        done = end_batch(messages, answer)
        if outputs is not None:
            outputs.done(messages[done - 1], mine.take_outputs())
        task.running = done

    return work


def begin_batch(task: Task) -> Sequence[Message]:
    """The records of a batch that a worker begins with; none if it was recalled before that."""
    messages = task.messages
    task.begun = True  # before `end` is read: see `rota.consumer.core.work`
    return messages if task.end >= len(messages) else ()


def end_batch(messages: Sequence[Message], answer: object) -> int:
    """How many of a batch are done, by what its handler returned."""
    if not isinstance(answer, Done):
        return len(messages)
    return position_in(messages, answer.record.message) + 1


def done_before(error: BatchError, messages: Sequence[Message], produced: Sequence[object]) -> int:
    """How many of a batch are done of which a record failed. None if something was ``produced``: nobody knows for
    which record, and what was for the one that failed must not be written.
    """
    done = position_in(messages, error.record.message)
    error.whole = bool(produced)
    return 0 if error.whole else done


def position_in(messages: Sequence[Message], message: Message) -> int:
    """Where in its batch a record is that a handler named."""
    for index, other in enumerate(messages):
        if other is message:
            return index
    raise ValueError(f"the record at offset {message.offset()} is not of this batch")
