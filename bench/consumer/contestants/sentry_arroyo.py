"""arroyo: ``serial`` (RunTask, in the order of the partition) and ``threads`` (RunTaskInThreads, in no order).

Offsets once a second, as its documentation advises (`ONCE_PER_SECOND`).
"""

from __future__ import annotations

import signal
from typing import Any

from arroyo.backends.kafka import KafkaConsumer
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.commit import ONCE_PER_SECOND
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, ProcessingStrategyFactory, RunTask, RunTaskInThreads
from arroyo.types import Topic
from bench.consumer.contestants.meter import Meter, Orders, begin


class Factory(ProcessingStrategyFactory):  # type: ignore[misc]
    def __init__(self, orders: Orders, meter: Meter) -> None:
        self._orders = orders
        self._handle = _handler(meter)

    def create_with_partitions(self, commit: Any, _partitions: Any) -> Any:
        if self._orders.way == "threads":
            return RunTaskInThreads(self._handle, self._orders.lanes, 1024, CommitOffsets(commit))
        return RunTask(self._handle, CommitOffsets(commit))


def _handler(meter: Meter) -> Any:
    if meter.plain:
        tick = meter.tick

        def nothing(message: Any) -> Any:
            tick()
            return message.payload

        return nothing

    def handle(message: Any) -> Any:
        meter.handle(message.payload.key, message.value.partition.index, message.value.offset)
        return message.payload

    return handle


def main() -> None:
    orders, meter = begin("sentry-arroyo", "confluent-kafka")
    configuration = build_kafka_consumer_configuration(
        {"bootstrap.servers": orders.bootstrap, **orders.client},
        group_id=orders.group,
        auto_offset_reset="earliest",
    )
    processor = StreamProcessor(
        KafkaConsumer(configuration), Topic(orders.topic), Factory(orders, meter), ONCE_PER_SECOND
    )
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    processor.run()


main()
