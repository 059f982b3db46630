"""How a worker on the event loop does the records of a task: see `rota.consumer.workers.runners` for the other kind.

Records that follow each other in a lane are awaited in one asyncio task; making one for each of them would
cost more than all the rest. What a task has of its own is therefore looked at after every record: if the
handler has changed a context variable, or left a cancellation behind, the rest of the lane goes on in a new
asyncio task, and the next record finds neither.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task, sleep
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

from rota.consumer.record import Record, Records
from rota.consumer.workers.runners import BatchError, begin_batch, done_before, end_batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import Context

    from rota.consumer.clients.client import Message
    from rota.consumer.core.state import Outputs
    from rota.consumer.core.work import Task
    from rota.consumer.effects.outputs import Output

__all__ = ["AsyncWork", "Turn", "each_async", "in_batches_async"]

_TURN_S = 0.004
"""The workers of a handler that never waits share so long of each turn of the loop ..."""
_LEAST_S = 0.000_025
"""... but each has so much of it."""


class Turn:
    """Whose turn it is on a loop: shared by the workers that run there.

    A worker looks at the clock after each record; beyond ``until`` it calls `give`. ``over``: the loop ends
    and what handlers return no longer counts.
    """

    __slots__ = ("_slice_s", "last", "over", "until")

    def __init__(self) -> None:
        self._slice_s = _TURN_S
        self.last: Task | None = None
        self.until = 0.0
        self.over = False

    async def give(self, task: Task) -> None:
        """Let others have the loop, if this worker was the last to ask (others have had it since, if not)."""
        if self.last is task:
            try:
                await sleep(0)
            except (
                CancelledError
            ):  # meant for a record that is done; the runner goes on in another asyncio task
                if self.over:
                    raise
        self.last = task
        self.until = monotonic() + self._slice_s

    def share(self, workers: int) -> None:
        """So many workers are at it."""
        self._slice_s = max(_LEAST_S, _TURN_S / max(1, workers))

    def end(self) -> None:
        """From now on whoever looks at the clock finds out."""
        self.over = True
        self.until = 0.0


if TYPE_CHECKING:
    AsyncWork = Callable[[Task, Turn], Awaitable[bool]]
    """Advances `Task.running` and stops at `Task.end`, as threads' work does. True: call it again, in
    another asyncio task.
    """


def each_async(
    handle: Callable[[Record[Any], Any], Awaitable[object]],
    decode: Callable[[Message], Any],
    context: Callable[[Task], Any],
    outputs: Outputs | None = None,
    retry_topics: Sequence[str] = (),
) -> AsyncWork:
    """Every record is a call. ``outputs``: who gets what the context has to be written after each.
    ``retry_topics``: the handler's own.
    """

    async def work(task: Task, turn: Turn) -> bool:
        # The hot loop of the event loop. `running` is written before `end` is read: see `rota.consumer.core.work`.
        messages = task.messages
        mine = context(task)
        this = current_task()
        assert this is not None
        before = copy_context()
        index = task.running
        while True:
            task.running = index
            if index >= task.end:
                return False
            await handle(Record(messages[index], decode, retry_topics), mine)
            if outputs is not None and not turn.over:
                outputs.done(messages[index], mine.take_outputs())
            if monotonic() > turn.until:
                if turn.over:
                    return False
                task.running = index + 1
                await turn.give(task)
            index += 1
            try:
                left_something = copy_context() != before or this.cancelling()
            except Exception:  # values whose comparison raises
                left_something = True
            if left_something:
                task.running = index
                return True

    return work


def in_batches_async(
    handle: Callable[[Records[Any], Any], Awaitable[object]],
    decode: Callable[[Message], Any],
    context: Callable[[Task], Any],
    outputs: Outputs | None = None,
    retry_topics: Sequence[str] = (),
) -> AsyncWork:
    """A task is one call, and what it produced belongs to the last record that it has done."""

    async def work(task: Task, turn: Turn) -> bool:
        messages = () if task.done else begin_batch(task)
        if not messages:
            return False
        this = current_task()
        assert this is not None
        before = copy_context()
        mine = context(task)
        failure = None
        produced: Sequence[Output] = ()
        try:
            done = end_batch(messages, await handle(Records(messages, decode, retry_topics), mine))
        except BatchError as error:
            failure = error
            done = done_before(error, messages, () if outputs is None else mine.take_outputs())
        else:
            produced = () if outputs is None else mine.take_outputs()
        if turn.over:
            return False
        if outputs is not None and done:
            outputs.done(messages[done - 1], produced)
        task.running = done
        if failure is not None:
            raise failure
        if monotonic() > turn.until:
            await turn.give(task)
        return task.done and (this.cancelling() > 0 or _changed(before))

    return work


def _changed(before: Context) -> bool:
    """Whether a context variable has another value than ``before``."""
    try:
        return copy_context() != before
    except Exception:  # values whose comparison raises
        return True
