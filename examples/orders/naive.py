"""The loop that most tutorials show: ``for message in consumer``, and the client commits by itself every 5 seconds."""

from __future__ import annotations

import logging
import sys

from examples.orders.work import arguments, process
from kafka import KafkaConsumer  # type: ignore[import-untyped]


def main() -> None:
    """Process orders for ever."""
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    consumer = KafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap,
        client_id=options.name,
        group_id=options.group,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        auto_commit_interval_ms=5000,
        session_timeout_ms=options.session_ms,
        max_poll_interval_ms=options.max_poll_ms,
    )
    for message in consumer:
        process(message.partition, message.offset, options.seconds)


if __name__ == "__main__":
    main()
