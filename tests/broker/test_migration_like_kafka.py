"""Groups with members of both protocols, on Rota and on Apache Kafka: the same requests, and the answers compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.broker.like_kafka_migration import CASES, GROUP_SIZE, POLICY_CASES
from tests.broker.raw import RawClient
from tests.broker.talk import Answer, Talk, differences
from tests.brokers import BrokerUnderTest, new_broker


@pytest.fixture(scope="module")
def both(kafka_jars: Path) -> Iterator[tuple[BrokerUnderTest, BrokerUnderTest]]:
    """Rota's broker and Apache Kafka's, with the same settings."""
    assert kafka_jars.is_dir()
    config = {"group.max.size": str(GROUP_SIZE)}
    with new_broker("rota", config=config) as rota, new_broker("kafka", config=config) as kafka:
        yield rota, kafka


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_same_answers(case: Callable[[Talk], None], both: tuple[BrokerUnderTest, BrokerUnderTest]) -> None:
    _compare(case, both)


@pytest.mark.parametrize("policy", ["disabled", "upgrade", "downgrade"])
def test_same_answers_with_a_policy(policy: str, kafka_jars: Path) -> None:
    """All other conversations are with the default, which allows both ways."""
    assert kafka_jars.is_dir()
    config = {"group.consumer.migration.policy": policy}
    with new_broker("rota", config=config) as rota, new_broker("kafka", config=config) as kafka:
        for case in POLICY_CASES:
            _compare(case, (rota, kafka))


def _compare(case: Callable[[Talk], None], both: tuple[BrokerUnderTest, BrokerUnderTest]) -> None:
    ours, theirs = (_answers(broker, case) for broker in both)
    assert len(ours) == len(theirs) > 0
    found = [
        f"{one.asked} v{one.version}: {line}"
        for one, other in zip(ours, theirs, strict=True)
        for line in differences(one.fields, other.fields)
    ]
    assert not found, "\n".join(found)


def _answers(broker: BrokerUnderTest, case: Callable[[Talk], None]) -> list[Answer]:
    with RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, case.__name__.replace("_", "-"), broker.bootstrap_servers)
        talk.coordinator(talk.name)
        case(talk)
    return talk.answers
