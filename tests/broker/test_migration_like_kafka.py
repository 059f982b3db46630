"""Groups with members of both protocols, on Rota and on Apache Kafka: the same requests, and the answers compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.broker.like_kafka_migration import (
    CASES,
    GROUP_SIZE,
    POLICY_CASES,
    migration_of_a_recorded_group,
)
from tests.broker.raw import RawClient
from tests.broker.talk import Answer, Talk, differences
from tests.brokers import BrokerUnderTest, new_broker
from tests.kafka.tools import offline_tool

from rota.broker.group_names import OFFSETS_TOPIC
from rota.coordinator import partition_for
from rota.coordinator.consumer_groups.group import ConsumerGroups
from rota.coordinator.log_format import decode_record
from rota.wire.records import iter_batches, iter_records


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


def test_each_reads_the_others_records(both: tuple[BrokerUnderTest, BrokerUnderTest]) -> None:
    """What both brokers wrote down of a mixed group is the same group when it is replayed; Kafka's tool reads ours."""
    found, dumps = [], []
    for broker in both:
        with RawClient(broker.bootstrap_servers) as client:
            talk = Talk(client, "migration-log", broker.bootstrap_servers)
            talk.coordinator(talk.name)
            migration_of_a_recorded_group(talk)
            topic_id = talk.topic_id(talk.name)
        partition = f"{OFFSETS_TOPIC}-{partition_for(talk.name)}"
        segment = Path(broker.data_dir) / partition / "00000000000000000000.log"
        found.append(_replayed(segment, talk.name, topic_id))
        dumps.append(offline_tool("kafka-dump-log", "--offsets-decoder", "--files", segment))
    ours, theirs = found
    assert ours == theirs
    assert ours.keys() == {"epochs", "m", "z", "static"}
    assert all('"classicMemberMetadata":{"sessionTimeoutMs":30000' in dump for dump in dumps)


def _replayed(segment: Path, group_id: str, topic_id: bytes) -> dict[str, object]:
    """The group that the records of a log add up to, without what only one broker can say."""
    groups = ConsumerGroups()
    data = memoryview(segment.read_bytes())
    for start, _ in iter_batches(data):
        for record in iter_records(data, start):
            decoded = decode_record(record.key or b"", record.value)
            if decoded is not None and decoded.group == group_id and "Consumer" in type(decoded.key).__name__:
                groups.replay(decoded)
    group = groups[group_id]
    assert group.members.keys() == group.target.keys()
    found: dict[str, object] = {"epochs": (group.epoch, group.assignment_epoch)}
    for member_id, member in group.members.items():
        name = "static" if member.instance_id else member_id
        held = (member.assigned, member.revoking, group.target[member_id])
        found[name] = (
            member.member_epoch,
            member.state,
            member.topics,
            member.rebalance_timeout_ms,
            member.classic,
            [sorted(each.get(topic_id, ())) for each in held],
        )
    return found
