"""What the doctor says when a broker is gone: of partitions without a leader, and of groups without a coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.broker.raw import RawClient
from tests.kafka.ports import wait_until
from tests.monitor.doctor.ward import Ward

from rota.admin import Admin
from rota.cli.doctor_text import document
from rota.coordinator import partition_for
from rota.monitor.doctor import diagnose
from rota.monitor.findings import Severity
from rota.watching.evidence import Checkup
from rota.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignableTopic,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.kafka.cluster import KafkaCluster

    from rota.monitor.doctor import Diagnosis, Evidence

OFFSETS = "__consumer_offsets"


def commit(cluster: KafkaCluster, group: str, topic: str, partitions: int) -> None:
    """Offset 0 in each partition."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": group, "log_level": 0})
    offsets = [TopicPartition(topic, number, 0) for number in range(partitions)]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


def move_offsets_topic(cluster: KafkaCluster, where: Mapping[int, Sequence[int]]) -> None:
    """Put these partitions of `__consumer_offsets` on these nodes, and wait until they are there."""
    request = AlterPartitionReassignmentsRequest(
        topics=[
            ReassignableTopic(
                name=OFFSETS,
                partitions=[
                    ReassignablePartition(partition_index=number, replicas=list(nodes))
                    for number, nodes in where.items()
                ],
            )
        ]
    )
    with RawClient(cluster.address(1)) as client:
        answer = client.call(request, 0, AlterPartitionReassignmentsResponse)
    assert answer.error_code == 0
    assert all(part.error_code == 0 for topic in answer.responses for part in topic.partitions)

    def is_there() -> bool:
        parts = cluster.metadata().topics[OFFSETS].partitions
        return all(
            list(parts[number].replicas) == list(nodes) and set(parts[number].isrs) == set(nodes)
            for number, nodes in where.items()
        )

    wait_until("the partitions have moved", is_there)


@pytest.fixture
def groups_of_node_3(whole: KafkaCluster, name: Callable[[str], str]) -> Iterator[tuple[str, str, str]]:
    """Three groups: node 3 alone has the records of the first, nodes 3 and 1 those of the second, all of the third."""
    whole.coordinator(name("first"))  # the topic is made for it
    whole.wait_whole()
    count = len(whole.metadata().topics[OFFSETS].partitions)
    stem = name("patient")
    of: dict[int, str] = {}
    for number in range(100):
        of.setdefault(partition_for(f"{stem}-{number}", count), f"{stem}-{number}")
    (lonely, first), (pair, second), (_, third) = sorted(of.items())[:3]
    before = {
        number: list(whole.metadata().topics[OFFSETS].partitions[number].replicas)
        for number in (lonely, pair)
    }
    move_offsets_topic(whole, {lonely: [3], pair: [3, 1]})
    try:
        yield first, second, third
    finally:
        whole.heal()
        move_offsets_topic(whole, before)


def test_d21_groups_whose_coordinator_is_gone(
    whole: KafkaCluster, groups_of_node_3: tuple[str, str, str], name: Callable[[str], str]
) -> None:
    """Without any broker that has their records; with one where two must be; and with enough."""
    topic = whole.create_topic(name("spread"), [(1, 2, 3)])
    for group in groups_of_node_3:
        commit(whole, group, topic, 1)
    alone, short, well = groups_of_node_3
    with Ward(whole.bootstrap_servers, short) as doctor:
        doctor.stays_silent("D21", lambda evidence: evidence.facts.state == "Empty")
    whole.stop(3)
    whole.wait_gone(3)
    with Ward(whole.bootstrap_servers, alone, timeout_s=3) as doctor:
        found = doctor.sees("D21")
        assert "which nobody leads" in found.words
        assert "Start broker 3 again" in found.advice
        assert found.severity == Severity.CRITICAL
    with Ward(whole.bootstrap_servers, short) as doctor:
        found = doctor.sees("D21")
        assert "1 replica is in sync, and 2 must be" in found.words
        assert found.severity == Severity.WARNING
    with Ward(whole.bootstrap_servers, well) as doctor:
        doctor.stays_silent("D21", lambda evidence: evidence.facts.state == "Empty")


def test_d27_partitions_without_a_leader_or_short_of_replicas(
    whole: KafkaCluster, name: Callable[[str], str]
) -> None:
    """One partition is on the broker that is stopped, one on that and another, one elsewhere."""
    lonely = whole.create_topic(name("lonely"), [(3,)])
    pairs = whole.create_topic(name("pairs"), [(1, 3), (1, 2)])
    group = whole.groups_at(2, name("reader"))[0]
    commit(whole, group, lonely, 1)
    commit(whole, group, pairs, 2)
    with Ward(whole.bootstrap_servers, group) as doctor:
        doctor.stays_silent("D27", lambda evidence: len(evidence.view.partitions) == 3)
        whole.stop(3)
        whole.wait_gone(3)
        nobody = doctor.sees("D27", lambda finding: "no leader" in finding.words)
        assert nobody.words.startswith(f"{lonely}-0 has no leader")
        assert "Start broker 3 again" in nobody.advice
        short = doctor.sees("D27", lambda finding: "in sync" in finding.words)
        assert short.words.startswith(f"{pairs}-0 lacks replicas")
        assert f"{pairs}-0 takes no records with acks=all" in short.words


def test_a_list_of_groups_without_those_of_a_broker_that_was_just_killed(
    whole: KafkaCluster, name: Callable[[str], str]
) -> None:
    """Until the cluster gives it up, nobody knows its groups: those of others are judged, and nothing is healthy."""
    topic = whole.create_topic(name("listed"), [(1, 2)])
    lost, kept = whole.groups_at(3, name("lost"))[0], whole.groups_at(1, name("kept"))[0]
    for group in (lost, kept):
        commit(whole, group, topic, 1)

    def examined(checkup: Checkup) -> dict[str, tuple[Evidence, Diagnosis]]:
        return {group: (each, diagnose(each)) for group, each in checkup.evidence().items()}

    with Admin(whole.bootstrap_servers, timeout_s=2) as admin:
        checkup = Checkup(admin, topic="it is not read here")
        assert checkup.look().failure is None
        assert {lost, kept} <= examined(checkup).keys()
        assert checkup.failure is None
        whole.kill(3)
        checkup.look()
        found, failure = examined(checkup), checkup.failure
    assert failure is not None
    assert str(failure).startswith("broker 3 of ")
    assert found[kept][0].failure is None
    assert found[lost][0].failure == str(failure)
    told = document([found[kept]], (), failure)
    assert (told["healthy"], told["verdict"], told["failure"]) == (False, "unknown", str(failure))
