"""Bare loops on confluent-kafka: ``consume`` and ``poll`` handle record by record, ``batch`` as `consume(500)` gave.

At least once: what was handled is committed in the background, at most ten times a second, and once more at the end.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from bench.consumer.contestants.meter import Meter, Orders, begin
from confluent_kafka import Consumer, KafkaException

if TYPE_CHECKING:
    from collections.abc import Callable

COMMIT_S = 0.1


def main() -> None:
    orders, meter = begin("confluent-kafka")
    settings = {"auto.offset.reset": "earliest", **orders.client, "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": orders.bootstrap, "group.id": orders.group, **settings})
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    consumer.subscribe([orders.topic], on_revoke=lambda consumer, _: _commit(consumer, wait=True))
    step = {"consume": _consume, "poll": _poll, "batch": _batch}[orders.way]
    handle = _handler(orders, meter)
    committed = time.monotonic()
    while going:
        step(consumer, handle, meter)
        if time.monotonic() - committed > COMMIT_S:
            committed = time.monotonic()
            _commit(consumer, wait=False)
    consumer.close()


def _handler(_orders: Orders, meter: Meter) -> Callable[[Any], None]:
    if meter.plain:
        tick = meter.tick
        return lambda _message: tick()
    handle = meter.handle
    return lambda message: handle(message.key(), message.partition(), message.offset())


def _consume(consumer: Consumer, handle: Callable[[Any], None], _meter: Meter) -> None:
    for message in consumer.consume(500, 0.1):
        if message.error() is None:
            handle(message)


def _poll(consumer: Consumer, handle: Callable[[Any], None], _meter: Meter) -> None:
    for _ in range(500):
        message = consumer.poll(0.1)
        if message is None:
            return
        if message.error() is None:
            handle(message)


def _batch(consumer: Consumer, _handle: Callable[[Any], None], meter: Meter) -> None:
    messages = consumer.consume(500, 0.1)
    if messages:
        meter.ticks(len(messages))


def _commit(consumer: Consumer, *, wait: bool) -> None:
    try:
        if wait:
            consumer.commit(asynchronous=False)
        else:
            consumer.commit(asynchronous=True)
    except KafkaException:
        return  # nothing new


main()
