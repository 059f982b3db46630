"""The producer of the lab: keyed web events at a steady rate, each acknowledgement recorded.

Keys are placed by Kafka's own hash (murmur2), so that a user's events reach the partition that a Java producer
would choose. Only what the broker acknowledged is recorded: that is what must not be lost.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, Message, Producer

from rota.rehearsal.actors.spans import runs
from rota.rehearsal.actors.steering import Steering
from rota.rehearsal.recording import EventLog, clock_ms
from rota.timeline.events import Produced
from rota.webevents import web_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ProducerActor", "main"]

TICK_S = 0.02
FLUSH_S = 10.0


class ProducerActor:
    """Sends ``records`` at ``steering.value`` a second until it is asked to stop, then waits for what is out."""

    def __init__(
        self,
        topic: str,
        properties: Mapping[str, Any],
        records: Iterator[tuple[bytes, bytes]],
        events: EventLog,
        steering: Steering,
    ) -> None:
        self.topic = topic
        self.events = events
        self.steering = steering
        self.refused = 0
        self._records = records
        self._acknowledged: list[tuple[int, int]] = []
        self._client = Producer(dict(properties), logger=logging.getLogger("producer"))

    def run(self) -> None:
        """Send until asked to stop."""
        due = 0.0
        last = time.monotonic()
        while not self.steering.stopping:
            time.sleep(TICK_S)
            now = time.monotonic()
            # After a stop of its own (SIGSTOP) it does not make up for more than a second.
            due += min(1.0, now - last) * self.steering.value
            last = now
            while due >= 1.0 and not self.steering.stopping:
                due -= 1.0
                self._send()
            self._client.poll(0)
            self._record()
        self._client.flush(FLUSH_S)
        self._record()

    def _send(self) -> None:
        key, value = next(self._records)
        while True:
            try:
                self._client.produce(self.topic, value, key, on_delivery=self._on_delivery)
            except BufferError:
                self._client.poll(0.1)
                self._record()
                if self.steering.stopping:
                    return
            else:
                return

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            self.refused += 1
            print("not acknowledged:", error, file=sys.stderr, flush=True)  # noqa: T201  # its log
            return
        self._acknowledged.append((partition, offset))

    def _record(self) -> None:
        if self._acknowledged:
            now_ms = clock_ms()
            self.events.write(
                *(Produced(now_ms, self.topic, *span) for span in runs(sorted(self._acknowledged)))
            )
            self._acknowledged.clear()


def main(arguments: Sequence[str] | None = None) -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="The producer of Rota's lab.")
    parser.add_argument("--events", required=True, help="file to record into")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--rate", type=float, default=60.0, help="records a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--skew", type=float, default=0.0)
    parser.add_argument("--property", action="append", default=[], help="a client property, name=value")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    steering = Steering("rate", options.rate)
    steering.listen(sys.stdin)
    with EventLog(options.events) as events:
        records = web_events(options.seed, options.users, options.skew)
        properties = dict(pair.split("=", 1) for pair in options.property)
        ProducerActor(options.topic, properties, records, events, steering).run()


if __name__ == "__main__":
    main()
