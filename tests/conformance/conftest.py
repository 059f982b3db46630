"""Two brokers with the same settings, and Kafka's tools in one JVM for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
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
