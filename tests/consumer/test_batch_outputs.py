"""What exactly-once handlers of batches have produced when one of the records fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.consumer.fakes import FakeMessage

from rota.consumer.clients.client import Offset
from rota.consumer.context import Context, Effects
from rota.consumer.core.batches import BatchError, Done
from rota.consumer.core.state import Ours
from rota.consumer.core.work import Lane, Task
from rota.consumer.effects.outputs import Outputs
from rota.consumer.record import Records
from rota.consumer.workers.async_runners import Turn, in_batches_async
from rota.consumer.workers.runners import in_batches
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)
Handle = Callable[[Records[Any], Context], object]


def context(task: Task) -> Context:
    return Context(Ours(), task, Effects(batch=True, largest=1_000))


def in_a_thread(handle: Handle, task: Task, outputs: Outputs) -> None:
    in_batches(handle, lambda _: None, context, outputs)(task)


def on_the_loop(handle: Handle, task: Task, outputs: Outputs) -> None:
    async def awaited(records: Records[Any], mine: Context) -> object:
        return handle(records, mine)

    async def run() -> None:
        await in_batches_async(awaited, lambda _: None, context, outputs)(task, Turn())

    asyncio.run(run())


def written(outputs: Outputs, upto: int) -> list[object]:
    """By a commit of this offset."""
    covered = outputs.covered({P0: Offset(upto)}, lambda _: None)
    outputs.committed(covered)
    return [output.value for item in covered for output in item.outputs]


both = pytest.mark.parametrize("run", [in_a_thread, on_the_loop])


@both
@pytest.mark.parametrize("produces", [True, False])
def test_a_record_that_fails_leaves_nothing_of_what_was_produced(
    run: Callable[[Handle, Task, Outputs], None], produces: bool
) -> None:
    outputs = Outputs()
    broken = {2}

    def handle(records: Records[Any], mine: Context) -> None:
        for record in records:
            if produces:
                mine.produce("copies", b"%d" % record.offset)
            if record.offset in broken:
                raise BatchError(record) from OSError("down")

    messages = [FakeMessage(P0, at, None) for at in range(4)]
    task = Task(messages, Lane(0))
    with pytest.raises(BatchError) as caught:
        run(handle, task, outputs)
    assert caught.value.whole is produces
    assert task.running == (0 if produces else 2), "records that produced nothing are done"
    assert written(outputs, task.running) == []
    broken.clear()
    run(handle, Task(messages[task.running :], Lane(0), attempt=2), outputs)
    assert written(outputs, 4) == ([b"0", b"1", b"2", b"3"] if produces else [])


@both
def test_what_was_produced_up_to_done_is_written_with_it(
    run: Callable[[Handle, Task, Outputs], None],
) -> None:
    outputs = Outputs()

    def handle(records: Records[Any], mine: Context) -> Done:
        for record in records[:2]:
            mine.produce("copies", b"%d" % record.offset)
        return Done(records[1])

    task = Task([FakeMessage(P0, at, None) for at in range(4)], Lane(0))
    run(handle, task, outputs)
    assert task.running == 2
    assert written(outputs, 2) == [b"0", b"1"]
