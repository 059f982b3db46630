"""The program of a worker process: it does records that its parent hands over, until there is no parent.

It runs the same runners as threads do (`rota.consumer.workers.runners`), on a task whose end is asked of the pipe that
`rota.consumer.workers.process_tasks` describes.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import marshal
import os
import pickle  # from our parent
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rota.consumer.clients.client import Offset
from rota.consumer.core.batches import BatchError
from rota.consumer.core.work import Lane, Task
from rota.consumer.workers.process_wire import MAIN, pack_failure, receive, send, unpack_records
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Message
    from rota.model import TopicPartition

__all__ = ["Pipes", "Setup", "main", "refuse_in_child"]

_KNOWN_S = 0.005
"""So long a child believes what its parent said last about a partition."""
_PR_SET_PDEATHSIG = 1

_in_child = False


class Pipes(NamedTuple):
    """The child's ends."""

    permits: int
    commands: int
    answers: int
    life: int
    """The parent never writes; at its end the child reads that."""


class Setup(NamedTuple):
    """What a child must know; pickled."""

    argv: list[str]
    main: tuple[str, str] | None
    """How to load the program's main script, if the handler is defined there: ("file", path) or ("module",
    name).
    """
    make: bytes
    """Pickled; called with `Asking`, it returns the work of `rota.consumer.workers.runners`."""
    batch: bool
    log_level: int | None


def refuse_in_child() -> None:
    """Raises RotaError in a worker process: no consumer is started there."""
    if _in_child:
        raise RotaError(
            "the app is started while a worker process loads the handler's module: "
            'put app.run() behind if __name__ == "__main__":'
        )


class Asking:
    """In a child, what `rota.consumer.core.state.Ours` is in the parent: asks it."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._lock = threading.Lock()  # handlers may have threads
        self._listens = False
        self._known: dict[tuple[str, int], tuple[bool, float]] = {}

    def owns(self, message: Message) -> bool:
        where = (message.topic(), message.partition())
        with self._lock:
            owned, since = self._known.get(where, (True, 0.0))
            if not owned or not self._listens or time.monotonic() - since < _KNOWN_S:
                return owned
            send(self._pipes.answers, b"Q", marshal.dumps(where))
            owned = receive(self._pipes.commands) == (b"A", b"1")
            self._known[where] = owned, time.monotonic()
            return owned

    def committed(self, partition: TopicPartition) -> Offset | None:
        """What the group has committed, as far as the parent knows."""
        with self._lock:
            if not self._listens:
                return None
            send(self._pipes.answers, b"C", marshal.dumps(tuple(partition)))
            _, body = receive(self._pipes.commands)
            known = marshal.loads(body)  # noqa: S302
            return None if known is None else Offset(*known)

    def begin(self) -> None:
        """The parent listens."""
        with self._lock:
            self._known.clear()
            self._listens = True

    def end(self, answer: bytes) -> None:
        """The last word about these records."""
        with self._lock:
            self._listens = False
            send(self._pipes.answers, b"D", answer)


class _EachTask(Task):
    """Its end is one further whenever that is asked, if the parent permits."""

    __slots__ = ("permits",)

    def __init__(self, messages: Sequence[Message], attempt: int, permits: int) -> None:
        self.permits = permits
        super().__init__(messages, Lane(-1), attempt=attempt)

    @property
    def end(self) -> int:
        at = self.running
        return at + 1 if at < len(self.messages) and _permitted(self.permits) else at

    @end.setter
    def end(self, end: int) -> None:
        pass


class _BatchTask(_EachTask):
    """All of its records with one permit."""

    __slots__ = ()

    @property
    def end(self) -> int:
        return len(self.messages) if _permitted(self.permits) else 0

    @end.setter
    def end(self, end: int) -> None:
        pass


def _permitted(permits: int) -> bool:
    try:
        return len(os.read(permits, 1)) == 1
    except BlockingIOError:
        return False


def main() -> None:
    """The numbers of the `Pipes` are the arguments."""
    global _in_child  # noqa: PLW0603  # this process is nothing else
    _in_child = True
    pipes = Pipes(*map(int, sys.argv[1:5]))
    for pipe in pipes:
        os.set_inheritable(pipe, False)
    _leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, args=(pipes.life,), daemon=True).start()
    try:
        setup: Setup = pickle.loads(receive(pipes.commands)[1])  # noqa: S301
        asking = Asking(pipes)
        try:
            work = _load(setup)(asking)
        except BaseException as failure:
            send(pipes.answers, b"X", marshal.dumps(pack_failure(failure)))
            return
        send(pipes.answers, b"L")
        task_type = _BatchTask if setup.batch else _EachTask
        while True:
            attempt, messages = unpack_records(receive(pipes.commands)[1])
            asking.begin()
            asking.end(_do(work, task_type(messages, attempt, pipes.permits)))
    except (EOFError, BrokenPipeError):
        return  # the parent has finished, or is no more


def _do(work: Callable[[Task], None], task: Task) -> bytes:
    try:
        work(task)
    except BatchError as failure:
        return marshal.dumps((task.running, pack_failure(failure.__cause__ or failure), True))
    except BaseException as failure:  # whatever a handler raises belongs to its record
        return marshal.dumps((task.running, pack_failure(failure), False))
    return marshal.dumps((task.running, None, False))


def _load(setup: Setup) -> Callable[[Asking], Callable[[Task], None]]:
    sys.argv[:] = setup.argv
    if setup.main is not None:
        sys.modules["__main__"] = _load_main(*setup.main)
    make: Any = pickle.loads(setup.make)  # noqa: S301
    if setup.log_level is not None and not logging.getLogger().handlers:
        logging.basicConfig(level=setup.log_level)
    return make  # type: ignore[no-any-return]


def _load_main(how: str, what: str) -> Any:
    if how == "module":
        return importlib.import_module(what)
    spec = importlib.util.spec_from_file_location(MAIN, what)
    if spec is None or spec.loader is None:
        raise RotaError(f"{what} cannot be imported: is it Python?")
    module = sys.modules[MAIN] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _leave_signals_to_parent() -> None:
    # Who stops a service or presses Ctrl+C may signal every process of it; the parent lets us finish. Not
    # SIG_IGN: programs that a handler starts would inherit that.
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    if sys.platform == "linux":  # the thread below cannot run while a handler holds the interpreter
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(1)
