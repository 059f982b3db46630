"""The real command in a process of its own, aimed at the broker under test."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Command

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.java.tools import JavaTools


@pytest.fixture
def rota() -> Command:
    """`rota` without any broker: nothing listens where it looks."""
    return Command("127.0.0.1:1")


@pytest.fixture
def cli(broker: "BrokerUnderTest") -> Command:
    """`rota` aimed at the broker under test."""
    return Command(broker.bootstrap_servers)


@pytest.fixture
def new_name() -> Callable[[str], str]:
    """Names that no other test uses on the shared broker."""
    suffix = f"{os.getpid()}-{uuid.uuid4().hex[:6]}"
    return lambda stem: f"{stem}-{suffix}"


@pytest.fixture(scope="session")
def java_tools(kafka_jars: Path) -> "Iterator[JavaTools]":
    """Kafka's command-line tools in one JVM, warm."""
    from tests.java.tools import JavaTools

    with JavaTools() as tools:
        yield tools
