"""Records in, committed offsets out: what tests with a real broker ask of it besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported
from tests.kafka.ports import PATIENCE_S

from rota.consumer import App

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


__all__ = ["Order", "app_for", "committed", "create", "orders", "produce", "total_committed"]


class Broker(Protocol):
    """Any."""

    @property
    def bootstrap_servers(self) -> str: ...


def app_for(broker: Broker, config: dict[str, Any] | None = None, **options: Any) -> App:
    """An App of the group ``g`` whose members are missed soon."""
    base: dict[str, Any] = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}
    return App({**base, **(config or {})}, **options)


def create(broker: Broker, topic: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, partitions)])[topic].result(PATIENCE_S)


def produce(
    broker: Broker, topic: str, values: Iterable[bytes | None], *, key: str | None = None, partition: int = -1
) -> None:
    """Each value with ``key``, or with one of seven keys."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
    for index, value in enumerate(values):
        producer.produce(topic, value, key=key or f"k{index % 7}", partition=partition)
    assert producer.flush(PATIENCE_S) == 0


def committed(broker: Broker, topic: str, partition: int = 0, group: str = "g") -> int | None:
    """The group's committed offset; None if there is none."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    try:
        (answer,) = consumer.committed([ClientPartition(topic, partition)], timeout=PATIENCE_S)
    finally:
        consumer.close()
    return answer.offset if answer.offset >= 0 else None


def total_committed(broker: Broker, topic: str, partitions: int, group: str = "g") -> int:
    """Of all partitions together."""
    return sum(committed(broker, topic, partition, group) or 0 for partition in range(partitions))


@dataclass
class Order:
    """What the topic `orders` holds, as JSON."""

    id: int


def orders(broker: Broker, count: int = 100, partitions: int = 2) -> None:
    """A topic of orders, numbered from 0."""
    create(broker, "orders", partitions)
    produce(broker, "orders", (b'{"id": %d}' % index for index in range(count)))
