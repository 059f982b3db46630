"""Topics on a real broker, for tests of consumers: made, written, read."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka import TopicPartition as ClientPartition
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.cluster import Cluster
from rota.consumer.clients.client import Offset
from rota.consumer.running import Running
from rota.model import RotaError, TopicPartition


class Desk:
    """One test's topics and groups; names are unlike those of any other test."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.cluster = Cluster(bootstrap_servers, timeout_s=PATIENCE_S)
        self._suffix = f"{os.getpid()}-{uuid.uuid4().hex[:6]}"

    def name(self, stem: str) -> str:
        return f"{stem}-{self._suffix}"

    def topic(self, stem: str, partitions: int = 1, **configs: str) -> str:
        name = self.name(stem)
        self.cluster.create_topic(
            name,
            partitions=partitions,
            configs={key.replace("_", "."): value for key, value in configs.items()},
        )
        return name

    def write(self, topic: str, records: Iterable[dict[str, Any]]) -> None:
        """Each as confluent-kafka's `produce` takes it."""
        problems: list[object] = []
        producer = Producer(
            {"bootstrap.servers": self.bootstrap_servers, "linger.ms": 0, "message.max.bytes": 1_000_000_000}
        )
        for record in records:
            producer.produce(
                topic, on_delivery=lambda error, _: problems.append(error) if error else None, **record
            )
        assert producer.flush(PATIENCE_S) == 0
        assert problems == []

    def read(self, topic: str, count: int | None = None) -> list[Message]:
        """Everything in it now, committed only, in the order of partitions; waits for ``count`` records."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self._read(topic)
            if count is None or len(found) >= count or time.monotonic() > deadline:
                assert count in {None, len(found)}, f"{len(found)} records in {topic}, expected {count}"
                return found

    def config(self, group: str, **more: Any) -> dict[str, Any]:
        """For a consumer."""
        return {"bootstrap.servers": self.bootstrap_servers, "group.id": group, **more}

    def committed(self, group: str, topic: str) -> dict[int, Offset]:
        """By partition, where something is committed."""
        counts = self.cluster.partition_counts([topic])
        consumer = Consumer(self.config(group))
        try:
            asked = [ClientPartition(topic, number) for number in range(counts[topic])]
            answers = consumer.committed(asked, timeout=PATIENCE_S)
        finally:
            consumer.close()
        return {
            each.partition: Offset(each.offset, each.metadata or "") for each in answers if each.offset >= 0
        }

    def wait_committed(self, group: str, topic: str, total: int) -> None:
        """Until the offsets of all partitions add up to this."""
        wait_until(
            f"{group} has committed {total} of {topic}",
            lambda: sum(each.offset for each in self.committed(group, topic).values()) == total,
        )

    def _read(self, topic: str) -> list[Message]:
        count = self.cluster.partition_counts([topic])[topic]
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": self.name("reader"),
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        found: dict[TopicPartition, list[Message]] = {
            TopicPartition(topic, number): [] for number in range(count)
        }
        left = set(found)
        try:
            consumer.assign([ClientPartition(*partition, 0) for partition in left])
            deadline = time.monotonic() + PATIENCE_S
            while left and time.monotonic() < deadline:
                message = consumer.poll(0.5)
                if message is None:
                    continue
                where = TopicPartition(str(message.topic()), int(message.partition() or 0))
                error = message.error()
                if error is None:
                    found[where].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(where)
        finally:
            consumer.close()
        return [message for partition in sorted(found) for message in found[partition]]


def why_it_ended(running: Running) -> str:
    """Wait until a consumer ends by itself, and tell why."""
    wait_until("the consumer ends", lambda: not running._thread.is_alive())
    try:
        running.wait()
    except RotaError as error:
        return str(error)
    raise AssertionError("it ended without a reason")


def until(what: str, condition: Callable[[], object], running: Running) -> None:
    """Wait for it while the consumer runs; its own error if it ends before."""

    def check() -> bool:
        if condition():
            return True
        if not running._thread.is_alive():
            running.wait()
        return False

    wait_until(what, check)
