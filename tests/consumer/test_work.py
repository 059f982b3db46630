"""A worker and the owner at one task: every way in which their statements can follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.consumer.fakes import FakeMessage
from tests.consumer.stage import P0
from tests.consumer.stepwise import Meanwhile, interleaved, stepwise

from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ByPartition
from rota.consumer.core.work import Lane, Task
from rota.consumer.workers.runners import each, in_batches
from rota.consumer.workers.threads import Threads

RECORDS = 3
_each = stepwise(each, ("handle",))
_in_batches = stepwise(in_batches, ("handle",))
_go_through = stepwise(Threads._go_through, ("work",))


@pytest.fixture(autouse=True)
def nothing_meanwhile() -> Iterator[None]:
    before = Meanwhile.step
    yield
    Meanwhile.step = before


class Bench:
    """One worker, one lane with one task. ``ran``: the offsets that began."""

    def __init__(self, *, batch: bool = False) -> None:
        self.ran: list[int] = []
        self.given_back: list[Task] = []
        self._returned = self
        self._completed = [0]
        self._current: list[Task | None] = [None]
        self._work = (_in_batches if batch else _each)(self._handle, None, lambda task: task)
        self.lanes = Lanes(ByPartition(), lambda _lane: None, lambda _message: True)
        self.lanes.dispatch([FakeMessage(P0, at, None) for at in range(RECORDS)])
        (self.task,) = self.lanes._open
        self.lane = self.lanes._lanes[0]
        self.worker: Iterator[None] = _go_through(self, self.lane, 0)

    def put(self, task: Task) -> None:
        self.given_back.append(task)

    def _handle(self, given: Any, _context: Any) -> Iterator[None]:
        self.ran += [message.at for message in getattr(given, "messages", None) or [given.message]]
        yield

    def step(self, count: int) -> None:
        for _ in range(count):
            try:
                next(self.worker)
            except StopIteration as end:
                if not end.value:
                    return
                self.worker = _go_through(self, self.lane, 0)


def interleavings(
    act: Callable[[Bench], Any], statements: int, *, batch: bool = False
) -> Iterator[tuple[Bench, Any, list[int]]]:
    """The worker takes some steps, then the owner acts, and before one of its statements the worker takes some more;
    then it goes on to its end. What had begun when the owner was ready comes with it.
    """
    for before in range(45):
        for at in range(statements):
            for more in range(30):
                bench = Bench(batch=batch)
                bench.step(before)
                place = iter(range(100))

                def meanwhile(
                    bench: Bench = bench, at: int = at, more: int = more, place: Any = place
                ) -> None:
                    if next(place) == at:
                        bench.step(more)

                Meanwhile.step = meanwhile
                found = act(bench)
                Meanwhile.step = lambda: None
                begun = list(bench.ran)
                bench.step(1_000)
                yield bench, found, begun


def test_what_is_cut_off_is_what_the_worker_does_not_come_to() -> None:
    cut = interleaved(Task.cut)

    def act(bench: Bench) -> list[int]:
        bench.task.watched = True
        return [message.offset() for message in cut(bench.task)]

    for bench, left, begun in interleavings(act, 5):
        own = [message.offset() for message in bench.task.messages]
        assert own + left == list(range(RECORDS))
        assert not set(bench.ran) & set(left)
        assert len(bench.ran) - len(begun) <= 1, "at most the record that it was about to begin"
        assert bench.task.running == len(bench.ran)
        assert bench.given_back == [bench.task] or (bench.task.done and begun == bench.ran)


def test_a_batch_is_cut_off_as_a_whole_or_not_at_all() -> None:
    cut = interleaved(Task.cut_batch)

    def act(bench: Bench) -> list[int]:
        bench.task.watched = True
        return [message.offset() for message in cut(bench.task)]

    for bench, left, _ in interleavings(act, 2, batch=True):
        assert left in ([], list(range(RECORDS)))
        assert bench.ran == [] if left else bench.ran in ([], list(range(RECORDS)))
        if not left and not bench.ran:
            assert bench.given_back == [bench.task], "it had not begun, and comes back as it is"
            assert len(bench.task.messages) == RECORDS


def test_what_is_detached_runs_once_and_the_rest_of_its_lane_is_somebody_elses() -> None:
    detach = interleaved(Lanes.detach)

    def act(bench: Bench) -> Any:
        return detach(bench.lanes, bench.task) if bench._current[0] is bench.task else None

    for bench, entry, _ in interleavings(act, 12):
        waiting = [
            message.offset()
            for task in bench.lanes._open
            if task is not bench.task
            for message in task.messages
        ]
        behind = [message.at for message in entry.behind] if entry is not None else []
        own = [message.offset() for message in bench.task.messages]
        assert own + waiting + behind == list(range(RECORDS))
        assert not set(bench.ran) & {*waiting, *behind}
        if entry is not None:
            assert bench.given_back == [bench.task] or bench.task.done
            assert len(own) == bench.task.messages.index(entry.message) + 1


def test_whoever_appends_a_task_while_the_worker_lets_go_of_the_lane_is_not_forgotten() -> None:
    append = interleaved(Lanes._append)
    for before in range(80):
        for more in range(12):
            bench = Bench()
            bench.step(before)
            ready: list[Lane] = []
            bench.lanes._ready = ready.append
            Meanwhile.step = lambda bench=bench, more=more: bench.step(more)  # type: ignore[misc]
            append(bench.lanes, 0, [FakeMessage(P0, RECORDS, None)])
            Meanwhile.step = lambda: None
            bench.step(1_000)
            for lane in ready:
                assert len(ready) == 1
                bench.lane, bench.worker = lane, _go_through(bench, lane, 0)
                bench.step(1_000)
            assert bench.ran == list(range(RECORDS + 1)), (before, more)
