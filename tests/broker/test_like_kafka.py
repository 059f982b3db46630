"""Rota answers as Apache Kafka does: the same raw requests to both, and the decoded answers compared.

Ids, ports and times are left out of the comparison, and of messages for people only whether there is one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.broker.like_kafka_admin import CASES as ADMIN_CASES
from tests.broker.like_kafka_cluster import CASES as CLUSTER_CASES
from tests.broker.like_kafka_cluster import PROVOKED as CLUSTER_PROVOKED
from tests.broker.like_kafka_compressed import CASES as COMPRESSED_CASES
from tests.broker.like_kafka_compressed import PROVOKED as COMPRESSED_PROVOKED
from tests.broker.like_kafka_configs import CASES as CONFIG_CASES
from tests.broker.like_kafka_configs import PROVOKED as CONFIG_PROVOKED
from tests.broker.like_kafka_consumer_groups import CASES as CONSUMER_GROUP_CASES
from tests.broker.like_kafka_errors import CASES as ERROR_CASES
from tests.broker.like_kafka_errors import GROUP_SIZE, PROVOKED
from tests.broker.like_kafka_groups import CASES as GROUP_CASES
from tests.broker.like_kafka_pages import CASES as PAGE_CASES
from tests.broker.like_kafka_records import CASES as RECORD_CASES
from tests.broker.raw import RawClient
from tests.broker.talk import Talk, differences
from tests.brokers import BrokerUnderTest, new_broker

from rota.coordinator import partition_for
from rota.coordinator.coordinator import DEFAULT_PARTITIONS
from rota.model import ErrorCode

CASES: dict[str, Callable[[Talk], None]] = {
    case.__name__: case
    for case in (
        *GROUP_CASES,
        *CONSUMER_GROUP_CASES,
        *ADMIN_CASES,
        *CONFIG_CASES,
        *CLUSTER_CASES,
        *PAGE_CASES,
        *RECORD_CASES,
        *COMPRESSED_CASES,
        *ERROR_CASES,
    )
}


_provoked: dict[str, list[tuple[str, set[int]]]] = {}
"""Case -> the APIs it asked, each with the errors that Kafka answered."""


@pytest.fixture(scope="module")
def both(kafka_jars: Path) -> Iterator[tuple[BrokerUnderTest, BrokerUnderTest]]:
    """Rota's broker and Apache Kafka's, with the same settings."""
    # The records of some cases are older than Kafka keeps any.
    config = {"node.id": "1", "group.max.size": str(GROUP_SIZE), "log.retention.ms": "-1"}
    with new_broker("rota", config=config) as rota, new_broker("kafka", config=config) as kafka:
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
    _provoked[case] = [
        (answer.asked.partition("Request(")[0], set(_errors(answer.fields))) for answer in theirs
    ]
    assert len(ours) == len(theirs) > 0
    found = [
        f"{one.asked} v{one.version}: {line}"
        for one, other in zip(ours, theirs, strict=True)
        for line in differences(one.fields, other.fields)
    ]
    assert not found, "\n".join(found)


def test_every_error_in_the_table_is_provoked() -> None:
    """Kafka's answers to all cases hold the errors that the tables promise, and no others."""
    if len(_provoked) < len(CASES):
        pytest.skip("only where all cases have run")
    found: dict[str, set[str]] = {}
    for answers in _provoked.values():
        for api, codes in answers:
            if codes:
                found.setdefault(api, set()).update(ErrorCode(code).name for code in codes)
    promised: dict[str, set[str]] = {}
    for table in (PROVOKED, CONFIG_PROVOKED, CLUSTER_PROVOKED, COMPRESSED_PROVOKED):
        for api, names in table.items():
            promised.setdefault(api, set()).update(names)
    assert found == promised


def _errors(fields: Any) -> Iterator[int]:
    """Every error code in an answer."""
    if isinstance(fields, dict):
        for name, value in fields.items():
            if name == "error_code" and value:
                yield value
            yield from _errors(value)
    elif isinstance(fields, list):
        for each in fields:
            yield from _errors(each)


def _talk(broker: BrokerUnderTest, case: str) -> Talk:
    with RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, case.replace("_", "-"), broker.bootstrap_servers)
        CASES[case](talk)
    return talk
