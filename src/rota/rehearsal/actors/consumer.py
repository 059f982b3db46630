"""A consumer of the lab, on `rota.consumer`: ``python -m rota.rehearsal.actors.consumer --name consumer-1 …``.

Its work on a record is to wait for the handler's delay and then to write the record's offset into its recording:
that line is the effect, so what the recording says was processed was processed, whenever the process dies. All the
rest, commits, rebalances and the end, is the runtime's. One record at a time, those of a partition in their order.

That it was started is recorded by its director, in whose order consumers get their numbers and colours.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException

from rota.consumer import App, Limits, Observer
from rota.model import RotaError
from rota.rehearsal.actors.steering import Steering
from rota.rehearsal.recording import EventLog, clock_ms
from rota.rehearsal.settings import MARK
from rota.timeline.events import (
    Assigned,
    Committed,
    ConsumerStopped,
    Delivered,
    Fault,
    FaultKind,
    Lost,
    Processed,
    Revoked,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.consumer import Context, Record
    from rota.consumer.clients.client import Offset
    from rota.model import TopicPartition

__all__ = ["Recorder", "Work", "main"]

SLICE_S = 0.1
MOST_DRAIN_MS = 10_000


class Work:
    """The handler: it takes as long as ``steering`` says, which may change meanwhile."""

    def __init__(self, name: str, events: EventLog, steering: Steering) -> None:
        self._name = name
        self._events = events
        self._steering = steering

    def handle(self, record: Record[bytes], _context: Context) -> None:
        """One record."""
        began, began_ms = time.monotonic(), clock_ms()
        where = record.topic, record.partition, record.offset, record.offset
        delivered = Delivered(began_ms, self._name, *where)
        if self._steering.value <= 0:  # one append for both
            self._events.write(delivered, Processed(began_ms, self._name, *where))
            return
        self._events.write(delivered)
        while (left := began + self._steering.value / 1000 - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_S))
        self._events.write(Processed(clock_ms(), self._name, *where))


class Recorder(Observer):
    """Writes what the runtime tells into the recording."""

    def __init__(self, name: str, events: EventLog) -> None:
        self._name = name
        self._events = events

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._events.write(Assigned(clock_ms(), self._name, tuple(sorted(partitions))))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._events.write(Revoked(clock_ms(), self._name, tuple(sorted(partitions))))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._events.write(Lost(clock_ms(), self._name, tuple(sorted(partitions))))

    def committed(self, partition: TopicPartition, offset: Offset) -> None:
        self._events.write(Committed(clock_ms(), self._name, *partition, offset.offset))

    def commit_failed(self, reason: str) -> None:
        self._events.write(Fault(clock_ms(), self._name, FaultKind.COMMIT_REFUSED, reason))


def limits(properties: Mapping[str, Any], commit_interval_ms: int) -> Limits:
    """Of the runtime; a drain leaves the client half of its ``max.poll.interval.ms``."""
    max_poll_ms = int(properties.get("max.poll.interval.ms", 2 * MOST_DRAIN_MS))
    drain_ms = min(MOST_DRAIN_MS, max_poll_ms // 2)
    return Limits(commit_interval=commit_interval_ms, revoke_drain=drain_ms, note=MARK)


def main(arguments: Sequence[str] | None = None) -> None:
    """The program; exits 1 with one line on standard error when the client cannot go on."""
    parser = argparse.ArgumentParser(description="A consumer of Rota's lab.")
    parser.add_argument("--name", required=True, help="also its client.id")
    parser.add_argument("--events", required=True, help="file to record into")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--commit-interval", type=int, default=500, help="milliseconds")
    parser.add_argument("--delay", type=float, default=0.0, help="the handler's milliseconds for a record")
    parser.add_argument("--property", action="append", default=[], help="a client property, name=value")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    properties = dict(pair.split("=", 1) for pair in options.property)
    steering = Steering("delay", options.delay)
    with EventLog(options.events) as events:
        app = App(
            properties,
            order="partition",
            concurrency=1,
            limits=limits(properties, options.commit_interval),
            observer=Recorder(options.name, events),
        )
        app.handler(options.topic)(Work(options.name, events, steering).handle)
        try:
            running = app.start()
            steering.when_stopped = running.stop_soon
            steering.listen(sys.stdin)
            running.wait()
        except KafkaException as error:
            sys.exit(str(error.args[0].str()))
        except RotaError as error:
            sys.exit(str(error))
        events.write(ConsumerStopped(clock_ms(), options.name, steering.stop_reason))


if __name__ == "__main__":
    main()
