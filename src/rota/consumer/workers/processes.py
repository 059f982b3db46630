"""Worker processes, for handlers that compute: each has a thread here, which goes through lanes as any worker
thread does and has its child do the records.

Children are new programs (not forks: librdkafka's threads would not survive one) that import the handler by
name. A slice of a task crosses at once; `rota.consumer.workers.process_tasks` tells how the owner still sees every
record's beginning and can take back the others. A child that dies fails the record that it was at, and
another takes its place. Where no child comes to handle anything, no record is held responsible: the consumer ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import marshal
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rota.consumer.core.batches import BatchError
from rota.consumer.core.policy import NoWorkerError
from rota.consumer.payloads import raw_value
from rota.consumer.record import Record
from rota.consumer.workers.importable import how_to_load_main
from rota.consumer.workers.process_child import Asking, Pipes, Setup
from rota.consumer.workers.process_tasks import MOST, Permits, ProcessTask
from rota.consumer.workers.process_wire import (
    PackedFailure,
    SentMessage,
    pack_records,
    receive,
    send,
    unpack_failure,
)
from rota.consumer.workers.runners import begin_batch
from rota.consumer.workers.threads import Threads
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import SimpleQueue

    from rota.consumer.clients.client import Message, Offset
    from rota.consumer.core.work import Task

__all__ = ["Make", "ProcessWorkers", "WorkerDiedError"]

log = logging.getLogger("rota.consumer")

_BYTES = 256 * 1024
"""A slice of a task is so large at most, or one record."""
_CLOSE_S = 2.0
_LOOK_MS = 500
_DEATHS = 3
"""So many children in a row may die before they begin a record; then the record is held responsible, if the last one
had imported the handler.
"""
_PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""Between two attempts to start a child."""
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from rota.consumer.workers.process_child import main; main()"
)

if TYPE_CHECKING:
    Make = Callable[[Asking], Callable[[Task], None]]
    """Picklable. In the child it makes the work, as `rota.consumer.workers.runners` does, of what says whether a
    record's partition is still ours.
    """


class WorkerDiedError(Exception):
    """The process that handled the record ended in the middle of it."""


class _ChildEndError(Exception):
    """Nobody at the other end of the pipes."""


class _Child:
    """A child, and our ends of its pipes. Made and used by one thread; `kill` is for others too."""

    def __init__(
        self,
        setup: bytes,
        owns: Callable[[Message], bool],
        committed: Callable[[TopicPartition], Offset | None],
        name: str,
    ) -> None:
        self._owns = owns
        self._committed = committed
        self.loaded = False
        """Whether it is known to have imported the handler."""
        self.permits = Permits()
        child_commands, self._commands = os.pipe()
        self._answers, child_answers = os.pipe()
        child_life, self._life = os.pipe()
        theirs = Pipes(self.permits.reading, child_commands, child_answers, child_life)
        try:
            self._process = subprocess.Popen(  # noqa: S603  # ourselves
                [
                    sys.executable, "-c", _START, *map(str, theirs), f"worker process {name}",
                    json.dumps(list(map(str, sys.path))),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=theirs,
                process_group=0,  # Ctrl+C in the terminal is not for what runs there: we let it finish
            )  # fmt: skip
        except OSError:
            for pipe in (self._commands, self._answers, self._life):
                os.close(pipe)
            self.permits.close()
            raise
        finally:
            for pipe in (child_commands, child_answers, child_life):
                os.close(pipe)
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self.pid = self._process.pid
        with contextlib.suppress(_ChildEndError):  # `do` will see it
            self._send(b"S", setup)

    def do(self, attempt: int, rows: list[tuple[Any, ...]]) -> tuple[int, PackedFailure | None, bool]:
        """Have it do these records; how many it did, why it did not do the next, and whether it is only that
        one of a batch.
        """
        with contextlib.suppress(_ChildEndError):  # its last words are read first
            self._send(b"R", marshal.dumps((attempt, rows)))
        while True:
            kind, body = self._receive()
            if kind == b"L":
                self.loaded = True
            elif kind == b"Q":
                topic, partition = marshal.loads(body)  # noqa: S302
                about = SentMessage((topic, partition, -1, None, None, None, (0, -1)))
                self._send(b"A", b"1" if self._owns(about) else b"0")
            elif kind == b"C":
                known = self._committed(TopicPartition(*marshal.loads(body)))  # noqa: S302
                self._send(b"A", marshal.dumps(None if known is None else tuple(known)))
            elif kind == b"D":
                return marshal.loads(body)  # type: ignore[no-any-return]  # noqa: S302
            else:
                cause = unpack_failure(marshal.loads(body))  # noqa: S302
                raise NoWorkerError(
                    f"a worker process cannot import the handler: {type(cause).__name__}: {cause}"
                ) from cause

    def _send(self, kind: bytes, body: bytes) -> None:
        try:
            send(self._commands, kind, body)
        except OSError:
            raise _ChildEndError from None

    def _receive(self) -> tuple[bytes, bytes]:
        # Its end is the end of the pipe; but programs that it started may have inherited that, and live.
        while not self._poll.poll(_LOOK_MS):
            if self._process.poll() is not None and not self._poll.poll(0):
                raise _ChildEndError
        try:
            return receive(self._answers)
        except EOFError:
            raise _ChildEndError from None

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> str:
        """Let it end, or make it; how it did, in words."""
        os.close(self._commands)
        try:
            code = self._process.wait(_CLOSE_S / 2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        os.close(self._answers)
        os.close(self._life)
        self.permits.close()
        if code >= 0:
            return f"ended with exit code {code}"
        why = " (if nobody did that: the kernel, for want of memory)" if -code == signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-code).name}{why}"


