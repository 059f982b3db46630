"""A consumer some of whose records fail: every fifth for ever, every seventh where it is first.

python -m tests.consumer.failing_member BOOTSTRAP GROUP TOPIC DLQ FILE: a line in FILE for each record that was handled.
"""

from __future__ import annotations

import os
import sys
import time

from rota.consumer import App, DeadLetter, Limits, Record, RetryTopics


def main(bootstrap: str, group: str, topic: str, dlq: str, file: str) -> None:
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    config = {"bootstrap.servers": bootstrap, "group.id": group, "session.timeout.ms": 6000}
    app = App(config, limits=Limits(commit_interval=100), concurrency=4)

    @app.handler(
        topic,
        retry_topics=RetryTopics("100ms", "300ms", create=True),
        dead_letter=DeadLetter(dlq, limit=1_000, create=True),
    )
    def handle(record: Record[str]) -> None:
        number = int(record.value)
        time.sleep(0.002)
        if number % 5 == 0 or (number % 7 == 0 and record.topic == topic):
            raise TimeoutError(f"{number} cannot be handled now")
        os.write(log, b"%d\n" % number)

    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
