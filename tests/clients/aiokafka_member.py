"""A member behind aiokafka, whose event loop has a thread of its own."""

import asyncio
import inspect
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition  # type: ignore[import-untyped]
from aiokafka.coordinator.assignors.range import RangePartitionAssignor  # type: ignore[import-untyped]
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor  # type: ignore[import-untyped]
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor  # type: ignore[import-untyped]
from tests.clients.member import Record, ThreadMember

STRATEGIES = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}


class AioKafkaMember(ThreadMember):
    def run(self) -> None:
        asyncio.run(self._consume())

    async def _consume(self) -> None:
        config = self.config
        consumer = AIOKafkaConsumer(
            bootstrap_servers=config.bootstrap_servers,
            group_id=config.group,
            group_instance_id=config.instance_id,
            client_id=config.client_id,
            partition_assignment_strategy=(STRATEGIES[config.strategy],),
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=config.heartbeat_interval_ms,
            max_poll_interval_ms=config.max_poll_interval_ms,
            rebalance_timeout_ms=config.max_poll_interval_ms,
            enable_auto_commit=config.auto_commit_ms > 0,
            auto_commit_interval_ms=config.auto_commit_ms or 5_000,
            auto_offset_reset="earliest",
            metadata_max_age_ms=config.metadata_max_age_ms,
            fetch_max_wait_ms=100,
            retry_backoff_ms=50,
        )
        self.listener = _Listener(self)
        consumer.subscribe(list(config.topics), listener=self.listener)
        try:
            await consumer.start()
            while not self.stopping.is_set():
                await self._run_tasks(consumer)
                for batch in (await consumer.getmany(timeout_ms=50)).values():
                    for r in batch:
                        self.records.append(Record(r.topic, r.partition, r.offset, r.key, r.value))
                    if config.commit_each_poll:
                        await consumer.commit()
                        self.note("committed")
        finally:
            await consumer.stop()

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self.do(lambda consumer: consumer.seek(TopicPartition(topic, partition), offset))

    async def _run_tasks(self, consumer: AIOKafkaConsumer) -> None:
        while (task := self.next_task()) is not None:
            function, future = task
            try:
                result = function(consumer)
                future.set_result(await result if inspect.isawaitable(result) else result)
            except Exception as error:
                future.set_exception(error)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: AioKafkaMember) -> None:
        self.member = member

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self.member.on_assigned((p.topic, p.partition) for p in assigned)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self.member.on_revoked((p.topic, p.partition) for p in revoked)
