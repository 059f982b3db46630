"""A program as a team would write it, for stories: ``python -m tests.consumer.stories.member ORDERS`` (JSON).

Its handler writes down when it begins and ends a record, one line each, so that a kill loses nothing. What a record
asks for by its value:

- ``hold``: hangs until the file ``release`` appears in the story's directory,
- ``slow N``: takes N milliseconds,
- ``poison``: fails, in every attempt,
- anything else: takes ``wait_ms``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rota.consumer import App, Batch, Limits, Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer import Context, Record, Records, Running
    from rota.consumer.clients.client import Offset
    from rota.model import TopicPartition


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the member is to be. ``kind``: sync, async or batch; ``options``: of the handler, by name."""

    name: str
    directory: str
    topic: str
    config: dict[str, Any]
    kind: str = "sync"
    order: str = "key"
    concurrency: int = 8
    wait_ms: float = 2.0
    limits: dict[str, Any] = field(default_factory=dict)
    retry: dict[str, Any] = field(default_factory=dict)
    dead_letter: str = ""
    obeys: bool = False
    """Reads commands from its input, ``pause PARTITION`` and ``resume PARTITION``; events tell when that is done."""


class Diary:
    """Lines in a file, each written at once."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *words: object) -> None:
        line = " ".join(map(str, (time.monotonic_ns(), *words)))
        os.write(self._file, f"{line}\n".encode())


class Listener(Observer):
    """Writes down what the runtime tells."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._diary.write("assigned", *(each.partition for each in partitions))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._diary.write("revoked", *(each.partition for each in partitions))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._diary.write("lost", *(each.partition for each in partitions))

    def committed(self, partition: TopicPartition, offset: Offset) -> None:
        self._diary.write("committed", partition.partition, offset.offset)

    def commit_failed(self, reason: str) -> None:
        self._diary.write("commit-failed", reason)


class Work:
    """The handler."""

    def __init__(self, orders: Orders, diary: Diary) -> None:
        self._diary = diary
        self._wait_s = orders.wait_ms / 1000
        self._release = Path(orders.directory) / "release"

    def sync(self, record: Record[bytes], context: Context) -> None:
        self._begin(record, context)
        value = record.value
        if value == b"hold":
            while not self._release.exists():
                time.sleep(0.02)
        elif value == b"poison":
            self._diary.write("failed", record.partition, record.offset)
            raise ValueError("poison")
        else:
            time.sleep(self._seconds(value))
        self._diary.write("ended", record.partition, record.offset)

    async def asynchronous(self, record: Record[bytes], context: Context) -> None:
        self._begin(record, context)
        await asyncio.sleep(self._seconds(record.value))
        self._diary.write("ended", record.partition, record.offset)

    def batch(self, records: Records[bytes], context: Context) -> None:
        for record in records:
            self._begin(record, context)
            time.sleep(self._seconds(record.value))
            self._diary.write("ended", record.partition, record.offset)

    def _begin(self, record: Record[bytes], context: Context) -> None:
        key = (record.key or b"-").decode()
        self._diary.write("began", record.partition, record.offset, key, context.attempt)

    def _seconds(self, value: bytes) -> float:
        return int(value.removeprefix(b"slow ")) / 1000 if value.startswith(b"slow ") else self._wait_s


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    directory = Path(orders.directory)
    events = Diary(directory / f"{orders.name}.events")
    app = App(
        orders.config,
        order=orders.order,  # type: ignore[arg-type]
        concurrency=orders.concurrency,
        limits=Limits(**orders.limits),
        observer=Listener(events),
    )
    work = Work(orders, Diary(directory / f"{orders.name}.records"))
    options = _options(orders)
    if orders.kind == "async":
        app.handler(orders.topic, **options)(work.asynchronous)
    elif orders.kind == "batch":
        app.handler(orders.topic, batch=Batch(most=20, wait_ms=20), **options)(work.batch)
    else:
        app.handler(orders.topic, **options)(work.sync)
    if orders.obeys:
        _obey(app.start(), orders.topic, events)
    else:
        app.run()


def _options(orders: Orders) -> dict[str, Any]:
    from rota.consumer import DeadLetter, Retry

    options: dict[str, Any] = {}
    if orders.retry:
        options["retry"] = Retry(**orders.retry)
    if orders.dead_letter:
        options["dead_letter"] = DeadLetter(orders.dead_letter)
    return options


def _obey(running: Running, topic: str, diary: Diary) -> None:
    signal.signal(signal.SIGTERM, lambda *_: running.stop_soon())
    threading.Thread(target=_read_commands, args=(running, topic, diary), daemon=True).start()
    running.wait()


def _read_commands(running: Running, topic: str, diary: Diary) -> None:
    for line in sys.stdin:
        command, partition = line.split()
        if command == "pause":
            running.pause(topic, int(partition))
        else:
            running.resume(topic, int(partition))
        diary.write("obeyed", command, partition)


if __name__ == "__main__":
    main()
