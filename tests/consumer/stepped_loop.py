"""An event loop that goes on by single statements, when a test lets it.

The owner's thread and the loop's may be interleaved anywhere. Here both are greenlets of one thread, one of which
runs: the workers' own code (`preemptible`) and handlers call `Baton.pause` wherever the other could come in
between, and go on when the test says `Baton.step`. Callbacks, tasks and futures are asyncio's own.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped,unused-ignore]

__all__ = ["Baton", "SteppedLoopThread", "preemptible"]


class Baton:
    """Who runs: the test, or the loop."""

    def __init__(self, loop: Any, run: Callable[[], None]) -> None:
        self._loop = loop
        self._greenlet = greenlet(run)
        self._left = 0
        self.free = False
        """The loop stops only when it has nothing to do."""
        self.place = ""
        """The function in which it has stopped."""
        self.broken: BaseException | None = None
        """What a handler found to be wrong."""

    @property
    def inside(self) -> bool:
        """Whether it is the loop that asks."""
        return bool(getcurrent() is self._greenlet)

    def step(self, pauses: int = 1) -> None:
        """The test: let the loop run to where it stops for the so-and-so-many-th time, or has nothing to do."""
        self._left = pauses
        self._greenlet.parent = getcurrent()
        asyncio._set_running_loop(self._loop)
        try:
            self._greenlet.switch()
        finally:
            asyncio._set_running_loop(None)
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken

    def pause(self, place: str = "") -> None:
        """The loop: whatever the test wants to do, it can do here."""
        self.place = place
        self._left -= 1
        if self._left <= 0 and not self.free:
            self.rest()

    def rest(self) -> None:
        """The loop stops in any case."""
        assert self._greenlet.parent is not None
        self._greenlet.parent.switch()


class _Loop:
    """So much of a loop as tasks and futures need. Its time stands still."""

    def __init__(self) -> None:
        self.handles: deque[asyncio.Handle] = deque()
        self.problems: list[dict[str, Any]] = []

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        this: Any = self
        handle = asyncio.Handle(callback, args, this, context)
        self.handles.append(handle)
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
    """What `rota.consumer.workers.loop_thread.LoopThread` is to the workers."""

    def __init__(self) -> None:
        self.loop: Any = _Loop()
        self.baton = Baton(self.loop, self._run)
        self._inside = False
        self._over = False
        self._users = 0

    @property
    def able(self) -> bool:
        """Whether there is anything to do."""
        return self._inside or bool(self.loop.handles)

    def start(self) -> None:
        self._users += 1

    def soon(self, callback: Callable[..., object], *args: Any) -> bool:
        self.loop.call_soon(callback, *args)
        if self.baton.free:
            self.baton.step()
        return True

    def blocked(self) -> bool:
        return self._inside

    def where(self) -> str:
        return ""

    def let_go(self) -> None:
        """From now on it does at once what there is to do."""
        self.baton.free = True

    def release(self) -> None:
        self._users -= 1
        if not self._users:
            self.let_go()
            self._over = True
            self.baton.step()
            assert not self.able
            assert not self.loop.problems, self.loop.problems

    def _run(self) -> None:
        while self.loop.handles or not self._over:
            if self.loop.handles:
                self._inside = True
                self.loop.handles.popleft()._run()
                self._inside = False
                self.baton.pause()
            else:
                self.baton.rest()


def preemptible(function: Callable[..., Any], pause: Callable[[str], None], **names: Any) -> Any:
    """The function as it is in the source, with a ``pause(its name)`` before every statement of it, or of the function
    inside it. ``names`` replace what its module has under them.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    inside = [node for node in definition.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in inside or [definition]:
        node.body = _with_pauses(node.body, node.name)
    tree = ast.fix_missing_locations(ast.Module([definition], []))
    module = inspect.getmodule(function)
    assert module is not None
    space = {**vars(module), **names, "_pause": pause}
    exec(compile(tree, f"<preemptible {function.__qualname__}>", "exec"), space)
    return space[function.__name__]


def _with_pauses(body: list[ast.stmt], place: str) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for statement in body:
        for name in ("body", "orelse", "finalbody"):
            if getattr(statement, name, None):
                setattr(statement, name, _with_pauses(getattr(statement, name), place))
        for handler in getattr(statement, "handlers", ()):
            handler.body = _with_pauses(handler.body, place)
        pause = ast.Call(ast.Name("_pause", ast.Load()), [ast.Constant(place)], [])
        found += [ast.Expr(pause), statement]
    return found
