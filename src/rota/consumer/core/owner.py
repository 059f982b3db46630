"""The owner: the thread that alone calls the client, from the first subscription to the end.

Which thread that is may change, when a handler that it has called itself does not return (`rota.consumer.core.turns`).
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from rota.consumer.core.turns import Turns
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Client
    from rota.consumer.core.engine import Engine
    from rota.consumer.core.turns import Helped

__all__ = ["Owner"]

log = logging.getLogger("rota.consumer")

T = TypeVar("T")

OWNER, STAND_IN = "rota-owner", "rota-stand-in"
"""What the threads are called: whoever is the owner, and who would be next."""

_MOST = 2_000
"""Records fetched at once."""
_POLL_MS = 20
_CLOSE_S = 10.0


class Owner:
    """``run`` is its life; everything else may be called from any thread.

    ``helped``: the workers whose work it may do itself.
    """

    def __init__(
        self, client: Client, engine: Engine, topics: Sequence[str], helped: Sequence[Helped] = ()
    ) -> None:
        self._client = client
        self._engine = engine
        self._topics = topics
        self._told_to_stop = False
        self._questions: SimpleQueue[tuple[Callable[[Engine], Any], Future[Any]]] = SimpleQueue()
        self._ended = False
        self._broken: BaseException | None = None
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._helped = helped
        self._turns = Turns(helped)
        self._at_work: int | None = None
        """The thread that is the owner, while it is not inside a handler: there somebody else may become it."""
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

    @property
    def is_here(self) -> bool:
        """Whether the caller is called by the owner: a hook, an observer, a question. Who waits for the owner there
        waits for ever.
        """
        return self._at_work == threading.get_ident()

    def stop(self) -> None:
        """From a signal handler too: finish what has begun, commit, leave."""
        self._told_to_stop = True
        self._engine.hurry()

    def ask(self, question: Callable[[Engine], T]) -> Future[T]:
        """Let the owner thread call ``question``, within a moment; at once, if that is the caller. It must be quick,
        must not wait for workers and must not call the client. After the end the answer is a RotaError.
        """
        future: Future[T] = Future()
        if self.is_here:
            self._answer(question, future)
            return future
        self._questions.put((question, future))
        if self._ended:
            self._refuse_questions()
        return future

    def run(self) -> str | None:
        """Why it ended by itself; None if it was asked to. What the client raises is raised here."""
        self._begin_thread(self._serve_from_the_beginning)
        if self._helped:
            self._let_somebody_stand_by()
        self._over.wait()
        for thread in self._threads:
            if thread.name == OWNER:  # it has nothing more to do; another one may never leave its handler
                thread.join()
        if self._broken is not None:
            raise self._broken
        return self._engine.stopping

    def _begin_thread(self, target: Callable[[], object]) -> None:
        thread = threading.Thread(target=target, name=STAND_IN, daemon=True)
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]
        thread.start()

    def _serve_from_the_beginning(self) -> None:
        self._serve(from_the_beginning=True)

    def _stand_by(self) -> None:
        """Until the owner is kept by a handler, or all has ended."""
        if self._turns.stand_by():
            self._let_somebody_stand_by()
            self._serve()

    def _let_somebody_stand_by(self) -> None:
        try:
            self._begin_thread(self._stand_by)
        except RuntimeError as error:  # then all work is left to the workers
            log.warning("no thread could be begun to stand by: %s", error)

    def _serve(self, *, from_the_beginning: bool = False) -> None:
        """As the owner, to the end or until somebody else is."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.name = STAND_IN
        threading.current_thread().name = OWNER
        self._at_work = threading.get_ident()
        try:
            if from_the_beginning:
                self._engine.start()
                self._client.subscribe(self._topics, self._engine)
            if not self._go_on():
                return
            if not self._engine.finish():
                log.warning("not everything that had begun was finished and committed; it will come again")
        except BaseException as broken:  # raised again for whoever waits
            self._broken = broken
        self._turns.end()
        self._at_work = None
        try:
            self._ended = True
            self._refuse_questions()
            self._close()
        except BaseException as broken:
            self._broken = self._broken or broken
        self._over.set()

    def _go_on(self) -> bool:
        """Until it is time to end; False: until somebody else is the owner."""
        engine, client, turns, me = self._engine, self._client, self._turns, threading.get_ident()
        idle_ms = 1
        while not self._told_to_stop and engine.stopping is None:
            room = engine.room()
            if room:
                batch = client.consume(min(room, _MOST), engine.patience_ms(_POLL_MS) / 1000)
                if batch:
                    turns.keep()
                    engine.dispatch(batch)
                    self._at_work = None
                    if not turns.help():
                        return False
                    self._at_work = me
                idle_ms = 1
            else:  # not for long: soon there is room, or the partitions that are full are paused
                engine.wait(idle_ms)
                idle_ms = min(2 * idle_ms, 10)
            engine.tick()
            self._turn()
        return True

    def _turn(self) -> None:
        self.turned_ms = _monotonic_ms()
        while not self._questions.empty():
            try:
                question, future = self._questions.get(block=False)
            except Empty:
                return
            self._answer(question, future)

    def _answer(self, question: Callable[[Engine], T], future: Future[T]) -> None:
        if not future.set_running_or_notify_cancel():
            return
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
