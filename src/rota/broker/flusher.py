"""Brings closed segments to the disk in the background, and writes down how far that has come.

An append is not synced, as in Kafka, unless its topic asks for it (``group_commit``): a killed process loses nothing,
for the pages are the kernel's. Syncing closed segments now and then bounds what has to be read and checked after a
crash.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    from rota.broker.broker import Broker
    from rota.broker.loop import Loop
    from rota.storage import Log
    from rota.storage.unsynced import Unflushed

__all__ = ["Flusher"]

log = logging.getLogger(__name__)


class Flusher:
    """Every ``log.flush.offset.checkpoint.interval.ms``: sync, then checkpoint. It has a thread of its own."""

    def __init__(self, broker: Broker, loop: Loop) -> None:
        self._broker = broker
        self._loop = loop
        self._made_pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._plan()

    def close(self) -> None:
        """Wait for what is being synced."""
        self._closed = True
        if self._made_pool is not None:
            self._made_pool.shutdown()

    @property
    def _pool(self) -> ThreadPoolExecutor:
        """The thread, made when there is work: a broker of one test has none, and does not wait for its import."""
        if self._made_pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._made_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rota-flush")
        return self._made_pool

    def do(self, work: Callable[[], object]) -> Future[object]:
        """Have this thread do something else as well, when it is free."""
        return self._pool.submit(work)

    def _plan(self) -> None:
        interval_ms = self._broker.settings.int("log.flush.offset.checkpoint.interval.ms")
        due_ms = self._broker.clock.now_ms() + max(interval_ms, 100)
        self._broker.timers.set(("upkeep", "flush"), due_ms, self._start)

    def _start(self) -> None:
        logs = [each for _, each in self._broker.topics.logs() if len(each.segments) > 1]
        # What is to be synced is decided here: the logs go on while the thread works.
        work = self._pool.submit(_flush, [(each, each.unflushed_closed()) for each in logs])
        work.add_done_callback(self._flushed)

    def _flushed(self, _work: Future[None]) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(self._checkpoint)

    def _checkpoint(self) -> None:
        if self._closed:
            return
        try:
            self._broker.directory.write_checkpoints()
        except OSError as error:
            log.error("cannot write the checkpoints: %s", error.strerror)
        self._plan()


def _flush(logs: list[tuple[Log, Unflushed]]) -> None:
    for each, unflushed in logs:
        try:
            each.flush_now(unflushed)
        except (OSError, ValueError) as error:
            # Deleted meanwhile, or a failing disk: the recovery point stays, and a restart checks more.
            log.info("a log could not be synced: %s", error)
