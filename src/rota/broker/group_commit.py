"""Answers that wait for the disk: one sync for all that came while the one before was running.

``flush.messages`` and ``flush.ms`` let an append ask for a sync. It is done in a thread; the answer to the request is
held until it is over, and so are the answers to all requests that came meanwhile and asked for the same. The loop
serves others, and no answer overtakes another on its connection: that waits for the one that is held.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rota.broker.request import PARKED, NoAnswer, Request
from rota.model import ErrorCode

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.loop import Loop
    from rota.storage import Log
    from rota.storage.unsynced import Unflushed
    from rota.wire.schema import Message

__all__ = ["GroupCommit"]

_FOREVER = 2**63 - 1

log = logging.getLogger(__name__)


class GroupCommit:
    """``is_due``: something that is to be on the disk was appended by what runs now; its answer must be held."""

    def __init__(self, broker: Broker, loop: Loop) -> None:
        self._broker = broker
        self._loop = loop
        # Not the flusher's thread: that may be busy with a gigabyte that nobody waits for.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rota-commit")
        self.is_due = False
        self.syncs = 0
        self._logs: dict[Log, None] = {}
        self._held: list[tuple[Request, Message]] = []
        self._is_running = False
        self._is_planned = False
        self._closed = False

    # --- asked for ------------------------------------------------------------------------------------------

    def demand(self, partition_log: Log) -> None:
        """Called by a log whose last append is to be on the disk."""
        self._logs[partition_log] = None
        self.is_due = True
        self._plan()

    def hold(self, request: Request, answer: object) -> NoAnswer:
        """Keep the answer to a request that has just been carried out; what its connection is to make of it."""
        self.is_due = False
        if isinstance(answer, NoAnswer):
            return answer
        self.hold_too(request, answer)  # type: ignore[arg-type]
        return PARKED

    def hold_too(self, request: Request, response: Message) -> None:
        """Keep an answer to another request, which what runs now has brought about."""
        self._held.append((request, response))

    def watch(self, partition_log: Log) -> None:
        """Whether a log asks for syncs, and when, may have changed."""
        partition_log.on_flush_due = self.demand
        self._plan_look()

    def _plan_look(self) -> None:
        shortest = min(
            (each.config.flush_ms for each in self._broker.directory.logs.values()), default=_FOREVER
        )
        if shortest < _FOREVER:
            due_ms = self._broker.clock.now_ms() + max(shortest, 1)
            self._broker.timers.set(("upkeep", "flush.ms"), due_ms, self._look)

    def _look(self) -> None:
        now_ms = self._broker.clock.now_ms()
        for each in self._broker.directory.logs.values():
            if each.is_flush_overdue(now_ms):
                self._logs[each] = None
        self._plan()
        self._plan_look()

    # --- carried out ----------------------------------------------------------------------------------------

    def _plan(self) -> None:
        if self._logs and not (self._is_running or self._is_planned or self._closed):
            self._is_planned = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Sync what was asked for by now; what comes later waits for the next time."""
        self._is_planned = self.is_due = False
        if self._closed:
            return
        self._is_running = True
        work = [(each, each.unflushed()) for each in self._logs]
        held = self._held
        self._logs, self._held = {}, []
        self.syncs += 1
        self._pool.submit(_sync, work).add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(lambda: self._finished(held, done.result()))
        )

    def _finished(self, held: list[tuple[Request, Message]], failed: set[Log]) -> None:
        self._is_running = False
        if self._logs and not self._closed:
            self._begin()  # the disk goes to work while the answers are sent
        for request, response in held:
            if failed:
                self._refuse(request, response, failed)
            else:
                request.connection.reply_later(request, response)

    def _refuse(self, request: Request, response: Message, failed: set[Log]) -> None:
        """Nothing that may be lost is acknowledged."""
        from rota.wire.messages.produce import PartitionProduceResponse, ProduceResponse

        if not isinstance(response, ProduceResponse):
            request.connection.close("what was to be answered could not be brought to the disk")
            return
        topics = self._broker.topics
        for answers in response.responses:
            topic = topics.by_id(answers.topic_id) or topics.get(answers.name)
            for number, answer in enumerate(answers.partition_responses):
                if topic is not None and topics.find_log(topic.name, answer.index) in failed:
                    answers.partition_responses[number] = PartitionProduceResponse(
                        index=answer.index,
                        error_code=ErrorCode.KAFKA_STORAGE_ERROR,
                        base_offset=-1,
                        error_message="the disk has failed",
                    )
        request.connection.reply_later(request, response)

    def close(self) -> None:
        """Wait for what is being synced, and begin nothing any more."""
        self._closed = True
        self._pool.shutdown()


def _sync(work: list[tuple[Log, Unflushed]]) -> set[Log]:
    """In the thread: bring logs to the disk; those with which it failed."""
    failed = set()
    for each, unflushed in work:
        try:
            each.flush_now(unflushed)
        except OSError as error:
            log.error(
                "%s cannot be brought to the disk, and takes no more records: %s", each.directory, error
            )
            failed.add(each)
    return failed
