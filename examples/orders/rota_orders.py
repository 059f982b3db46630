"""The same on `rota.consumer`: a handler instead of a loop.

One order at a time and a partition's orders one after the other, as in `naive`; with ``order="key"`` and
``concurrency=16`` sixteen customers would be served at once.
"""

from __future__ import annotations

import logging
import sys

from examples.orders.work import arguments, process

from rota.consumer import App, Limits, Record


def main() -> None:
    """Process orders until SIGTERM."""
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    app = App(
        {
            "bootstrap.servers": options.bootstrap,
            "client.id": options.name,
            "group.id": options.group,
            "session.timeout.ms": options.session_ms,
            "max.poll.interval.ms": options.max_poll_ms,
        },
        order="partition",
        concurrency=1,
        limits=Limits(revoke_drain=options.max_poll_ms // 2),  # only because max.poll.interval.ms is so short
    )

    @app.handler(options.topic)
    def handle(order: Record[bytes]) -> None:
        process(order.partition, order.offset, options.seconds)

    app.run()


if __name__ == "__main__":
    main()
