"""An event loop in a thread that goes on by single statements, when a test lets it.

The owner's thread and the loop's may be interleaved anywhere. Here one of both runs at a time: the workers' own
code (`preemptible`) and handlers call `Baton.pause` wherever the other thread could come in between, and go on
when the test says `Baton.step`. Callbacks, tasks and futures are asyncio's own.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.kafka.ports import PATIENCE_S

__all__ = ["Baton", "SteppedLoopThread", "preemptible"]


class Baton:
    """Who runs: the test, or the loop's thread."""

    def __init__(self) -> None:
        self._test = threading.Semaphore(0)
        self._loop = threading.Semaphore(0)
        self._left = 0
        self.free = False
        """The loop's thread stops no more."""
        self.broken: BaseException | None = None
        """What a handler found to be wrong."""

    def step(self, pauses: int = 1) -> None:
        """The test: let the loop's thread run to where it stops for the so-and-so-many-th time, or has nothing
        to do.
        """
        self._left = pauses
        self._loop.release()
        assert self._test.acquire(timeout=PATIENCE_S), "the loop's thread does not stop"
        self.check()

    def check(self) -> None:
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken

    def pause(self) -> None:
        """The loop's thread: whatever the test wants to do, it can do here."""
        self._left -= 1
        if self._left <= 0:
            self.rest()

    def rest(self) -> None:
        """The loop's thread stops in any case."""
        if not self.free:
            self._test.release()
            self._loop.acquire()

    def begin(self) -> None:
        self._loop.acquire()

    def let_go(self) -> None:
        self.free = True
        self._loop.release()


class _Loop:
    """So much of a loop as tasks and futures need. Its time stands still."""

    def __init__(self) -> None:
        self.handles: deque[asyncio.Handle] = deque()
        self.problems: list[dict[str, Any]] = []
        self.arrived = threading.Event()

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        this: Any = self
        handle = asyncio.Handle(callback, args, this, context)
        self.handles.append(handle)
        self.arrived.set()
        return handle

    call_soon_threadsafe = call_soon

    def create_task(
        self, coroutine: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        this: Any = self
        return asyncio.Task(coroutine, loop=this, name=name, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        this: Any = self
        return asyncio.Future(loop=this)

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)


class SteppedLoopThread:
    """What `rota.consumer.loop_thread.LoopThread` is to the workers."""

    def __init__(self) -> None:
        self.baton = Baton()
        self.loop: Any = _Loop()
        self._inside = False
        self._over = False
        self._users = 0
        self._thread = threading.Thread(target=self._run, name="stepped-loop", daemon=True)
        self._thread.start()

    @property
    def able(self) -> bool:
        """Whether there is anything to do."""
        return self._inside or bool(self.loop.handles)

    def start(self) -> None:
        self._users += 1

    def soon(self, callback: Callable[..., object], *args: Any) -> bool:
        self.loop.call_soon(callback, *args)
        return True

    def blocked(self) -> bool:
        return self._inside

    def where(self) -> str:
        return ""

    def let_go(self) -> None:
        """From now on it runs as loops do."""
        if not self.baton.free:
            self.baton.let_go()

    def release(self) -> None:
        self._users -= 1
        if not self._users:
            self.let_go()
            self._over = True
            self.loop.arrived.set()
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()
            assert not self.loop.problems, self.loop.problems

    def _run(self) -> None:
        asyncio._set_running_loop(self.loop)
        self.baton.begin()
        while not self._over:
            if self.loop.handles:
                self._inside = True
                self.loop.handles.popleft()._run()
                self._inside = False
            elif self.baton.free:
                self.loop.arrived.wait(PATIENCE_S)
                self.loop.arrived.clear()
            if self.loop.handles:
                self.baton.pause()
            else:
                self.baton.rest()


def preemptible(function: Callable[..., Any], pause: Callable[[], None], **names: Any) -> Any:
    """The function as it is in the source, with a ``pause()`` before every statement of it, or of the function
    inside it. ``names`` replace what its module has under them.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    inside = [node for node in definition.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in inside or [definition]:
        node.body = _with_pauses(node.body)
    tree = ast.fix_missing_locations(ast.Module([definition], []))
    module = inspect.getmodule(function)
    assert module is not None
    space = {**vars(module), **names, "_pause": pause}
    exec(compile(tree, f"<preemptible {function.__qualname__}>", "exec"), space)
    return space[function.__name__]


def _with_pauses(body: list[ast.stmt]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for statement in body:
        for name in ("body", "orelse", "finalbody"):
            if getattr(statement, name, None):
                setattr(statement, name, _with_pauses(getattr(statement, name)))
        for handler in getattr(statement, "handlers", ()):
            handler.body = _with_pauses(handler.body)
        pause = ast.Call(ast.Name("_pause", ast.Load()), [], [])
        found += [ast.Expr(pause), statement]
    return found
