"""quix-streams: a dataframe whose one step is the handler; offsets are committed once a second."""

from __future__ import annotations

from typing import Any

from bench.consumer.contestants.meter import begin
from quixstreams import Application, message_context


def main() -> None:
    orders, meter = begin("quixstreams", "confluent-kafka")
    app = Application(
        broker_address=orders.bootstrap,
        consumer_group=orders.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_interval=1.0,
        consumer_extra_config=orders.client,
        state_dir=orders.scratch,
        loglevel="WARNING",
    )
    frame = app.dataframe(app.topic(orders.topic, value_deserializer="bytes", key_deserializer="bytes"))
    if meter.plain:
        tick = meter.tick

        def nothing(_value: Any) -> None:
            tick()

        frame.update(nothing)
    else:

        def handle(_value: Any, key: Any, _timestamp: Any, _headers: Any) -> None:
            context = message_context()
            meter.handle(key, context.partition, context.offset)

        frame.update(handle, metadata=True)
    app.run()


main()
