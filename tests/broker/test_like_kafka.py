"""Rota answers as Apache Kafka does: the same raw requests to both, and the decoded answers compared.

Ids, ports and times are left out of the comparison, and of messages for people only whether there is one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.broker.like_kafka_admin import CASES as ADMIN_CASES
from tests.broker.like_kafka_consumer_groups import CASES as CONSUMER_GROUP_CASES
from tests.broker.like_kafka_groups import CASES as GROUP_CASES
from tests.broker.like_kafka_records import CASES as RECORD_CASES
from tests.broker.raw import RawClient
from tests.broker.talk import Talk, differences
from tests.brokers import BrokerUnderTest, new_broker

from rota.coordinator import partition_for
from rota.coordinator.coordinator import DEFAULT_PARTITIONS

CASES: dict[str, Callable[[Talk], None]] = {
    case.__name__: case for case in (*GROUP_CASES, *CONSUMER_GROUP_CASES, *ADMIN_CASES, *RECORD_CASES)
}


@pytest.fixture(scope="module")
def both(kafka_jars: Path) -> Iterator[tuple[BrokerUnderTest, BrokerUnderTest]]:
    """Rota's broker and Apache Kafka's, with the same settings."""
    with (
        new_broker("rota", config={"node.id": "1"}) as rota,
        new_broker("kafka", config={"node.id": "1"}) as kafka,
    ):
        for broker in (rota, kafka):
            _load_groups(broker)
        yield rota, kafka


def _load_groups(broker: BrokerUnderTest) -> None:
    """Wait until every partition of ``__consumer_offsets`` answers; Kafka makes them on the first question."""
    names: dict[int, str] = {}
    for number in itertools.count():
        if len(names) == DEFAULT_PARTITIONS:
            break
        names.setdefault(partition_for(f"load-{number}", DEFAULT_PARTITIONS), f"load-{number}")
    with RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, "load", broker.bootstrap_servers)
        for name in names.values():
            talk.coordinator(name)


@pytest.mark.parametrize("case", CASES)
def test_same_answers(case: str, both: tuple[BrokerUnderTest, BrokerUnderTest]) -> None:
    ours, theirs = (_talk(broker, case).answers for broker in both)
    assert len(ours) == len(theirs) > 0
    found = [
        f"{one.asked} v{one.version}: {line}"
        for one, other in zip(ours, theirs, strict=True)
        for line in differences(one.fields, other.fields)
    ]
    assert not found, "\n".join(found)


def _talk(broker: BrokerUnderTest, case: str) -> Talk:
    with RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, case.replace("_", "-"), broker.bootstrap_servers)
        CASES[case](talk)
    return talk
