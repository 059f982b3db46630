"""Handlers in processes: real children under the engine."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any

import pytest
from tests.consumer import process_handlers as handlers
from tests.consumer.at_work import PARTITIONS, Build, Member, at_work, check_entries
from tests.consumer.process_handlers import note, notes
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer.app import App
from rota.consumer.core.policy import NoWorkerError
from rota.consumer.core.state import Ours
from rota.consumer.core.work import Task
from rota.consumer.handlers import Batch
from rota.consumer.workers.importable import check_importable
from rota.consumer.workers.process_tasks import ProcessTask
from rota.consumer.workers.process_wire import HandlerTraceError
from rota.consumer.workers.processes import ProcessWorkers, WorkerDiedError
from rota.model import RotaError

KEYS = [b"%d" % number for number in range(20)]


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(handlers.JOURNAL, str(tmp_path / "journal"))


def in_processes(handle: Any, count: int = 2, *, batch: bool = False) -> Build:
    work = handlers.batch_work_of if batch else handlers.work_of

    def build(returned: SimpleQueue[Task], ours: Ours) -> ProcessWorkers:
        make = functools.partial(work, handle)
        return ProcessWorkers(count, make, ours.owns, returned, "handler", batch=batch)

    return build


at_work_in_processes = functools.partial(at_work, task=ProcessTask)


def entries() -> list[tuple[str, int, int, bytes | None]]:
    found: list[tuple[str, int, int, bytes | None]] = []
    for how, *rest in notes():
        if how in ("begin", "done", "failed", "died"):
            found.append((how, int(rest[0]), int(rest[1]), rest[2].encode()))
    return found


def done() -> list[tuple[int, int]]:
    return [(partition, offset) for how, partition, offset, _ in entries() if how == "done"]


def alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_everything_is_done_once_and_in_order_by_key() -> None:
    random = Random(5)
    with at_work_in_processes(in_processes(handlers.journals)) as member:
        for partition in PARTITIONS:
            member.produce([random.choice(KEYS) for _ in range(500)], partition)
        member.until_all_is_committed()
        check_entries(entries(), member.kafka)


def test_handlers_run_in_as_many_processes_as_were_asked_for() -> None:
    with at_work_in_processes(in_processes(handlers.tells_its_process, 2), order="none") as member:
        member.until("both are at work", lambda: worked_in(member) == 2)
    assert {int(words[5]) for words in notes()} == {os.getpid()}
    assert {words[6] for words in notes()} == {"1"}
    assert not any(alive(int(words[4])) for words in notes())


def worked_in(member: Member) -> int:
    member.produce(KEYS)
    return len({words[4] for words in notes()})


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        ("value", ValueError, "a value"),
        ("unpicklable", handlers.UnpicklableError, "code 7"),
        ("two", handlers.TwoArgumentsError, "disk: full"),
        ("local", "LocalError", "only here"),
        ("timeout", TimeoutError, ""),
    ],
)
def test_whatever_a_handler_raises_belongs_to_its_record_and_crosses(
    key: str, kind: type[BaseException] | str, text: str
) -> None:
    failures: list[BaseException] = []
    with at_work_in_processes(
        in_processes(handlers.fails), lanes=1, retry_on=(BaseException,), failures=failures
    ) as member:
        member.produce([b"before"] * 5 + [key.encode()] + [b"after"] * 200)
        member.until_all_is_committed()
        check_entries(entries(), member.kafka)
    assert len(failures) == 2
    for failure in failures:
        if isinstance(kind, str):
            assert type(failure).__name__ == kind
        else:
            assert type(failure) is kind
        assert str(failure) == text
        assert isinstance(failure.__cause__, HandlerTraceError)
        assert "process_handlers.py" in failure.__cause__.trace
        assert "in fails" in failure.__cause__.trace


@pytest.mark.parametrize(("key", "kind"), [(b"exit", SystemExit), (b"interrupt", KeyboardInterrupt)])
def test_what_is_meant_for_the_program_crosses_too(key: bytes, kind: type[BaseException]) -> None:
    failures: list[BaseException] = []
    with at_work_in_processes(in_processes(handlers.fails), failures=failures) as member:
        member.produce([b"a"] * 5 + [key])
        with pytest.raises(AssertionError, match="the record in orders-0 at offset 5"):
            member.until("it is told", lambda: False)
    assert [type(failure) for failure in failures] == [kind]


def test_a_record_that_a_handler_skips_is_done() -> None:
    with at_work_in_processes(in_processes(handlers.fails), lanes=1) as member:
        member.produce([b"skip"] * 8)
        member.until_all_is_committed()
    assert (0, 5) not in done()
    assert len(done()) == 7


@pytest.mark.parametrize(
    ("key", "how"), [("exit", "exit code 9"), ("kill", "SIGKILL"), ("segfault", "SIGSEGV")]
)
def test_a_process_that_dies_fails_only_the_record_it_was_at(key: str, how: str) -> None:
    failures: list[BaseException] = []
    with at_work_in_processes(in_processes(handlers.dies), lanes=2, failures=failures) as member:
        member.produce([b"a", b"b", b"a", b"b", b"a", key.encode()] + [b"a", b"b"] * 100)
        member.until_all_is_committed()
        check_entries(
            [("failed" if entry[0] == "died" else entry[0], *entry[1:]) for entry in entries()],
            member.kafka,
        )
    assert [type(failure) for failure in failures] == [WorkerDiedError, WorkerDiedError]
    assert all(how in str(failure) for failure in failures)
    assert len({words[4] for words in notes() if words[0] == "died"}) == 2


def test_a_program_that_a_dead_process_leaves_behind_does_not_hide_its_death() -> None:
    with at_work_in_processes(in_processes(handlers.starts_a_program_and_dies, 1)) as member:
        try:
            member.produce(KEYS)
            member.until_all_is_committed()
        finally:
            for words in notes():
                if words[0] == "program":
                    os.kill(int(words[1]), signal.SIGKILL)
    assert sorted(done()) == [(0, offset) for offset in range(20)]


def test_a_child_that_is_killed_while_it_has_nothing_to_do_is_replaced() -> None:
    with at_work_in_processes(in_processes(handlers.tells_its_process, 1), attempts=1) as member:
        member.produce(KEYS)
        member.until_all_is_committed()
        first = int(notes()[0][4])
        os.kill(first, signal.SIGKILL)
        wait_until("it is dead", lambda: not alive(first))
        member.produce(KEYS)
        member.until_all_is_committed()
    assert len(done()) == 40
    assert len({words[4] for words in notes()}) == 2


def test_a_rebalance_waits_for_what_has_begun_and_drops_the_rest() -> None:
    with at_work_in_processes(in_processes(handlers.waits_for_the_rebalance), lanes=4) as member:
        member.produce(KEYS * 5, PARTITIONS[1])
        member.until("two wait", lambda: len(entries()) == 2)
        member.client.withdraw([PARTITIONS[1]], lost=False)
        assert len(done()) == 2
        assert {words[4] for words in notes() if words[0] == "done"} == {"True"}
        note("release")
        member.client.assign([PARTITIONS[1]])
        member.until_all_is_committed()
        check_entries(entries(), member.kafka)


def test_a_record_that_takes_long_does_not_hold_its_lane() -> None:
    with at_work_in_processes(in_processes(handlers.waits_until_released), lanes=1, slow_ms=20) as member:
        member.produce([b"a"] * 10 + [b"waits", *KEYS] + [b"a"] * 300)
        member.until("all others are done", lambda: len(done()) == 330)
        # What a process has done is known here a little later.
        member.until(
            "only that one is under way",
            lambda: (
                [task.messages[task.running].offset() for task in member.workers.current() if not task.done]
                == [10]
            ),
        )
        assert member.undone() == [(0, 10)]
        note("release")
        member.until_all_is_committed()
        check_entries(entries(), member.kafka)


def test_what_runs_at_the_end_is_killed_and_neither_done_nor_failed() -> None:
    failures: list[BaseException] = []
    with at_work_in_processes(
        in_processes(handlers.waits_until_released), order="none", failures=failures
    ) as member:
        member.produce([b"waits"] * 10)
        member.until("two wait", lambda: len(entries()) == 2)
    member.turn()
    assert not failures
    assert member.workers.completed == 0
    assert len(member.undone()) == 10
    assert member.engine.commits.now(PARTITIONS)
    assert all(offset == 0 for offset, _ in member.kafka.committed.values())
    assert done() == []


def test_batches_and_those_that_are_done_in_part() -> None:
    with at_work_in_processes(
        in_processes(handlers.in_parts, batch=True), order="partition", lanes=1, batch=Batch(10, 0)
    ) as member:
        member.produce([b"a"] * 50)
        member.until_all_is_committed()
    assert done() == [(0, offset) for offset in range(50)]


def test_a_rebalance_waits_for_batches_that_have_begun_and_drops_the_rest() -> None:
    with at_work_in_processes(
        in_processes(handlers.batch_waits_for_the_rebalance, batch=True), lanes=1, batch=Batch(10, 0)
    ) as member:
        member.produce([b"a"] * 50)
        member.until("a batch is begun", lambda: len(entries()) == 10)
        member.client.withdraw([PARTITIONS[0]], lost=False)
        assert done() == [(0, offset) for offset in range(10)]
        assert member.kafka.committed[PARTITIONS[0]].offset == 10
        note("release")
        member.client.assign([PARTITIONS[0]])
        member.until_all_is_committed()
    assert done() == [(0, offset) for offset in range(50)]


def test_one_of_a_batch_that_fails_is_tried_again_alone() -> None:
    failures: list[BaseException] = []
    with at_work_in_processes(
        in_processes(handlers.one_of_a_batch_fails, batch=True),
        lanes=1,
        batch=Batch(10, 0),
        failures=failures,
    ) as member:
        member.produce([b"a"] * 30)
        member.until_all_is_committed()
    assert done() == [(0, offset) for offset in range(30)]
    assert [(type(failure), str(failure)) for failure in failures] == [(OSError, "the disk")]


def test_there_are_no_more_processes_than_processors_unless_somebody_says_so() -> None:
    app = App({}, concurrency=1_000)
    app.handler("a", workers="processes")(handlers.does_nothing)
    app.handler("b", workers="processes", concurrency=900)(handlers.does_nothing)
    app.handler("c")(handlers.does_nothing)
    assert [spec.concurrency for spec in app.handlers] == [os.cpu_count(), 900, 1_000]


def test_no_consumer_is_started_in_a_process_that_loads_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"})
    app.handler("orders")(handlers.does_nothing)
    monkeypatch.setattr("rota.consumer.workers.process_child._in_child", True)
    with pytest.raises(RotaError, match='if __name__ == "__main__":'):
        app.start()


def test_a_process_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, refused = subprocess.Popen, [OSError("no more processes")] * 3

    def popen(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        if refused:
            raise refused.pop()
        return start(*args, **options)

    open_before = len(list(Path("/dev/fd").iterdir()))
    monkeypatch.setattr("rota.consumer.workers.processes.subprocess.Popen", popen)
    monkeypatch.setattr("rota.consumer.workers.processes._PAUSES_S", (0.0, 0.0))
    failures: list[BaseException] = []
    with at_work_in_processes(in_processes(handlers.journals, 1), failures=failures) as member:
        member.produce(KEYS)
        member.until_all_is_committed()
        check_entries(entries(), member.kafka)
    assert not failures
    assert len(list(Path("/dev/fd").iterdir())) <= open_before


def test_a_process_that_cannot_load_the_handler_says_why() -> None:
    def build(returned: SimpleQueue[Task], ours: Ours) -> ProcessWorkers:
        return ProcessWorkers(1, handlers.refuses_to_load, ours.owns, returned, "handler")

    failures: list[BaseException] = []
    with at_work_in_processes(build, attempts=1, failures=failures) as member:
        member.produce([b"a"])
        with pytest.raises(AssertionError, match="ImportError: no module named antigravity2"):
            member.until_all_is_committed()
    assert isinstance(failures[0], NoWorkerError)


# Programs that start the workers, and how they end.

PROGRAM = """
    import functools, signal, sys, time
    from queue import SimpleQueue
    from tests.consumer import process_handlers as handlers
    from tests.consumer.at_work import at_work
    from rota.consumer.workers.process_tasks import ProcessTask
    from rota.consumer.workers.processes import ProcessWorkers

    def build(returned, ours):
        make = functools.partial(handlers.work_of, {handler})
        return ProcessWorkers(1, make, ours.owns, returned, "handler")

    def mine(record, context):
        handlers.told("done", record, __name__)

    stopped = []
    if __name__ == "__main__":
        signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
        with at_work(build, task=ProcessTask) as member:
            member.produce([b"waits"] * 3)
            {then}
