"""A group goes from the classic protocol to the consumer protocol (KIP-848) and back, through unmodified clients.

Member by member: nothing is lost, every partition has an owner after each step, and the broker may be killed halfway.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.broker.raw import RawClient
from tests.clients.desk import Desk
from tests.clients.member import Member, Partition
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode
from rota.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

# Heartbeats of the consumer protocol come as often as the broker says.
QUICK = {
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
}
PATIENT_MS = 600_000
CLASSIC, CONSUMER = 0, 1
PAIRS = [
    ("confluent", "confluent-848", "cooperative-sticky"),
    ("confluent", "confluent-848", "range"),
    ("java", "java-848", "cooperative-sticky"),
    ("kafka-python", "confluent-848", "range"),
    ("aiokafka", "confluent-848", "roundrobin"),
    ("franz-go", "confluent-848", "cooperative-sticky"),
]


@pytest.fixture(scope="module")
def quick_broker(broker_kind: str) -> Iterator[BrokerUnderTest]:
    from tests.brokers import new_broker

    with new_broker(broker_kind, config=QUICK) as running:
        yield running


@pytest.fixture
def quick_desk(quick_broker: BrokerUnderTest) -> Iterator[Desk]:
    with Desk(quick_broker) as desk:
        yield desk


def described(desk: Desk, group: str) -> DescribedGroup:
    with RawClient(desk.bootstrap_servers, timeout_s=30.0) as client:
        request = ConsumerGroupDescribeRequest(group_ids=[group])
        return client.call(request, 1, ConsumerGroupDescribeResponse).groups[0]


def kinds(desk: Desk, group: str) -> list[int]:
    """The kinds of the members of a consumer group."""
    found = described(desk, group)
    assert found.error_code == ErrorCode.NONE
    return sorted(member.member_type for member in found.members)


def read_on(desk: Desk, group: str, partitions: list[Partition], produced: int) -> int:
    """More records come until all are committed (a commit amid a rebalance may be refused); how many there are then."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        desk.produce(partitions[0][0], per_partition=1, first=produced)
        produced += 1
        try:
            desk.wait_committed(group, dict.fromkeys(partitions, produced), timeout_s=10)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise
        else:
            return produced


def is_classic(desk: Desk, group: str) -> bool:
    return described(desk, group).error_code == ErrorCode.GROUP_ID_NOT_FOUND


@pytest.mark.parametrize(("classic", "consumer", "strategy"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
@pytest.mark.usefixtures("kafka_jars")
def test_rolling_restarts_there_and_back(
    quick_desk: Desk, classic: str, consumer: str, strategy: str
) -> None:
    """One member after the other is restarted with the other protocol, while records keep coming."""
    desk = quick_desk
    topic, group = desk.topic("roll"), desk.name("roll")
    partitions = [(topic, number) for number in range(5)]
    produced = 0

    def wait_until_all_is_read() -> None:
        """Some records come amid the rebalance, more when it is over."""
        nonlocal produced
        desk.produce(topic, per_partition=2, first=produced)
        desk.wait_stable(group, members, partitions)
        produced = read_on(desk, group, partitions, produced + 2)

    def start(client: str, strategy: str) -> Member:
        return desk.member(client, group, topic, strategy=strategy, commit_each_poll=True)

    members = [start(classic, strategy) for _ in range(2)]
    everyone = list(members)
    wait_until_all_is_read()
    assert is_classic(desk, group)
    for client, its_strategy, left in (
        (consumer, "uniform", [[CLASSIC, CONSUMER], [CONSUMER, CONSUMER]]),
        (classic, strategy, [[CLASSIC, CONSUMER], None]),
    ):
        for number in range(2):
            members[number].stop()
            members[number] = start(client, its_strategy)
            everyone.append(members[number])
            wait_until_all_is_read()
            if left[number] is None:
                assert is_classic(desk, group)
            else:
                assert kinds(desk, group) == left[number]
    read = {(record.partition, record.offset) for member in everyone for record in member.records}
    assert read == {(partition, offset) for partition in range(5) for offset in range(produced)}


@pytest.mark.parametrize(
    ("classic", "consumer"), [("confluent", "confluent-848"), ("java", "java-848")], ids=["confluent", "java"]
)
@pytest.mark.usefixtures("kafka_jars")
def test_static_members_keep_their_partitions(quick_desk: Desk, classic: str, consumer: str) -> None:
    """A static member that is restarted with the consumer protocol has what its former self had."""
    desk = quick_desk
    topic, group = desk.topic("static"), desk.name("static")
    partitions = [(topic, number) for number in range(5)]

    def start(client: str, number: int) -> Member:
        strategy = "range" if client == classic else "uniform"
        return desk.member(
            client, group, topic, strategy=strategy, instance_id=f"i{number}", session_timeout_ms=45_000
        )

    members = [start(classic, number) for number in range(2)]
    desk.wait_stable(group, members, partitions)
    held = [member.owned for member in members]
    for number in range(2):
        members[number].stop()
        members[number] = start(consumer, number)
        desk.wait_stable(group, members, partitions)
        assert [member.owned for member in members] == held
    assert kinds(desk, group) == [CONSUMER, CONSUMER]


@pytest.mark.parametrize("how", ["restart", "kill"])
@pytest.mark.usefixtures("kafka_jars")
def test_a_mixed_group_lives_through_a_restart_of_the_broker(broker_kind: str, how: str) -> None:
    """Members of three kinds: nobody is rebalanced, and nothing acknowledged is lost."""
    from tests.brokers import new_broker

    # On a busy machine Kafka's start takes a minute.
    patient = QUICK | {
        "group.consumer.max.session.timeout.ms": str(PATIENT_MS),
        "group.consumer.session.timeout.ms": str(PATIENT_MS),
    }
    with new_broker(broker_kind, config=patient) as broker, Desk(broker) as desk:
        topic, group = desk.topic("restart"), desk.name("restart")
        partitions = desk.produce(topic, per_partition=2)
        # In processes of their own: while its broker is away, librdkafka may end the one that it is in.
        members = [
            desk.process_member(
                client,
                group,
                topic,
                strategy=strategy,
                commit_each_poll=True,
                session_timeout_ms=PATIENT_MS,
            )
            for client, strategy in (
                ("confluent", "cooperative-sticky"),
                ("java", "cooperative-sticky"),
                ("confluent-848", "uniform"),
            )
        ]
        view = desk.wait_stable(group, members, partitions)
        produced = read_on(desk, group, partitions, 2)
        assert kinds(desk, group) == [CLASSIC, CLASSIC, CONSUMER]
        before = described(desk, group).group_epoch
        if how == "kill":
            broker.kill()
            broker.start()
        else:
            broker.restart()
        desk.reconnect()
        read_on(desk, group, partitions, produced)
        assert desk.wait_stable(group, members, partitions).members == view.members
        assert described(desk, group).group_epoch == before
        assert kinds(desk, group) == [CLASSIC, CLASSIC, CONSUMER]
