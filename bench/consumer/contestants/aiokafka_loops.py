"""aiokafka: ``getmany`` hands on batches of up to 500; ``lanes`` runs up to ``lanes`` keys at once, each in its order.

At least once: with ``lanes``, what lies before the first unfinished record is committed once a second and at the end.
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from typing import Any

from aiokafka import (  # type: ignore[import-untyped]
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from bench.consumer.contestants.meter import Meter, Orders, begin

COMMIT_S = 1.0
MOST = 10_000


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """A task for each key that has records; a semaphore lets so many work at once."""

    def __init__(self, consumer: Any, orders: Orders, meter: Meter) -> None:
        self._consumer = consumer
        self._meter = meter
        self._free = asyncio.Semaphore(orders.lanes)
        self._waiting: dict[bytes, deque[Any]] = {}
        self._pending: dict[TopicPartition, deque[list[int]]] = {}
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def room(self) -> None:
        while self._under_way >= MOST:
            await asyncio.sleep(0.001)

    def dispatch(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        for partition, records in fetched.items():
            pending = self._pending.setdefault(partition, deque())
            for record in records:
                entry = [record.offset, 0]
                pending.append(entry)
                self._under_way += 1
                lane = self._waiting.get(record.key)
                if lane is not None:
                    lane.append((record, entry))
                    continue
                self._waiting[record.key] = deque([(record, entry)])
                task = asyncio.create_task(self._work(record.key))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _work(self, key: bytes) -> None:
        lane = self._waiting[key]
        plain, tick = self._meter.plain, self._meter.tick
        while lane:
            record, entry = lane.popleft()
            async with self._free:
                if plain:
                    tick()
                else:
                    await self._meter.handle_async(record.key, record.partition, record.offset)
            entry[1] = 1
            self._under_way -= 1
        del self._waiting[key]

    async def commit(self) -> None:
        offsets = {}
        for partition, pending in self._pending.items():
            offset = None
            while pending and pending[0][1]:
                offset = pending.popleft()[0] + 1
            if offset is not None:
                offsets[partition] = offset
        if offsets:
            try:
                await self._consumer.commit(offsets)
            except KafkaError:
                return  # not ours any more

    async def drain(self) -> None:
        while self._under_way:
            await asyncio.sleep(0.001)
        await self.commit()

    async def on_partitions_revoked(self, _revoked: Any) -> None:
        await self.drain()
        self._pending.clear()

    async def on_partitions_assigned(self, _assigned: Any) -> None:
        return


async def main() -> None:
    orders, meter = begin("aiokafka")
    options = {
        name.removesuffix(".ms").replace(".", "_") + "_ms": value for name, value in orders.client.items()
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=orders.bootstrap,
        group_id=orders.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **options,
    )
    lanes = Lanes(consumer, orders, meter)
    consumer.subscribe([orders.topic], listener=lanes)
    going = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, going.set)
    await consumer.start()
    committed = asyncio.get_running_loop().time()
    while not going.is_set():
        fetched = await consumer.getmany(timeout_ms=100, max_records=500)
        if orders.way == "getmany":
            if fetched:
                meter.ticks(sum(map(len, fetched.values())))
        else:
            lanes.dispatch(fetched)
            await lanes.room()
        if asyncio.get_running_loop().time() - committed > COMMIT_S:
            committed = asyncio.get_running_loop().time()
            await (consumer.commit() if orders.way == "getmany" else lanes.commit())
    await lanes.drain()
    await consumer.stop()


asyncio.run(main())
