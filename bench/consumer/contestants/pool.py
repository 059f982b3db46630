"""What a careful team writes by hand: `consume(500)`, and threads that share the keys by their hash.

Each lane is a thread with a queue of its own; a batch is split into lists, one for each lane. A batch whose lists are
all done, and all batches before it, may be committed: once a second, before a partition goes, and at the end. No
retries, no back-pressure but a limit of batches under way, nothing kept of what was finished out of order.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from bench.consumer.contestants.meter import Meter, Orders, begin
from confluent_kafka import Consumer, KafkaException, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable

COMMIT_S = 1.0
MOST_BATCHES = 20


class Pool:
    def __init__(self, orders: Orders, meter: Meter) -> None:
        self._orders = orders
        self._handle = _handler(meter)
        self._queues: list[SimpleQueue[tuple[list[Any], list[None]]]] = [
            SimpleQueue() for _ in range(orders.lanes)
        ]
        self._batches: deque[tuple[list[None], int, list[TopicPartition]]] = deque()
        self._due: dict[int, TopicPartition] = {}
        for queue in self._queues:
            threading.Thread(target=self._work, args=(queue,), daemon=True).start()

    def run(self) -> None:
        orders = self._orders
        settings = {"auto.offset.reset": "earliest", **orders.client, "enable.auto.commit": False}
        consumer = Consumer({"bootstrap.servers": orders.bootstrap, "group.id": orders.group, **settings})
        going = [True]
        signal.signal(signal.SIGTERM, lambda *_: going.clear())
        consumer.subscribe([orders.topic], on_revoke=lambda consumer, _: self._drain(consumer))
        committed = time.monotonic()
        while going:
            if len(self._batches) < MOST_BATCHES:
                messages = [each for each in consumer.consume(500, 0.05) if each.error() is None]
                if messages:
                    self._dispatch(messages, consumer.position(consumer.assignment()))
            else:
                time.sleep(0.001)
            self._collect()
            if time.monotonic() - committed > COMMIT_S:
                committed = time.monotonic()
                self._commit(consumer, wait=False)
        self._drain(consumer)
        consumer.close()

    def _dispatch(self, messages: list[Any], positions: list[TopicPartition]) -> None:
        count = len(self._queues)
        lists: list[list[Any]] = [[] for _ in range(count)]
        for message in messages:
            lists[hash(message.key()) % count].append(message)
        done: list[None] = []
        chosen = [(queue, each) for queue, each in zip(self._queues, lists, strict=True) if each]
        self._batches.append((done, len(chosen), positions))
        for queue, each in chosen:
            queue.put((each, done))

    def _work(self, queue: SimpleQueue[tuple[list[Any], list[None]]]) -> None:
        handle = self._handle
        while True:
            messages, done = queue.get()
            for message in messages:
                handle(message)
            done.append(None)

    def _collect(self) -> None:
        while self._batches and len(self._batches[0][0]) == self._batches[0][1]:
            for position in self._batches.popleft()[2]:
                if position.offset >= 0:
                    self._due[position.partition] = position

    def _drain(self, consumer: Consumer) -> None:
        while self._batches:
            time.sleep(0.001)
            self._collect()
        self._commit(consumer, wait=True)

    def _commit(self, consumer: Consumer, *, wait: bool) -> None:
        if not self._due:
            return
        offsets, self._due = list(self._due.values()), {}
        try:
            if wait:
                consumer.commit(offsets=offsets, asynchronous=False)
            else:
                consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException:
            return  # not ours any more


def _handler(meter: Meter) -> Callable[[Any], None]:
    if meter.plain:
        tick = meter.tick
        return lambda _message: tick()
    handle = meter.handle
    return lambda message: handle(message.key(), message.partition(), message.offset())


Pool(*begin("confluent-kafka")).run()
