"""Groups of the consumer protocol (KIP-848) through unmodified clients: join, leave, crash, restarts of members and of
the broker, commits, Kafka's tools.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.broker.raw import RawClient
from tests.clients.desk import Desk, coordinator_partition
from tests.clients.kinds import FRANZ_GO_848
from tests.kafka.ports import PATIENCE_S
from tests.kafka.tools import offline_tool, table

from rota.model import TopicPartition
from rota.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

CLIENTS = ("confluent-848", "java-848")
# As a static member, franz-go 1.22 says that it is away without naming its instance, which is INVALID_REQUEST.
WITH_FRANZ_GO = (*CLIENTS, FRANZ_GO_848)
SESSION_MS = 6_000
QUICK = {
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(SESSION_MS),
}


@pytest.fixture(scope="module")
def quick_broker(broker_kind: str) -> "Iterator[BrokerUnderTest]":
    """A broker whose consumer groups are quicker than Kafka's defaults allow."""
    from tests.brokers import new_broker

    with new_broker(broker_kind, config=QUICK) as running:
        yield running


@pytest.fixture
def quick_desk(quick_broker: "BrokerUnderTest") -> Iterator[Desk]:
    with Desk(quick_broker) as desk:
        yield desk


def described(desk: Desk, group: str) -> DescribedGroup:
    with RawClient(desk.bootstrap_servers, timeout_s=30.0) as client:
        request = ConsumerGroupDescribeRequest(group_ids=[group])
        return client.call(request, 1, ConsumerGroupDescribeResponse).groups[0]


def epochs(desk: Desk, group: str) -> tuple[int, int]:
    """The group's, and that of its target assignment."""
    found = described(desk, group)
    return found.group_epoch, found.assignment_epoch


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
@pytest.mark.usefixtures("kafka_jars")
def test_members_join_and_leave(quick_desk: Desk, client: str) -> None:
    """One, two, three members and back: the partitions are shared out each time, and nothing is read twice."""
    desk = quick_desk
    topic, group = desk.topic("join"), desk.name("join")
    partitions = desk.produce(topic, per_partition=3)
    members = []
    for _ in range(3):
        members.append(desk.member(client, group, topic, strategy="uniform", commit_each_poll=True))
        view = desk.wait_stable(group, members, partitions)
        assert max(view.sizes()) - min(view.sizes()) <= 1
    assert view.strategy == "uniform"
    desk.wait_committed(group, dict.fromkeys(partitions, 3))
    everyone = list(members)
    while len(members) > 1:
        members.pop().stop()
        desk.wait_stable(group, members, partitions)
    desk.produce(topic, per_partition=2, first=3)
    desk.wait_committed(group, dict.fromkeys(partitions, 5))
    read = [(each.partition, each.offset) for member in everyone for each in member.records]
    assert sorted(read) == sorted((partition, offset) for partition in range(5) for offset in range(5))


def test_range_assignor_and_added_partitions(quick_desk: Desk) -> None:
    desk = quick_desk
    topic, group = desk.topic("range", partitions=4), desk.name("range")
    members = [desk.member("confluent-848", group, topic, strategy="range") for _ in range(2)]
    view = desk.wait_stable(group, members, [(topic, number) for number in range(4)])
    assert view.strategy == "range"
    runs = sorted(sorted(number for _, number in each.partitions) for each in view.members.values())
    assert runs == [[0, 1], [2, 3]]
    desk.add_partitions(topic, 6)
    view = desk.wait_stable(group, members, [(topic, number) for number in range(6)])
    runs = sorted(sorted(number for _, number in each.partitions) for each in view.members.values())
    assert runs == [[0, 1, 2], [3, 4, 5]]


def test_crashed_member_is_noticed_when_its_session_ends(quick_desk: Desk) -> None:
    desk = quick_desk
    topic, group = desk.topic("crash"), desk.name("crash")
    partitions = [(topic, number) for number in range(5)]
    survivor = desk.member("confluent-848", group, topic)
    victim = desk.process_member("confluent-848", group, topic)
    desk.wait_stable(group, [survivor, victim], partitions)
    killed_at = time.monotonic()
    victim.kill()
    desk.wait_stable(group, [survivor], partitions)
    took_s = survivor.events[-1].at - killed_at
    assert SESSION_MS / 1000 - 1.0 < took_s < 3 * SESSION_MS / 1000


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.usefixtures("kafka_jars")
def test_static_member_restarts_without_a_rebalance(quick_desk: Desk, client: str) -> None:
    desk = quick_desk
    topic, group = desk.topic("static"), desk.name("static")
    partitions = [(topic, number) for number in range(5)]
    members = [desk.member(client, group, topic, instance_id=f"instance-{number}") for number in range(2)]
    desk.wait_stable(group, members, partitions)
    before = described(desk, group)
    held = members[1].owned
    members[1].stop()
    away = described(desk, group)
    assert min(each.member_epoch for each in away.members) == -2
    members[1] = desk.member(client, group, topic, instance_id="instance-1")
    desk.wait_stable(group, members, partitions)
    after = described(desk, group)
    assert (after.group_epoch, members[1].owned) == (before.group_epoch, held)


