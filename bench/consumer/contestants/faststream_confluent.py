"""faststream on confluent-kafka: ``record`` and ``batch`` acknowledge what was handled; ``workers`` acknowledges first.

``workers`` is the only one that handles several records at once, and neither ordered nor at least once.
"""

# No `from __future__ import annotations`: faststream reads the annotations of handlers.
import asyncio
from typing import Any

from bench.consumer.contestants.meter import Meter, Orders, begin
from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker
from faststream.confluent.annotations import KafkaMessage


def _register(broker: Any, orders: Orders, meter: Meter) -> None:
    common: dict[str, Any] = {"group_id": orders.group, "auto_offset_reset": "earliest"}
    for name in ("session.timeout.ms", "heartbeat.interval.ms"):
        if name in orders.client:
            common[name.replace(".", "_")] = orders.client[name]
    if orders.way == "batch":

        @broker.subscriber(orders.topic, batch=True, max_records=500, ack_policy=AckPolicy.ACK, **common)  # type: ignore[untyped-decorator]
        async def batch(values: list[bytes], message: KafkaMessage) -> None:
            if meter.plain:
                meter.ticks(len(values))
                return
            for raw in message.raw_message:
                meter.handle(raw.key(), raw.partition(), raw.offset())

        return
    if orders.way == "workers":
        common |= {"ack_policy": AckPolicy.ACK_FIRST, "max_workers": orders.lanes}
    else:
        common |= {"ack_policy": AckPolicy.ACK}
    if meter.plain:

        @broker.subscriber(orders.topic, **common)  # type: ignore[untyped-decorator]
        async def nothing(value: bytes) -> None:
            meter.tick()

    else:

        @broker.subscriber(orders.topic, **common)  # type: ignore[untyped-decorator]
        async def handle(value: bytes, message: KafkaMessage) -> None:
            raw = message.raw_message
            await meter.handle_async(raw.key(), raw.partition(), raw.offset())


def main() -> None:
    orders, meter = begin("faststream", "confluent-kafka")
    broker = KafkaBroker(orders.bootstrap, logger=None, config=orders.client)
    _register(broker, orders, meter)
    asyncio.run(FastStream(broker, logger=None).run())


main()
