"""A consumer of the lab that is a poll loop: ``python -m rota.rehearsal.actors.poll_loop --name consumer-1 …``.

It is what a program without a runtime around it does, mistakes included: a handler that takes longer than
``max.poll.interval.ms`` costs it its partitions. The lab's other consumers are in `rota.rehearsal.actors.consumer`.

Its work on a record is to wait for the handler's delay and then to write the record's offset into its recording:
that line is the effect, so what the recording says was processed was processed, whenever the process dies.

``--commit manual`` commits what is done, at most every ``--commit-interval`` and never for each record (a queue
of commits would hold back the heartbeat behind it), synchronously before partitions are given back, and not at
all for partitions that were lost. ``--commit auto`` leaves it to the client (``enable.auto.commit``), as most
tutorials do: records count as read when poll has returned them, done or not.

That it was started is recorded by its director, in whose order consumers get their numbers and colours.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as ClientPartition

from rota.model import TopicPartition
from rota.rehearsal.actors.spans import runs
from rota.rehearsal.actors.steering import Steering
from rota.rehearsal.recording import EventLog, clock_ms
from rota.rehearsal.settings import MARK
from rota.timeline.events import (
    Assigned,
    Committed,
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
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["PollLoop", "main"]

MOST_RECORDS = 100
MOST_WORK_S = 0.25
"""A batch is at most this much work, so that a slow consumer still polls, commits and obeys often."""

POLL_S = 0.1
SLICE_S = 0.1


class PollLoop:
    """One consumer; ``run`` ends when ``steering`` says so, or raises when the client cannot go on."""

    def __init__(
        self,
        name: str,
        topic: str,
        properties: Mapping[str, Any],
        events: EventLog,
        steering: Steering,
        *,
        commit_interval_ms: int | None,
    ) -> None:
        self.name = name
        self.topic = topic
        self.events = events
        self.steering = steering
        self._manual = commit_interval_ms is not None
        self._interval_s = (commit_interval_ms or 0) / 1000
        self._done: dict[int, int] = {}  # the next offset to read, of what is owned and not yet committed
        self._next_commit = 0.0
        self._withdrawn: set[int] = set()
        log = logging.getLogger("consumer")
        self._client = Consumer(
            {**properties, "on_commit": self._on_commit, "error_cb": self._on_error}, logger=log
        )

    def run(self) -> None:
        """Read until asked to stop, then commit, leave and say so."""
        self._client.subscribe(
            [self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        while not self.steering.stopping:
            self._work(self._collect())
            self._commit_when_due()
        self._commit_now(list(self._done))
        self._client.close()
        self.events.write(ConsumerStopped(clock_ms(), self.name, self.steering.stop_reason))

    def _collect(self) -> list[Message]:
        """What is at hand, up to a batch. With automatic commits it is one record: it counts as read at once."""
        delay_s = self.steering.value / 1000
        most = 1 if not self._manual else MOST_RECORDS
        if delay_s > 0:
            most = max(1, min(most, int(MOST_WORK_S / delay_s)))
        found: list[Message] = []
        while len(found) < most:
            message = self._client.poll(POLL_S if not found else 0)
            if self._withdrawn:
                # A callback ran inside this poll: what came earlier from those partitions is for their next owner.
                found = [m for m in found if m.partition() not in self._withdrawn]
                self._withdrawn.clear()
            if message is None:
                break
            error = message.error()
            if error is None:
                found.append(message)
            elif error.fatal() or not error.retriable():
                self._on_error(error)
        return found

    def _work(self, batch: Sequence[Message]) -> None:
        if not batch:
            return
        records = [(_int(m.partition()), _int(m.offset())) for m in batch]
        delivered = self._spans(Delivered, records)
        if self.steering.value <= 0:
            self.events.write(*delivered, *self._spans(Processed, records))
            self._done.update((partition, offset + 1) for partition, offset in records)
            return
        self.events.write(*delivered)
        # What has been handed out is finished, even when asked to stop: a batch is a moment's work.
        for partition, offset in records:
            self._handle()
            self.events.write(Processed(clock_ms(), self.name, self.topic, partition, offset, offset))
            self._done[partition] = offset + 1

    def _handle(self) -> None:
        """One record's work: the handler's delay, which may become shorter meanwhile."""
        began = time.monotonic()
        while (left := began + self.steering.value / 1000 - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_S))

    def _spans(
        self, kind: type[Delivered | Processed], records: Iterable[tuple[int, int]]
    ) -> list[Delivered | Processed]:
        now_ms = clock_ms()
        return [kind(now_ms, self.name, self.topic, *span) for span in runs(records)]

    def _commit_when_due(self) -> None:
        now = time.monotonic()
        if not self._manual or not self._done or now < self._next_commit:
            return
        self._next_commit = now + self._interval_s
        self._client.commit(offsets=self._offsets(self._done), asynchronous=True)
        self._done.clear()

    def _commit_now(self, partitions: Iterable[int]) -> None:
        """Commit what is done of these and wait for the answer; a refusal is recorded, its records come again."""
        offsets = self._offsets([p for p in partitions if p in self._done])
        for offset in offsets:
            self._done.pop(offset.partition, None)
        if not self._manual or not offsets:
            return
        try:
            confirmed = self._client.commit(offsets=offsets, asynchronous=False)
        except KafkaException as refused:
            self._on_commit(refused.args[0], offsets)
        else:
            self._on_commit(None, confirmed or [])

    def _offsets(self, partitions: Iterable[int]) -> list[ClientPartition]:
        return [ClientPartition(self.topic, p, self._done[p], MARK) for p in partitions]

    # The client's callbacks; all run inside poll, commit or close, on this thread.

    def _on_assign(self, _client: Consumer, partitions: list[ClientPartition]) -> None:
        self.events.write(Assigned(clock_ms(), self.name, _named(partitions)))

    def _on_revoke(self, _client: Consumer, partitions: list[ClientPartition]) -> None:
        self._commit_now([tp.partition for tp in partitions])
        self._withdrawn.update(tp.partition for tp in partitions)
        self.events.write(Revoked(clock_ms(), self.name, _named(partitions)))

    def _on_lost(self, _client: Consumer, partitions: list[ClientPartition]) -> None:
        for tp in partitions:
            self._done.pop(tp.partition, None)
        self._withdrawn.update(tp.partition for tp in partitions)
        self.events.write(Lost(clock_ms(), self.name, _named(partitions)))

    def _on_commit(self, error: KafkaError | None, partitions: list[ClientPartition]) -> None:
        now_ms = clock_ms()
        if error is not None:
            if error.code() != KafkaError._NO_OFFSET:  # noqa: SLF001  # its public name: nothing to commit
                self.events.write(Fault(now_ms, self.name, FaultKind.COMMIT_REFUSED, error.str()))
            return
        noted: list[Event] = [
            Committed(now_ms, self.name, tp.topic, tp.partition, tp.offset)
            for tp in partitions
            if tp.error is None and tp.offset >= 0
        ]
        if noted:
            self.events.write(*noted)

    def _on_error(self, error: KafkaError) -> None:
        print(error.str(), file=sys.stderr, flush=True)  # noqa: T201  # its log
        if error.fatal():
            raise KafkaException(error)


def _named(partitions: Iterable[ClientPartition]) -> tuple[TopicPartition, ...]:
    return tuple(sorted(TopicPartition(tp.topic, tp.partition) for tp in partitions))


def _int(number: int | None) -> int:
    assert number is not None, "a record has a partition and an offset"
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """The program; exits 1 with one line on standard error when the client cannot go on."""
    parser = argparse.ArgumentParser(description="A poll loop of Rota's lab.")
    parser.add_argument("--name", required=True, help="also its client.id")
    parser.add_argument("--events", required=True, help="file to record into")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--commit", choices=["manual", "auto"], default="manual")
    parser.add_argument("--commit-interval", type=int, default=500, help="milliseconds, with manual commits")
    parser.add_argument("--delay", type=float, default=0.0, help="the handler's milliseconds for a record")
    parser.add_argument("--property", action="append", default=[], help="a client property, name=value")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    steering = Steering("delay", options.delay)
    steering.listen(sys.stdin)
    with EventLog(options.events) as events:
        actor = PollLoop(
            options.name,
            options.topic,
            dict(pair.split("=", 1) for pair in options.property),
            events,
            steering,
            commit_interval_ms=options.commit_interval if options.commit == "manual" else None,
        )
        try:
            actor.run()
        except KafkaException as error:
            sys.exit(str(error.args[0].str()))


if __name__ == "__main__":
    main()
