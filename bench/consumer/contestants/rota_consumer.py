"""`rota.consumer`: ``default`` (nothing chosen), ``key``, ``partition``, ``batch``, ``async``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bench.consumer.contestants.meter import Meter, Orders, begin

from rota.consumer import App, Batch

if TYPE_CHECKING:
    from rota.consumer import Context, Record, Records


def main() -> None:
    orders, meter = begin("rota", "confluent-kafka")
    config = {"bootstrap.servers": orders.bootstrap, "group.id": orders.group, **orders.client}
    if orders.way == "default":
        app = App(config)
    else:
        app = App(
            config,
            order="partition" if orders.way in {"partition", "batch"} else "key",
            concurrency=orders.lanes,
        )
    _register(app, orders, meter)
    app.run()


def _register(app: App, orders: Orders, meter: Meter) -> None:
    if orders.way == "batch":
        ticks = meter.ticks

        @app.handler(orders.topic, batch=Batch(500))
        def batch(records: Records[bytes], context: Context) -> None:
            ticks(len(records))

    elif orders.way == "async":
        handle_async = meter.handle_async

        @app.handler(orders.topic)
        async def wait(record: Record[bytes], context: Context) -> None:
            await handle_async(record.key, record.partition, record.offset)

    elif meter.plain and not orders.stuck:
        tick = meter.tick

        @app.handler(orders.topic)
        def nothing(record: Record[bytes], context: Context) -> None:
            tick()

    else:
        app.handler(orders.topic)(_Sticking(orders, meter))


class _Sticking:
    """Handles records, but for the first one of a certain key: that hangs until the process ends."""

    def __init__(self, orders: Orders, meter: Meter) -> None:
        self._stuck = orders.stuck.encode()
        self._plain = meter.plain
        self._meter = meter

    def __call__(self, record: Record[bytes], context: Context) -> Any:
        if self._stuck and record.key == self._stuck:
            threading.Event().wait()
        if self._plain:
            self._meter.tick()
        else:
            self._meter.handle(record.key, record.partition, record.offset)


main()
