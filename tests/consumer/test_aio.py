"""Asynchronous handlers: real loops in real threads under the engine."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from random import Random
from typing import Any

import pytest
from tests.consumer.at_work import PARTITIONS, TOPIC, Build, Journal, Member, at_work
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer.clients.client import Message
from rota.consumer.context import Context
from rota.consumer.core.state import Ours
from rota.consumer.core.work import Lane, Task
from rota.consumer.handlers import Batch
from rota.consumer.record import Record, Records
from rota.consumer.workers.aio import LoopWorkers
from rota.consumer.workers.async_runners import Turn, each_async, in_batches_async
from rota.consumer.workers.loop_thread import LoopThread
from rota.consumer.workers.runners import Done

Handle = Callable[[Record[Any], Context], Awaitable[object]]
KEYS = [b"%d" % number for number in range(20)]


def value(message: Message) -> bytes | None:
    return message.value()


def on_a_loop(handle: Handle, count: int = 8, loop: LoopThread | None = None) -> Build:
    def build(returned: SimpleQueue[Task], ours: Ours) -> LoopWorkers:
        work = each_async(handle, value, lambda task: Context(ours, task))
        return LoopWorkers(count, work, returned, "handler", loop)

    return build


def test_everything_is_done_once_and_in_order_by_key() -> None:
    journal, random = Journal(), Random(5)

    async def handle(record: Record[Any], _: Context) -> None:
        journal.begin(record.message)
        for _turn in range(random.choice([0, 0, 1, 3])):
            await asyncio.sleep(0)
        journal.end(record.message)

    with at_work(on_a_loop(handle)) as member:
        for partition in PARTITIONS:
            member.produce([random.choice(KEYS) for _ in range(1_000)], partition)
        member.until_all_is_committed()
        journal.check(member.kafka)
        assert 1 < journal.most_at_once <= 8


def test_as_many_run_at_once_as_were_asked_for_and_no_more() -> None:
    journal, open_now = Journal(), asyncio.Event()

    async def handle(record: Record[Any], _: Context) -> None:
        journal.begin(record.message)
        if journal.at_once == 64:
            open_now.set()
        await open_now.wait()
        journal.end(record.message)

    with at_work(on_a_loop(handle, 64), order="none", lanes=256) as member:
        member.produce([b"k"] * 600)
        member.until_all_is_committed()
    assert journal.most_at_once == 64


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("one"),
        TimeoutError(),
        asyncio.CancelledError(),
        GeneratorExit(),
        StopIteration(),
        StopAsyncIteration(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_whatever_a_handler_raises_belongs_to_its_record(failure: BaseException) -> None:
    journal = Journal()
    attempts: list[int] = []

    async def handle(record: Record[Any], context: Context) -> None:
        journal.begin(record.message)
        await asyncio.sleep(0)
        if record.offset == 5:
            attempts.append(context.attempt)
            if context.attempt < 3:
                journal.end(record.message, "failed")
                raise failure
        journal.end(record.message)

    with at_work(on_a_loop(handle), lanes=2, retry_on=(BaseException,)) as member:
        member.produce([b"a", b"b"] * 10)
        member.until_all_is_committed()
        journal.check(member.kafka)
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize("failure", [SystemExit(3), KeyboardInterrupt()])
def test_what_is_meant_for_the_program_neither_ends_the_loop_nor_is_lost(failure: BaseException) -> None:
    journal = Journal()
    failures: list[BaseException] = []

    async def handle(record: Record[Any], _: Context) -> None:
        await asyncio.sleep(0)
        if record.offset == 5:
            raise failure
        journal.begin(record.message)
        journal.end(record.message)

    with at_work(on_a_loop(handle), lanes=2, failures=failures) as member:
        member.produce([b"a"] * 5 + [b"b"] + [b"a"] * 15)
        with pytest.raises(AssertionError, match="the record in orders-0 at offset 5"):
            member.until("it is told", lambda: False)
        while len(journal.done) < 20:
            member.engine.wait(5)
    assert failures == [failure]


def test_a_cancellation_that_a_handler_leaves_behind_is_not_the_next_record_s() -> None:
    journal = Journal()

    async def handle(record: Record[Any], context: Context) -> None:
        assert context.attempt == 1
        journal.begin(record.message)
        await asyncio.sleep(0)
        journal.end(record.message)
        if record.offset % 3 == 0:
            this = asyncio.current_task()
            assert this is not None
            this.cancel()

    with at_work(on_a_loop(handle), lanes=1, attempts=1) as member:
        member.produce(KEYS * 3)
        member.until_all_is_committed()
        journal.check(member.kafka)


def test_context_variables_are_a_record_s_own() -> None:
    outside: contextvars.ContextVar[str] = contextvars.ContextVar("outside")
    inside: contextvars.ContextVar[int] = contextvars.ContextVar("inside")
    awkward: contextvars.ContextVar[object] = contextvars.ContextVar("awkward")
    found: list[tuple[str, int | None, bool]] = []

    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    async def handle(record: Record[Any], _: Context) -> None:
        found.append((outside.get(), inside.get(None), awkward.get(None) is None))
        inside.set(record.offset)
        awkward.set(Incomparable())
        await asyncio.sleep(0)
        assert inside.get() == record.offset

    outside.set("from the program")
    with at_work(on_a_loop(handle), lanes=1) as member:
        member.produce(KEYS)
        member.until_all_is_committed()
    assert found == [("from the program", None, True)] * len(KEYS)


def test_a_handler_that_never_waits_leaves_others_their_turn() -> None:
    waited_for: list[int] = []
    computed: list[int] = []

    async def handle(record: Record[Any], _: Context) -> None:
        if record.key == b"waits":
            for _turn in range(5):
                await asyncio.sleep(0)
            waited_for.append(len(computed))
        else:
            until = time.monotonic() + 0.002
            while time.monotonic() < until:
                pass
            computed.append(record.offset)

    with at_work(on_a_loop(handle, 2), lanes=2, order="partition") as member:
        member.produce([b"computes"] * 100, PARTITIONS[0])
        member.produce([b"waits"], PARTITIONS[1])
        member.until_all_is_committed()
    assert len(computed) == 100
    assert waited_for[0] < 20


def test_many_handlers_that_never_wait_share_a_turn_of_the_loop() -> None:
    computed = 0
    meanwhile: list[int] = []

    async def handle(record: Record[Any], _: Context) -> None:
        nonlocal computed
        if record.key == b"waits":
            before = computed
            for _turn in range(5):
                await asyncio.sleep(0)
            meanwhile.append(computed - before)
        until = time.monotonic() + 0.0001
        while time.monotonic() < until:
            pass
        computed += 1

    with at_work(on_a_loop(handle, 64), lanes=256) as member:
        member.produce([b"%d" % number for number in range(5_000)])
        member.produce([b"waits"])
        member.produce([b"%d" % number for number in range(5_000)])
        member.until_all_is_committed()
    assert meanwhile[0] < 2_500


def test_a_rebalance_waits_for_what_has_begun_and_drops_the_rest() -> None:
    journal = Journal()
    told: list[bool] = []

    async def handle(record: Record[Any], context: Context) -> None:
        journal.begin(record.message)
        if record.partition == 1 and not kept_going:
            told.append(context.revoking)
            while not context.revoking:
                await asyncio.sleep(0.001)
        journal.end(record.message)

    kept_going: list[bool] = []
    with at_work(on_a_loop(handle, 4), lanes=4) as member:
        member.produce(KEYS * 5, PARTITIONS[0])
        member.produce(KEYS * 5, PARTITIONS[1])
        member.until("four wait", lambda: len(told) == 4)
        member.client.withdraw([PARTITIONS[1]], lost=False)
        assert journal.at_once == 0 or all(entry[1] == 0 for entry in unfinished(journal))
        assert sorted(offset for partition, offset in journal.done if partition == 1) == committed_done(
            member, 1
        )
        assert len(told) == 4
        assert told == [False] * 4
        kept_going.append(True)
        member.until_all_is_committed()
        member.client.assign([PARTITIONS[1]])
        member.until_all_is_committed()
        journal.check(member.kafka)


def unfinished(journal: Journal) -> list[tuple[str, int, int, bytes | None]]:
    ended = {entry[1:] for entry in journal.entries if entry[0] != "begin"}
    return [entry for entry in journal.entries if entry[1:] not in ended]


def committed_done(member: Member, partition: int) -> list[int]:
    from rota.consumer.core.offset_metadata import decode_done

    offset, metadata = member.kafka.committed[PARTITIONS[partition]]
    beyond = [at for first, end in decode_done(offset, metadata) for at in range(first, end)]
    return [*range(offset), *beyond]


def test_a_record_that_takes_long_does_not_hold_its_lane() -> None:
    journal = Journal()

    async def handle(record: Record[Any], _: Context) -> None:
        journal.begin(record.message)
        while record.key == b"slow" and len(journal.done) < 40:
            await asyncio.sleep(0.001)
        journal.end(record.message)

    with at_work(on_a_loop(handle, 2), lanes=1, slow_ms=20) as member:
        member.produce([b"slow", *KEYS, b"slow", *KEYS])
        member.until_all_is_committed()
        journal.check(member.kafka)


def test_what_runs_when_the_loop_is_closed_is_neither_done_nor_failed() -> None:
    begun: list[int] = []
    cancelled: list[int] = []

    async def handle(record: Record[Any], _: Context) -> None:
        begun.append(record.offset)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(record.offset)
            if record.offset % 2:
                return
            if record.offset % 3:
                raise ValueError("while it was cancelled") from None
            raise

    with at_work(on_a_loop(handle, 8), order="none", lanes=8) as member:
        member.produce(KEYS)
        member.until("eight run", lambda: len(begun) == 8)
    assert sorted(cancelled) == sorted(begun)
    member.turn()
    assert member.workers.completed == 0
    assert not member.lanes.blocked
    assert len(member.undone()) == len(KEYS)
    assert member.engine.commits.now(PARTITIONS)
    assert all(offset == 0 for offset, _ in member.kafka.committed.values())


def test_closing_ends_in_bounded_time_whatever_handlers_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rota.consumer.workers.aio.CLOSE_S", 0.05)
    monkeypatch.setattr("rota.consumer.workers.loop_thread.CLOSE_S", 0.05)
    inside, released = threading.Event(), threading.Event()

    async def handle(_record: Record[Any], _context: Context) -> None:
        inside.set()
        released.wait(PATIENCE_S)

    with at_work(on_a_loop(handle)) as member:
        member.produce([b"a"])
        member.turn()
        assert inside.wait(PATIENCE_S)
    assert "the event loop does not end" in caplog.text
    assert "test_aio.py" in caplog.text
    released.set()


def test_what_blocks_the_loop_is_named(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()
    begun: list[bytes | None] = []

    async def handle(record: Record[Any], _: Context) -> None:
        begun.append(record.key)
        if record.key == b"waits":
            while not released.is_set():
                await asyncio.sleep(0.001)
        else:
            blocking_call()

    def blocking_call() -> None:
        released.wait(PATIENCE_S)

    with caplog.at_level(logging.WARNING), at_work(on_a_loop(handle), slow_ms=40, order="none") as member:
        member.produce([b"waits"] * 3)
        member.until("three wait", lambda: len(begun) == 3)
        member.produce([b"blocks"])
        member.until("it is named", lambda: "the event loop has been blocked" in caplog.text)
        assert [task.messages[task.running].key() for task in member.workers.current()] == [b"blocks"]
        member.until("its record is named", lambda: f"slow: {TOPIC}-0 at offset 3" in caplog.text)
        released.set()
        member.until_all_is_committed()
    assert "test_aio.py" in caplog.text
    assert "blocking_call" not in caplog.text.partition("(")[0]
    assert "handle)" in caplog.text


def test_a_loop_that_sleeps_is_not_blocked_however_late_it_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(LoopThread):
        def soon(self, callback: Callable[..., object], *args: Any) -> bool:
            return callback == self._turn or super().soon(callback, *args)  # it does not hear of questions

    loop = Late()
    loop.start()
    wait_until("it sleeps", loop._asleep)
    assert not loop.blocked()
    monkeypatch.setattr("rota.consumer.workers.loop_thread._BLOCKED_S", -1.0)
    monkeypatch.setattr("rota.consumer.workers.loop_thread._TELL_S", -1.0)
    assert not loop.blocked()
    released = threading.Event()
    loop.soon(released.wait, PATIENCE_S)
    wait_until("it is blocked", loop.blocked)
    released.set()
    loop.release()


def test_many_lanes_that_become_ready_wake_the_loop_once() -> None:
    class Counting(LoopThread):
        woken = 0

        def soon(self, callback: Callable[..., object], *args: Any) -> bool:
            self.woken += 1
            return super().soon(callback, *args)

    async def handle(_record: Record[Any], _context: Context) -> None:
        pass

    loop = Counting()
    with at_work(on_a_loop(handle, 8, loop), order="none", lanes=256) as member:
        gate = threading.Event()
        loop.loop.call_soon_threadsafe(gate.wait, PATIENCE_S)
        member.produce([b"a"] * 200)
        member.engine.dispatch(member.client.consume(200, 0))
        assert loop.woken == 1
        gate.set()
        member.until_all_is_committed()


def test_a_lane_that_becomes_ready_as_the_loop_goes_back_to_sleep_wakes_it_again() -> None:
    woken: list[Callable[..., object]] = []

    class Asleep(LoopThread):
        def soon(self, callback: Callable[..., object], *_: Any) -> bool:
            woken.append(callback)
            return True

    class Late(deque[Lane]):
        def __bool__(self) -> bool:
            empty = not len(self)
            if empty and len(woken) == 1:
                workers.ready(Lane(1))  # the owner, just when the loop has looked
            return not empty

    async def work(_task: Task, _turn: Turn) -> bool:
        return False

    workers = LoopWorkers(0, work, SimpleQueue(), "handler", Asleep())
    workers._ready = Late()
    workers.ready(Lane(0))
    workers._ready.clear()
    woken[0]()
    assert len(woken) == 2


def test_handlers_share_a_loop_until_the_last_of_them_is_closed() -> None:
    loops: set[asyncio.AbstractEventLoop] = set()

    async def handle(_record: Record[Any], _context: Context) -> None:
        loops.add(asyncio.get_running_loop())

    shared = LoopThread()
    with at_work(on_a_loop(handle, 2, shared)) as first:
        with at_work(on_a_loop(handle, 2, shared)) as second:
            first.produce(KEYS)
            second.produce(KEYS)
            first.until_all_is_committed()
            second.until_all_is_committed()
        assert not shared.loop.is_closed()
        first.produce(KEYS)
        first.until_all_is_committed()
    assert len(loops) == 1
    assert shared.loop.is_closed()
    first.workers.close()  # a second time does nothing
    first.workers.ready(Lane(0, taken=True))  # nor does what comes after


def test_a_task_that_a_handler_leaves_behind_cannot_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    left: list[asyncio.Task[None]] = []

    async def exits() -> None:
        raise SystemExit(7)

    async def handle(record: Record[Any], _: Context) -> None:
        if record.offset == 3:
            left.append(asyncio.create_task(exits()))

    with at_work(on_a_loop(handle)) as member:
        member.produce(KEYS)
        member.until_all_is_committed()
        wait_until("it has ended", left[0].done)
        member.produce(KEYS)
        member.until_all_is_committed()
    assert isinstance(left[0].exception(), SystemExit)
    assert "the loop goes on" in caplog.text


def test_batches_and_those_that_are_done_in_part() -> None:
    done: list[int] = []

    async def handle(records: Records[Any], _: Context) -> Done | None:
        await asyncio.sleep(0)
        if len(records) > 3:
            done.extend(record.offset for record in records[:3])
            return Done(records[2])
        done.extend(record.offset for record in records)
        return None

    def build(returned: SimpleQueue[Task], ours: Ours) -> LoopWorkers:
        work = in_batches_async(handle, value, lambda task: Context(ours, task))
        return LoopWorkers(2, work, returned, "handler")

    with at_work(build, order="partition", lanes=1, batch=Batch(10, 0)) as member:
        member.produce([b"a"] * 50)
        member.until_all_is_committed()
    assert done == list(range(50))
