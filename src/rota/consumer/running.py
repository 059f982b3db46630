"""A consumer at work, and its end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from rota.consumer.clients.client_errors import of_the_client
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, TracebackType

    from rota.consumer.core.owner import Owner
    from rota.consumer.operations.operations import Operations
    from rota.consumer.operations.snapshot import State

__all__ = ["Running", "StopSignals"]

log = logging.getLogger("rota.consumer")

GOODBYE_S = 20.0
"""The last commit and the goodbye to the group may take so long, besides what handlers are given."""


class Running:
    """A consumer at work; a context manager that stops it at the end.

    ``closers`` are called when the owner has ended. ``drain_ms``: what `Limits.shutdown_drain`
    gives to handlers. ``operations``: what can be asked of it.
    """

    def __init__(
        self,
        owner: Owner,
        operations: Operations,
        *,
        drain_ms: int = 25_000,
        closers: Sequence[Callable[[], object]] = (),
    ) -> None:
        self.owner = owner
        self.operations = operations
        self._closers = closers
        self._patience_s = drain_ms / 1000 + GOODBYE_S
        self._give_up_at: float | None = None
        self._why: str | None = None
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rota-running", daemon=True)
        operations.started(owner)
        self._thread.start()

    def stop_soon(self) -> None:
        """Ask it to stop; returns at once. From any thread, and from a signal handler."""
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._patience_s
        self.owner.stop()

    def stop(self) -> None:
        """Stop, and wait until what had begun is finished and committed. Raises as `wait` does."""
        self.stop_soon()
        self.wait()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until it has ended, or for so long; whether it has. Raises RotaError if it ended by itself, or does
        not end though it was told to, and where it would wait for whoever calls: in hooks and observers.
        """
        if self.owner.is_here:
            raise RotaError(
                "the consumer cannot be waited for in a hook or an observer, since it waits for them: call stop_soon()"
            )
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while self._thread.is_alive():
            now = time.monotonic()
            if until is not None and now >= until:
                return False
            if self._give_up_at is not None and now >= self._give_up_at:
                raise RotaError(
                    f"the consumer did not end within {self._patience_s:g} s; it is left behind, and what it has "
                    "not committed comes again"
                )
            # In pieces, so that signals are handled.
            self._thread.join(0.2 if until is None else min(0.2, until - now))
        if self._broken is not None:
            raise self._broken
        if self._why is not None:
            raise RotaError(self._why)
        return True

    def pause(self, topic: str, partition: int) -> None:
        """Fetch no more of a partition until `resume`, whatever rebalances come between; what was fetched is
        still handled.
        """
        self.owner.ask(lambda engine: engine.pause(TopicPartition(topic, partition))).result()

    def resume(self, topic: str, partition: int) -> None:
        """Undo `pause`."""
        self.owner.ask(lambda engine: engine.resume(TopicPartition(topic, partition))).result()

    @property
    def state(self) -> State | None:
        """Each partition, and which record it waits for; None if the consumer does not answer."""
        return self.operations.state()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
            return
        self.stop_soon()  # what the block raised is what its caller wants to see
        try:
            self.wait()
        except Exception as other:
            log.error("the consumer ended as well: %s", other)

    def _run(self) -> None:
        try:
            self._why = self.owner.run()
        except BaseException as broken:  # raised again for whoever waits
            self._broken = of_the_client(broken) or broken
        how = self._why or (str(self._broken) if self._broken is not None else "asked to stop")
        closers: list[Callable[[], object]] = [*self._closers, lambda: self.operations.close(how)]
        for close in closers:
            try:
                close()
            except Exception:
                log.exception("at the end of the consumer")


class StopSignals:
    """Within it the first SIGTERM or SIGINT is an order to stop, and the second ends the program, also where it was
    ignored before: a shell that starts a program with `&` makes it ignore SIGINT. Outside of the main thread, where
    nobody can listen to signals, it does nothing.
    """

    def __init__(self) -> None:
        self.running: Running | None = None
        self._asked: int | None = None
        self._told = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._heed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def run(self, start: Callable[[], Running], orphaned: Callable[[], bool] = lambda: False) -> None:
        """Start, and wait as `Running.wait` does; ``orphaned``: time to stop as well.

        A start may wait for a broker for as long as it takes, in calls that nothing interrupts. So it has a thread
        of its own, and one that is told to stop meanwhile is left behind.
        """
        starting = _Start(start)
        try:
            while not starting.wait(0.2):
                self._tell()
                if self._asked is not None or orphaned():
                    starting.abandon()
                    return
            running = self.running = starting.result()
            if self._asked is not None:
                running.stop_soon()
            while not running.wait(0.2):
                if orphaned():
                    running.stop_soon()
                self._tell()
        finally:
            self._tell()

    def _tell(self) -> None:
        if self._asked is not None and not self._told:
            self._told = True
            name = signal.Signals(self._asked).name
            log.info("%s: finishing what has begun; a second one ends at once", name)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self._asked = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self.running is not None:
            self.running.stop_soon()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None: somebody set it who is not Python; it cannot be put back.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()


class _Start:
    """`App.start` in a thread."""

    def __init__(self, start: Callable[[], Running]) -> None:
        self._start = start
        self._running: Running | None = None
        self._raised: BaseException | None = None
        self._abandoned = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="rota-start", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def result(self) -> Running:
        if self._raised is not None:
            raise self._raised
        assert self._running is not None
        return self._running

    def abandon(self) -> None:
        """Should it come to an end, then to an early one."""
        with self._lock:
            self._abandoned = True
            if self._running is not None:
                self._running.stop_soon()

    def _run(self) -> None:
        try:
            running = self._start()
        except BaseException as raised:  # raised again for whoever waits
            self._raised = raised
            return
        with self._lock:
            self._running = running
            if self._abandoned:
                running.stop_soon()
