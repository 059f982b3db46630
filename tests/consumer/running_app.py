"""A consumer at work on a broker in this process, for tests of what its operators see."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported
from tests.kafka.ports import wait_until

from rota.consumer import App, Record
from rota.consumer.running import Running
from rota.testing import Broker

GROUP = "billing"


@contextmanager
def broker_with(configs: Mapping[str, int] | None = None, /, **topics: int) -> Iterator[Broker]:
    """A broker; each topic with so many partitions."""
    with Broker(configs) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        made = admin.create_topics([NewTopic(name, number, 1) for name, number in topics.items()])
        for future in made.values():
            future.result(30)
        yield broker


def nothing(record: Record[bytes]) -> None:
    """A handler."""


def config(broker: Broker, **more: Any) -> dict[str, Any]:
    return {"bootstrap.servers": broker.bootstrap_servers, "group.id": GROUP, **more}


def produce(broker: Broker, topic: str, count: int, **fields: Any) -> None:
    """Records with the numbers from 0 on as keys and values, unless something else is said."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(count):
        producer.produce(topic, **{"key": b"%d" % number, "value": b"%d" % number, **fields})
    assert producer.flush(30) == 0


@contextmanager
def started(app: App) -> Iterator[Running]:
    """Running, and a member with its partitions."""
    with app.start() as running:
        wait_until("the consumer has its partitions", lambda: running.state and running.state.partitions)
        yield running


def fetch(port: int | None, path: str, accept: str = "*/*") -> tuple[int, str]:
    """Status and body."""
    assert port is not None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def fetch_json(port: int | None, path: str) -> Any:
    return json.loads(fetch(port, path)[1])
