"""The owner thread: it alone calls the client, from the first subscription to the end."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Client
    from rota.consumer.core.engine import Engine

__all__ = ["Owner"]

log = logging.getLogger("rota.consumer")

T = TypeVar("T")

_MOST = 2_000
"""Records fetched at once."""
_POLL_MS = 20
_CLOSE_S = 10.0


class Owner:
    """``run`` is the thread; everything else may be called from any other."""

    def __init__(self, client: Client, engine: Engine, topics: Sequence[str]) -> None:
        self._client = client
        self._engine = engine
        self._topics = topics
        self._told_to_stop = False
        self._questions: SimpleQueue[tuple[Callable[[Engine], Any], Future[Any]]] = SimpleQueue()
        self._ended = False
        self.turned_ms = _monotonic_ms()
        """When it was last round its loop, or waited for work to end, by the monotonic clock. It never takes
        much longer than a second, whatever handlers do.
        """
        engine.meanwhile = self._turn

    @property
    def ending(self) -> str | None:
        """Why nothing new begins any more, once that is so."""
        if self._engine.stopping is not None:
            return self._engine.stopping
        if self._told_to_stop:
            return "it was asked to stop"
        return "it has ended" if self._ended else None

    def stop(self) -> None:
        """From a signal handler too: finish what has begun, commit, leave."""
        self._told_to_stop = True
        self._engine.hurry()

    def ask(self, question: Callable[[Engine], T]) -> Future[T]:
        """Let the owner thread call ``question``, within a moment. It must be quick, must not wait for
        workers and must not call the client. After the end the answer is a RotaError.
        """
        future: Future[T] = Future()
        self._questions.put((question, future))
        if self._ended:
            self._refuse_questions()
        return future

    def run(self) -> str | None:
        """Why it ended by itself; None if it was asked to."""
        engine = self._engine
        try:
            engine.start()
            self._client.subscribe(self._topics, engine)
            self._go_on()
            if not engine.finish():
                log.warning("not everything that had begun was finished and committed; it will come again")
        finally:
            self._ended = True
            self._refuse_questions()
            self._close()
        return engine.stopping

    def _go_on(self) -> None:
        engine, client = self._engine, self._client
        idle_ms = 1
        while not self._told_to_stop and engine.stopping is None:
            room = engine.room()
            if room:
                batch = client.consume(min(room, _MOST), engine.patience_ms(_POLL_MS) / 1000)
                if batch:
                    engine.dispatch(batch)
                idle_ms = 1
            else:  # not for long: soon there is room, or the partitions that are full are paused
                engine.wait(idle_ms)
                idle_ms = min(2 * idle_ms, 10)
            engine.tick()
            self._turn()

    def _turn(self) -> None:
        self.turned_ms = _monotonic_ms()
        while not self._questions.empty():
            try:
                question, future = self._questions.get(block=False)
            except Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(question(self._engine))
            except Exception as failure:  # the asker's
                future.set_exception(failure)

    def _refuse_questions(self) -> None:
        while True:
            try:
                _, future = self._questions.get(block=False)
            except Empty:
                return
            if future.set_running_or_notify_cancel():
                future.set_exception(RotaError("the consumer has ended"))

    def _close(self) -> None:
        self._engine.close()
        closer = threading.Thread(target=self._client.close, name="rota-close", daemon=True)
        closer.start()
        closer.join(_CLOSE_S)
        if closer.is_alive():
            log.error("the client did not close within %d s; leaving without it", _CLOSE_S)


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
