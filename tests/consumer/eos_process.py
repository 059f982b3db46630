"""A member of a group that copies records exactly once, until SIGTERM or a harder end.

`python -m tests.consumer.eos_process BOOTSTRAP GROUP SOURCE TARGET LOG [INSTANCE]`: every record of SOURCE becomes
one of TARGET, but for those that end in 7, which are dead letters. What the runtime says goes to the file LOG.
"""

from __future__ import annotations

import logging
import sys
import time
from random import Random

from rota.consumer import App, Context, DeadLetter, Limits, Record, Retry

RANDOM = Random()
RETRY = Retry(attempts=100, backoff=(0.01, 0.1), on=(OSError,))


def handle(record: Record[bytes], context: Context) -> None:
    context.produce(record.topic.replace("source", "target"), record.value, key=record.key)
    if record.value.endswith(b"7"):
        raise ValueError("for the dead letters")
    if RANDOM.random() < 0.02:
        raise OSError("the handler's own")
    time.sleep(RANDOM.random() / 100)


def main(bootstrap: str, group: str, source: str, instance: str = "") -> None:
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "session.timeout.ms": 6_000,
        "heartbeat.interval.ms": 500,
        "max.poll.interval.ms": 60_000,
    }
    if instance:
        config["group.instance.id"] = instance
    app = App(config, order="key", concurrency=8, limits=Limits(commit_interval=50, revoke_drain=5_000))
    dead = source.replace("source", "dead")
    # Those that end in 7 have keys of their own, whose records wait for each other's transactions: on a slow machine
    # they come last, more than the usual 100 in a row.
    letters = DeadLetter(dead, limit=10_000)
    app.handler(source, exactly_once=True, retry=RETRY, dead_letter=letters)(handle)
    app.run()


if __name__ == "__main__":
    logging.basicConfig(
        filename=sys.argv[4], level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    main(sys.argv[1], sys.argv[2], sys.argv[3], *sys.argv[5:])
