"""Two brokers with the same settings, and Kafka's tools in one JVM for both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.brokers import BrokerUnderTest, new_broker
from tests.java.tools import JavaTools


@pytest.fixture(scope="package")
def both(kafka_jars: Path) -> Iterator[tuple[BrokerUnderTest, BrokerUnderTest]]:
    """Rota's broker and Apache Kafka's, with the same settings."""
    with (
        new_broker("rota", config={"node.id": "1"}) as rota,
        new_broker("kafka", config={"node.id": "1"}) as kafka,
    ):
        yield rota, kafka


@pytest.fixture(scope="package")
def java_tools(kafka_jars: Path) -> Iterator[JavaTools]:
    """Kafka's command-line tools, warm."""
    with JavaTools() as tools:
        yield tools


@pytest.fixture
def talk(broker: BrokerUnderTest) -> Iterator[Talk]:
    """A conversation with either broker, under a name of its own."""
    with RawClient(broker.bootstrap_servers) as client:
        yield Talk(client, f"differs-{uuid.uuid4().hex[:8]}", broker.bootstrap_servers)