class ProcessWorkers(Threads):
    """``count`` processes. ``owns``: whether a record's partition is ours. ``batch``: a task is one call.
    ``committed``: what the group has committed.

    The lanes that become `ready` hold `ProcessTask`s. Raises RotaError if ``make`` cannot be pickled.
    """

    def __init__(
        self,
        count: int,
        make: Make,
        owns: Callable[[Message], bool],
        returned: SimpleQueue[Task],
        name: str,
        *,
        batch: bool = False,
        committed: Callable[[TopicPartition], Offset | None] = lambda _partition: None,
    ) -> None:
        super().__init__(count, self._do, returned, name)
        self._setup = _setup(make, batch=batch)
        self._owns = owns
        self._committed = committed
        self._batch = batch
        self._name = name
        self._mine = threading.local()
        self._children: list[_Child | None] = [None] * count
        self._closing = threading.Event()

    def close(self) -> None:
        """What still runs is killed; it counts neither as done nor as failed. Returns in bounded time."""
        self._closing.set()
        super().close()
        deadline = time.monotonic() + _CLOSE_S / 4
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for child in self._children:
            if child is not None:
                child.kill()
        for thread in self._threads:
            thread.join(_CLOSE_S)

    def _run(self, index: int) -> None:
        # A child begins with the signal mask of the thread that starts it, and opens it when it is ready.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        self._mine.index = index
        self._mine.deaths = 0
        try:
            with contextlib.suppress(OSError):  # no room for another process; who has a record tries again
                self._child()
            super()._run(index)
        finally:
            self._bury()

    def _child(self) -> _Child:
        index: int = self._mine.index
        child = self._children[index]
        if child is None:
            child = self._children[index] = _Child(
                self._setup, self._owns, self._committed, f"{self._name}-{index + 1}"
            )
        return child

    def _sure_child(self) -> _Child | None:
        """What keeps a child from being started may pass; None at the end."""
        for pause_s in _PAUSES_S:
            try:
                return self._child()
            except OSError as error:
                log.warning("no worker process can be started now: %s", error)
            if self._closing.wait(pause_s):
                return None
        try:
            return self._child()
        except OSError as error:
            raise NoWorkerError(
                f"no worker process can be started: {type(error).__name__}: {error}"
            ) from error

    def _bury(self) -> str:
        child, self._children[self._mine.index] = self._children[self._mine.index], None
        return child.end() if child is not None else "ended"

    def _do(self, task: Task) -> None:
        """See `Threads`."""
        assert isinstance(task, ProcessTask)
        if self._batch and not begin_batch(task):
            return
        while task.running < task.end and not self._closing.is_set():
            at = task.running
            if self._batch:
                rows = pack_records(task.messages, sys.maxsize)
            else:
                rows = pack_records(task.messages[at : at + MOST], _BYTES)
            child = self._sure_child()
            if child is None:
                return
            count = task.hand(child.permits, 1 if self._batch else len(rows))
            if count <= 0:
                return
            try:
                done, failure, alone = child.do(task.attempt, rows if self._batch else rows[:count])
            except _ChildEndError:
                self._died(task, child)
                continue
            except NoWorkerError:
                task.take(0)
                self._bury()
                raise
            task.take(done)
            self._mine.deaths = 0
            if failure is not None and alone:
                raise BatchError(Record(task.messages[task.running], raw_value)) from unpack_failure(failure)
            if failure is not None:
                raise unpack_failure(failure)
            if self._batch:
                return

    def _died(self, task: ProcessTask, child: _Child) -> None:
        begun = task.take(None)
        how = self._bury()
        if self._closing.is_set():
            return
        self._mine.deaths += 1
        if begun or self._mine.deaths >= _DEATHS:
            self._mine.deaths = 0
            if not begun and not child.loaded:
                raise NoWorkerError(
                    f"worker processes end before they have imported the handler, the last one {how}"
                )
            raise WorkerDiedError(f"the process that handled it ({child.pid}) {how}")
        log.warning("worker process %d %s; another takes its place", child.pid, how)


def _setup(make: Make, *, batch: bool) -> bytes:
    try:
        pickled = pickle.dumps(make)
    except Exception as error:
        raise RotaError(
            f"a handler cannot be handed to processes: {type(error).__name__}: {error}; define it, and what it "
            "decodes with, at the top of a module"
        ) from error
    main = how_to_load_main() if b"__main__" in pickled else None
    root = logging.getLogger()
    level = root.level if root.handlers else None
    return pickle.dumps(Setup(list(sys.argv), main, pickled, batch, level))
