"""The event loop: sockets that are ready, callbacks that are due, signals, and calls from other threads.

It does what the broker needs of asyncio and no more. asyncio brings TLS, subprocesses and tasks along, a fifth of
the time that the broker took to start, and wraps each callback in a handle and a context of its own.

A turn of the loop serves the sockets that are ready, then the timers that are due, then what was planned with
``call_soon`` before that moment. A callback that fails is logged, and the others go on.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable

from rota.broker.poller import READ, WRITE, Poller, new_poller

__all__ = ["Loop", "TimerHandle"]

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 24 * 3600.0  # what a poller can be asked for has a limit
_TIDY_FROM = 64  # timers in the heap
_FAILED = "bug: %r failed"


class TimerHandle:
    """A callback that will be due, and can be cancelled until then."""

    __slots__ = ("_loop", "callback")

    def __init__(self, loop: Loop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not call back; does nothing after the call."""
        if self.callback is not None:
            self.callback = None
            self._loop.timer_cancelled()


class Loop:
    """One thread runs it; only ``call_soon_threadsafe`` may be called from another, or by a signal handler."""

    time = staticmethod(time.monotonic)

    def __init__(self, poller: Poller | None = None) -> None:
        self._poller = poller or new_poller()
        self._readers: dict[int, Callable[[], object]] = {}
        self._writers: dict[int, Callable[[], object]] = {}
        self._soon: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._sequence = 0
        self._cancelled = 0
        self._stopping = False
        self._signals: dict[int, object] = {}
        self._woken, self._waker = os.pipe()
        self._waking = threading.RLock()  # a signal handler may call while its own thread holds it
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self.add_reader(self._woken, self._drain)

    # --- sockets --------------------------------------------------------------------------------------------

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        """Call back whenever ``fd`` can be read; replaces the callback that it had."""
        self._readers[fd] = callback
        self._watch(fd)

    def remove_reader(self, fd: int) -> None:
        """Do not look any more whether ``fd`` can be read. To be called before it is closed."""
        if self._readers.pop(fd, None) is not None:
            self._watch(fd)

    def add_writer(self, fd: int, callback: Callable[[], object]) -> None:
        """Call back whenever ``fd`` can be written; replaces the callback that it had."""
        self._writers[fd] = callback
        self._watch(fd)

    def remove_writer(self, fd: int) -> None:
        """Do not look any more whether ``fd`` can be written. To be called before it is closed."""
        if self._writers.pop(fd, None) is not None:
            self._watch(fd)

    def _watch(self, fd: int) -> None:
        self._poller.watch(fd, READ * (fd in self._readers) | WRITE * (fd in self._writers))

    # --- callbacks ------------------------------------------------------------------------------------------

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call back at the end of this turn, or of the next one if this one's callbacks are being called."""
        self._soon.append(callback)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        """``call_soon`` from another thread."""
        self._soon.append(callback)
        with self._waking:
            if self._waker < 0:
                log.debug("a call came after the end of the loop")
                return
            with contextlib.suppress(BlockingIOError):  # full of reasons to wake up already
                os.write(self._waker, b"\0")

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> TimerHandle:
        """Call back in ``delay_s`` seconds, unless the handle is cancelled before."""
        handle = TimerHandle(self, callback)
        self._sequence += 1
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._sequence, handle))
        return handle

    def timer_cancelled(self) -> None:
        """Called by a handle; cancelled timers leave the heap when they are most of it."""
        self._cancelled += 1
        if len(self._timers) > _TIDY_FROM and self._cancelled * 2 > len(self._timers):
            self._timers = [each for each in self._timers if each[2].callback is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    # --- life -----------------------------------------------------------------------------------------------

    def stop_on_signals(self, *numbers: int) -> None:
        """End ``run_forever`` when one of these signals comes, also before it runs. Main thread only."""
        # The byte in the pipe ends a wait that Python would otherwise resume after the handler.
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in numbers:
            self._signals[number] = signal.signal(number, lambda *_: self.stop())

    def stop(self) -> None:
        """End ``run_forever`` after the turn that runs."""
        self._stopping = True

    def run_forever(self) -> None:
        """Serve until ``stop``."""
        while not self._stopping:
            self._turn()
        self._stopping = False

    def close(self) -> None:
        """Give back the poller and the signals; the sockets are their owners'."""
        if self._signals:
            signal.set_wakeup_fd(-1)
            for number, before in self._signals.items():
                signal.signal(number, before)  # type: ignore[arg-type]
            self._signals.clear()
        self._poller.close()
        with self._waking:
            # A late call must not write into another file, which is given the same number.
            waker, self._waker = self._waker, -1
        os.close(waker)
        os.close(self._woken)

    def _turn(self) -> None:
        readers, writers = self._readers, self._writers
        for fd, events in self._poller.poll(self._wait_s()):
            # Looked up now: an earlier callback of this turn may have removed it. An error is news for both.
            if events != WRITE and (callback := readers.get(fd)) is not None:
                try:
                    callback()
                except Exception:
                    log.exception(_FAILED, callback)
            if events != READ and (callback := writers.get(fd)) is not None:
                _call(callback)
        if self._timers:
            self._run_due()
        soon = self._soon
        for _ in range(len(soon)):
            _call(soon.popleft())

    def _wait_s(self) -> float | None:
        """How long to wait for sockets: not at all, until the next timer, or, None, for as long as it takes."""
        if self._soon or self._stopping:
            return 0
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
            self._cancelled -= 1
        if not timers:
            return None
        return min(max(timers[0][0] - time.monotonic(), 0), _LONGEST_WAIT_S)

    def _run_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, handle = heapq.heappop(self._timers)
            callback, handle.callback = handle.callback, None
            if callback is None:
                self._cancelled -= 1
            else:
                _call(callback)

    def _drain(self) -> None:
        os.read(self._woken, 4096)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        log.exception(_FAILED, callback)