"""


def program(tmp_path: Path, handler: str, then: str) -> subprocess.Popen[bytes]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM).format(handler=handler, then=then))
    return subprocess.Popen(
        [sys.executable, str(path)], env={**os.environ, "PYTHONPATH": "."}, start_new_session=True
    )


def children_of(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


def test_a_handler_in_the_program_s_main_script_is_found(tmp_path: Path) -> None:
    started = program(tmp_path, "mine", "member.until_all_is_committed()")
    assert started.wait(PATIENCE_S) == 0
    assert [words[4] for words in notes()] == ["__rota_worker__"] * 3


def test_ctrl_c_lets_what_has_begun_finish(tmp_path: Path) -> None:
    then = (
        'member.until("it was stopped", lambda: stopped); handlers.note("release"); '
        "member.until_all_is_committed()"
    )
    started = program(tmp_path, "handlers.waits_until_released", then)
    try:
        wait_until("a record is begun", lambda: len(entries()) == 1)
        for child in children_of(started.pid):
            os.kill(child, signal.SIGTERM)  # as whoever stops a service may do ...
            os.kill(child, signal.SIGINT)
        os.killpg(started.pid, signal.SIGINT)  # ... and a terminal
        assert started.wait(PATIENCE_S) == 0
    finally:
        started.kill()
    assert [how for how, *_ in entries()] == ["begin", "done"] * 3


def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    started = program(
        tmp_path, "handlers.waits_until_released", 'member.until("it is killed", lambda: False)'
    )
    try:
        wait_until("a record is begun", lambda: len(entries()) == 1)
        pids = children_of(started.pid)
        assert len(pids) == 1
    finally:
        started.kill()
        started.wait()
    wait_until("its child is gone", lambda: not any(map(alive, pids)))


# What cannot be handed to a process.


def outer() -> Any:
    def inner(record: Any) -> None:
        pass

    return inner


def shadowed(record: Any) -> None:
    pass


_first = shadowed


def shadowed(record: Any) -> None:  # type: ignore[no-redef]
    pass


class Unpicklable:
    def __init__(self) -> None:
        self.file = Path(os.devnull).open()  # noqa: SIM115

    def process(self, record: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda _: None, "is a lambda"),
        (outer(), "is defined inside another function"),
        (functools.partial(outer(), 1), "is defined inside another function"),
        (_first, "is not what that name stands for"),
        (Unpicklable().process, "cannot be handed to a process"),
    ],
)
def test_a_function_that_cannot_be_imported_is_refused_with_advice(function: Any, says: str) -> None:
    with pytest.raises(RotaError, match=says) as told:
        check_importable(function)
    assert "\n" not in str(told.value)
    assert 'workers="processes"' in str(told.value)


@pytest.mark.parametrize(
    "function", [handlers.journals, functools.partial(handlers.told, "done"), handlers.UnpicklableError]
)
def test_what_can_be_imported_is_taken(function: Any) -> None:
    check_importable(function)
