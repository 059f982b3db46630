"""An event loop in a thread of its own: all asynchronous handlers of an app share it, as they share what
belongs to a loop (sessions, connection pools).
"""

from __future__ import annotations

import asyncio
import logging
import select
import selectors
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType

__all__ = ["CLOSE_S", "LoopThread"]

log = logging.getLogger("rota.consumer")

CLOSE_S = 2.0
"""What still runs at the end has so long to end when it is cancelled."""
_BLOCKED_S = 0.05
"""A loop that has not turned for so long is blocked, not busy ..."""
_TELL_S = 0.1
"""... and what blocks it so long is named in the log."""

_SOON_S = 0.1
"""Timers that are due later may come a millisecond late."""
_SELECTABLE = 1024
"""File descriptors from here on are more than select() can look at."""

T = TypeVar("T")


class LoopThread:
    """``start`` and ``release`` as often as you like: the loop runs from the first to the last."""

    def __init__(self, name: str = "rota-loop") -> None:
        self.loop: asyncio.AbstractEventLoop  # from the first `start`
        self._users = 0
        self._lock = threading.Lock()
        self._over = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._turned = True  # whether the loop has answered since somebody last looked
        self._asked_s = 0.0
        self._told = False

    def start(self) -> None:
        """From any thread."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self.loop = _new_loop()
                self._thread.start()

    def soon(self, callback: Callable[..., object], *args: Any) -> bool:
        """Have the loop call it; from any thread. False if the loop has ended."""
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            return False
        return True

    def call(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Await it on the loop and wait for what it returns; from another thread."""
        assert threading.current_thread() is not self._thread, "the loop cannot wait for itself"
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout_s)

    def release(self) -> None:
        """The last of those who started it ends the loop: what still runs there is cancelled. Returns in
        bounded time.
        """
        with self._lock:
            self._users -= 1
            if self._users:
                return
        self.soon(self._begin_to_end)
        self._thread.join(2 * CLOSE_S)
        if self._thread.is_alive():
            log.error("the event loop does not end%s; leaving without it", self.where())

    def blocked(self) -> bool:
        """Whether it has not turned for some time: whatever it does now keeps it from all else.

        Somebody should ask several times a second; what blocks for longer than 100 ms is logged, once.
        """
        now_s = time.monotonic()
        if self._turned:
            self._turned = self._told = False
            self._asked_s = now_s
            self.soon(self._turn)
            return False
        if now_s - self._asked_s <= _BLOCKED_S or self._asleep():
            return False
        if now_s - self._asked_s > _TELL_S and not self._told:
            self._told = True
            log.warning(
                "the event loop has been blocked for %d ms%s: no other asynchronous handler goes on; await what "
                "takes long, or give it to a thread (asyncio.to_thread)",
                1000 * (now_s - self._asked_s), self.where(),
            )  # fmt: skip
        return True

    def where(self) -> str:
        """The place in the code where the loop's thread is, for a sentence; empty if it is nowhere."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001  # the documented way
        return f" {_told_of(frame)}" if frame is not None else ""

    def _asleep(self) -> bool:
        """Whether it waits for something to do, and only the processor keeps it from seeing that there is."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001  # the documented way
        return (
            frame is not None
            and frame.f_code.co_name == "select"
            and frame.f_globals.get("__name__") in {"selectors", __name__}
        )

    def _turn(self) -> None:
        self._turned = True

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._over:
            try:
                self.loop.run_forever()
            except BaseException as error:  # a SystemExit or KeyboardInterrupt of a task that a handler began
                log.error("a task on the event loop raised %r; the loop goes on", error)
        self.loop.close()

    def _begin_to_end(self) -> None:
        self._ending = self.loop.create_task(self._end())

    async def _end(self) -> None:
        rest = asyncio.all_tasks() - {self._ending}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=CLOSE_S / 2)
        try:
            await asyncio.wait_for(self.loop.shutdown_asyncgens(), CLOSE_S / 2)
        except TimeoutError:
            log.warning("asynchronous generators that handlers left open did not end")
        self._over = True
        self.loop.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if type(loop) is not asyncio.SelectorEventLoop or not hasattr(selectors, "EpollSelector"):
        return loop  # uvloop, say: what the application has chosen
    loop.close()
    return asyncio.SelectorEventLoop(_PunctualSelector())


if hasattr(selectors, "EpollSelector"):

    class _PunctualSelector(selectors.EpollSelector):
        """Wakes up when a timer is due. epoll's own timeouts are whole milliseconds, rounded up: half of one for every
        `asyncio.sleep`, a tenth of a handler that waits for 5 ms.
        """

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and 0 < timeout < _SOON_S and self.fileno() < _SELECTABLE:
                select.select((self.fileno(),), (), (), timeout)
                timeout = 0
            return super().select(timeout)


def _told_of(frame: FrameType) -> str:
    """Where a thread is: the innermost frame, and the one of the application that led there."""
    innermost = _place(frame)
    outer: FrameType | None = frame
    found = frame
    while outer is not None and outer.f_globals.get("__name__") != "rota.consumer.workers.async_runners":
        found, outer = outer, outer.f_back
    if outer is None or found is frame:
        return f"at {innermost}"
    return f"at {_place(found)}, in {innermost}"


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_qualname})"
