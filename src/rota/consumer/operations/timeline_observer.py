"""A consumer's own timeline: what it was given, read, finished and committed, as `rota timeline` reads it.

Every finished record is a line that is written before the next one begins: the file is right whenever the
process dies, and costs a system call a record. So it is for rehearsals, tests and the search for a cause.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, TypeVar

from rota.consumer.core.offset_metadata import decode_done
from rota.consumer.core.state import Observer
from rota.model import RotaError, TopicPartition
from rota.recording import EventLog, clock_ms
from rota.timeline.events import (
    Assigned,
    Committed,
    ConsumerStarted,
    ConsumerStopped,
    Delivered,
    Event,
    Fault,
    FaultKind,
    Lost,
    Processed,
    Revoked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rota.consumer.clients.client import Message, Offset

__all__ = ["TimelineObserver", "spans"]

log = logging.getLogger("rota.consumer")

K = TypeVar("K", Delivered, Processed)


class TimelineObserver(Observer):
    """``consumer``: its name in the timeline; its ``client.id``, where members of the group are to be known by it.
    ``elsewhere`` says of which topics the records are handled in other processes: they count as processed when
    that is committed.

    Raises RotaError if the file cannot be written. If it cannot be later on, it ends there, and nothing else does.
    """

    def __init__(
        self, path: Path | str, consumer: str, elsewhere: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._ended = False
        """Whether nothing is written any more: there was an error, or it is closed."""
        self._consumer = consumer
        self._elsewhere = elsewhere
        self._open: dict[TopicPartition, set[int]] = {}
        """Records that are handled elsewhere, and not committed."""
        try:
            self._log = EventLog(path)
            try:
                self._log.write(ConsumerStarted(clock_ms(), consumer, os.getpid()))
            except OSError:
                self._log.close()
                raise
        except OSError as error:
            raise RotaError(f"cannot write the timeline {path}: {error.strerror}") from None

    def processed(self, messages: Sequence[Message]) -> None:
        """From any thread: the work on these is done."""
        self._write(*self._spans(Processed, messages))

    def stopped(self, how: str) -> None:
        """The end."""
        self._write(ConsumerStopped(clock_ms(), self._consumer, how))
        with self._writing:
            self._ended = True  # a handler may run on after the end
            self._log.close()

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._write(Assigned(clock_ms(), self._consumer, tuple(partitions)))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._write(Revoked(clock_ms(), self._consumer, tuple(partitions)))
        self._forget(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._write(Lost(clock_ms(), self._consumer, tuple(partitions)))
        self._forget(partitions)

    def fetched(self, messages: Sequence[Message]) -> None:
        self._write(*self._spans(Delivered, messages))
        for message in messages:
            if self._elsewhere(message.topic()):
                where = TopicPartition(message.topic(), message.partition())
                self._open.setdefault(where, set()).add(message.offset())

    def committed(self, partition: TopicPartition, offset: Offset) -> None:
        now_ms = clock_ms()
        done = self._done_elsewhere(partition, offset)
        self._write(
            *(Processed(now_ms, self._consumer, *partition, at, at) for at in done),
            Committed(now_ms, self._consumer, *partition, offset.offset),
        )

    def commit_failed(self, reason: str) -> None:
        self._write(Fault(clock_ms(), self._consumer, FaultKind.COMMIT_REFUSED, reason))

    def failed(self, message: Message, failure: BaseException, attempt: int, action: str) -> None:  # noqa: ARG002
        if action not in {"retry", "crash"} and not self._elsewhere(message.topic()):
            self.processed((message,))  # skipped, or on its way to another topic: it is settled here

    def _write(self, *events: Event) -> None:
        """With the first error the file ends: what came behind a hole, or half a line, would be misread."""
        with self._writing:
            if self._ended:
                return
            try:
                self._log.write(*events)
            except OSError as error:
                self._ended = True
                words = "the timeline %s ends here, it cannot be written: %s; the consumer goes on"
                log.error(words, self._path, error.strerror)

    def _done_elsewhere(self, partition: TopicPartition, offset: Offset) -> list[int]:
        known = self._open.get(partition)
        if not known:
            return []
        beyond = decode_done(*offset)
        done = sorted(
            at for at in known if at < offset.offset or any(first <= at < end for first, end in beyond)
        )
        known.difference_update(done)
        return done

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._open.pop(partition, None)

    def _spans(self, kind: type[K], messages: Iterable[Message]) -> list[K]:
        now_ms = clock_ms()
        return [kind(now_ms, self._consumer, *partition, *span) for partition, span in spans(messages)]


def spans(messages: Iterable[Message]) -> Iterator[tuple[TopicPartition, tuple[int, int]]]:
    """Records in as few spans as can be: the first and the last offset of those that follow each other."""
    begun: dict[TopicPartition, tuple[int, int]] = {}
    for message in messages:
        partition, offset = TopicPartition(message.topic(), message.partition()), message.offset()
        first, last = begun.get(partition, (offset, offset - 1))
        if offset != last + 1:
            yield partition, (first, last)
            first = offset
        begun[partition] = first, offset
    yield from begun.items()
