"""A second broker of each kind, with settings that some rules are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk

ODD = {
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
    "offsets.retention.minutes": "60",
    "broker.rack": "east",
}
"""Quick heartbeats of consumer groups, offsets that do not live long, and a rack."""


@pytest.fixture(scope="session")
def odd(broker_kind: str) -> Iterator[BrokerUnderTest]:
    """A broker with unusual settings."""
    from tests.brokers import new_broker

    with new_broker(broker_kind, config=ODD) as running:
        yield running


@pytest.fixture
def odd_desk(odd: BrokerUnderTest) -> Iterator[Desk]:
    """A desk there."""
    from tests.clients.desk import Desk

    with Desk(odd) as table:
        yield table
