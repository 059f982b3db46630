"""What ``rota consume --commit manual`` has printed and not committed yet.

Commits are sent in the background and answered inside ``poll``. One that is waited for would keep the whole
command still while the group's coordinator is away, up to the session timeout: it could neither say so nor stop.
Before partitions are given back, and before the group is left, the client itself waits for what is under way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rota.cli.output import note
from rota.model import ErrorCode, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Consumer, KafkaError, Message

__all__ = ["Commits"]

COMMIT_EVERY_S = 1.0
"""Commits are gathered: one for each record would starve the member's own heartbeats."""

_AGAIN = frozenset(
    {
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REBALANCE_IN_PROGRESS,
        # librdkafka's own: connection broken, timed out on the way or before it, no coordinator known
        -195,
        -185,
        -166,
        -180,
    }
)
"""Answers after which the same commit may well succeed."""


class Commits:
    """``answered`` is the client's ``on_commit``."""

    def __init__(self) -> None:
        self._printed: dict[TopicPartition, int] = {}  # the next offset to read, not sent yet
        self._sent: dict[TopicPartition, int] = {}  # the last one sent, of the partitions held
        self._sent_at = time.monotonic()

    def printed(self, message: Message) -> None:
        """This record is done with."""
        tp = TopicPartition(str(message.topic()), int(message.partition() or 0))
        self._printed[tp] = int(message.offset() or 0) + 1

    def due(self) -> bool:
        """Whether it is time for the next commit."""
        return bool(self._printed) and time.monotonic() - self._sent_at >= COMMIT_EVERY_S

    def send(self, consumer: Consumer) -> None:
        """Commit all that was printed."""
        from confluent_kafka import TopicPartition as ClientPartition

        self._sent_at = time.monotonic()
        if not self._printed:
            return
        offsets = [ClientPartition(tp.topic, tp.partition, offset) for tp, offset in self._printed.items()]
        self._sent |= self._printed
        self._printed.clear()
        consumer.commit(offsets=offsets, asynchronous=True)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These are somebody else's now."""
        for tp in partitions:
            self._printed.pop(tp, None)
            self._sent.pop(tp, None)

    def answered(self, error: KafkaError | None, partitions: list[Any]) -> None:
        """What became of one commit: an offset that failed for now, and was not overtaken, is sent once more."""
        reasons: dict[str, None] = {}
        for answer in partitions:
            failure = answer.error or error
            if failure is None:
                continue
            tp = TopicPartition(answer.topic, answer.partition)
            if failure.code() not in _AGAIN or tp not in self._sent:
                reasons[" ".join(str(failure.str()).split())] = None
            elif self._sent[tp] == answer.offset:
                self._printed.setdefault(tp, answer.offset)
        for reason in reasons:
            _say_failed(reason)

    def finish(self) -> None:
        """The client is closed: say so if something was left."""
        if self._printed:
            _say_failed("no coordinator answered in time")


def _say_failed(reason: str) -> None:
    note(f"not committed: {reason}; these records may come again")