@pytest.mark.parametrize("how", ["restart", "kill"])
@pytest.mark.usefixtures("kafka_jars")
def test_groups_live_through_a_restart_of_the_broker(broker_kind: str, how: str) -> None:
    """A group of each library: nobody is rebalanced, and nothing acknowledged is lost."""
    from tests.brokers import new_broker

    patient = QUICK | {"group.consumer.session.timeout.ms": "45000"}
    with new_broker(broker_kind, config=patient) as broker, Desk(broker) as desk:
        topic = desk.topic("restart")
        partitions = desk.produce(topic, per_partition=2)
        groups = {desk.name(f"restart-{client}"): client for client in CLIENTS}
        members = {
            group: [desk.member(client, group, topic, commit_each_poll=True) for _ in range(2)]
            for group, client in groups.items()
        }
        for group in groups:
            desk.wait_committed(group, dict.fromkeys(partitions, 2))
        views = {group: desk.wait_stable(group, members[group], partitions) for group in groups}
        before = {group: epochs(desk, group) for group in groups}
        if how == "kill":
            broker.kill()
            broker.start()
        else:
            broker.restart()
        desk.reconnect()
        desk.produce(topic, per_partition=2, first=2)
        for group in groups:
            desk.wait_committed(group, dict.fromkeys(partitions, 4))
            assert desk.wait_stable(group, members[group], partitions).members == views[group].members
            assert epochs(desk, group) == before[group]


@pytest.mark.usefixtures("kafka_jars")
def test_tools(quick_desk: Desk) -> None:
    """kafka-console-consumer reads; kafka-consumer-groups shows, resets and deletes."""
    desk = quick_desk
    topic, group = desk.topic("tools"), desk.name("tools")
    desk.produce(topic, per_partition=2)
    arguments = ["--topic", topic, "--group", group, "--from-beginning", "--max-messages", "10"]
    arguments += [
        "--timeout-ms",
        str(int(PATIENCE_S * 1000)),
        "--consumer-property",
        "group.protocol=consumer",
    ]
    assert sorted(desk.tools("kafka-console-consumer", *arguments).split()) == sorted(["0", "1"] * 5)
    member = desk.member("confluent-848", group, topic, client_id="watched")
    desk.wait_stable(group, [member], [(topic, number) for number in range(5)])
    rows = table(desk.tools("kafka-consumer-groups", "--describe", "--group", group))
    assert [(row["CURRENT-OFFSET"], row["LAG"], row["CLIENT-ID"]) for row in rows] == [
        ("2", "0", "watched")
    ] * 5
    listed = table(desk.tools("kafka-consumer-groups", "--list", "--state", "--type", "consumer"))
    assert {"GROUP": group, "TYPE": "Consumer", "STATE": "Stable"} in listed or group in str(listed)
    state = desk.tools("kafka-consumer-groups", "--describe", "--state", "--group", group)
    assert "Stable" in state
    members = desk.tools("kafka-consumer-groups", "--describe", "--members", "--verbose", "--group", group)
    assert "watched" in members
    member.stop()
    desk.tools("kafka-consumer-groups", "--delete", "--group", group)
    assert group not in desk.tools("kafka-consumer-groups", "--list")


@pytest.mark.usefixtures("kafka_jars")
def test_kafka_reads_the_records(quick_desk: Desk) -> None:
    """kafka-dump-log shows the group's records as it shows Kafka's own."""
    desk = quick_desk
    topic, group = desk.topic("dump"), desk.name("dump")
    member = desk.member("confluent-848", group, topic)
    desk.wait_stable(group, [member], [(topic, number) for number in range(5)])
    member.stop()
    partition = TopicPartition("__consumer_offsets", coordinator_partition(group))
    segment = Path(desk.broker.data_dir) / str(partition) / "00000000000000000000.log"
    dump = offline_tool("kafka-dump-log", "--offsets-decoder", "--files", segment)
    ours = [line for line in dump.splitlines() if group in line]
    for kind in ("3", "5", "6", "7", "8"):
        assert any(f'"type":"{kind}"' in line for line in ours), dump
        assert any(f'"type":"{kind}"' in line and "payload:null" not in line for line in ours), dump
    assert '"epoch":1' in dump
    assert '"topicPartitions"' in dump
