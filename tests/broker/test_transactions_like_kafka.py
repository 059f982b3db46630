"""Transactions are answered as Apache Kafka answers: the same raw requests to both, the decoded answers compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.broker.like_kafka_transactions import CASES as TRANSACTION_CASES
from tests.broker.like_kafka_transactions_more import CASES as MORE_CASES
from tests.broker.raw import RawClient
from tests.broker.talk import Talk, differences
from tests.brokers import BrokerUnderTest, new_broker

CASES: dict[str, Callable[[Talk], None]] = {case.__name__: case for case in (*TRANSACTION_CASES, *MORE_CASES)}
# So that a transaction that has timed out is aborted soon.
_CONFIG = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "100"}


@pytest.fixture(scope="module")
def both(kafka_jars: Path) -> Iterator[tuple[BrokerUnderTest, BrokerUnderTest]]:
    """Rota's broker and Apache Kafka's, with the same settings."""
    with new_broker("rota", config=_CONFIG) as rota, new_broker("kafka", config=_CONFIG) as kafka:
        yield rota, kafka


@pytest.mark.parametrize("case", CASES)
def test_same_answers(case: str, both: tuple[BrokerUnderTest, BrokerUnderTest]) -> None:
    ours, theirs = (_talk(broker, case).answers for broker in both)
    assert len(ours) == len(theirs) > 0
    found = [
        f"{number} {one.asked[:200]} v{one.version}: {line}"
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True))
        for line in differences(one.fields, other.fields)
    ]
    assert not found, "\n".join(found)


def _talk(broker: BrokerUnderTest, case: str) -> Talk:
    with RawClient(broker.bootstrap_servers, timeout_s=30.0) as client:
        talk = Talk(client, case.replace("_", "-"), broker.bootstrap_servers)
        CASES[case](talk)
    return talk
