"""The broker stops or crashes under a working group: the group goes on, without a rebalance and without a
loss.
"""

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from tests.clients.desk import Desk
from tests.clients.kinds import FRANZ_GO, TOGETHER
from tests.kafka.ports import PATIENCE_S

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.member import Member


@pytest.mark.parametrize("clients", TOGETHER, ids=["python", "franz-go"])
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_groups_live_through_a_restart_of_the_broker(
    own_broker: "BrokerUnderTest", how: str, clients: tuple[str, ...]
) -> None:
    """Members of each library in a group of their own: nothing acknowledged is lost, and a client that only
    waits for the broker is not rebalanced.
    """
    with Desk(own_broker) as desk:
        topic = desk.topic("restart")
        partitions = desk.produce(topic, per_partition=2)
        members: dict[str, list[Member]] = {}
        groups = {client: desk.name(f"restart-{client}") for client in clients}
        settings: dict[str, Any] = {"session_timeout_ms": 30_000, "commit_each_poll": True}
        for client, group in groups.items():
            members[client] = [desk.member(client, group, topic, **settings) for _ in range(2)]
        for group in groups.values():
            desk.wait_committed(group, dict.fromkeys(partitions, 2))
        before = {client: desk.wait_stable(groups[client], members[client], partitions) for client in clients}
        generations = {client: desk.generation(group) for client, group in groups.items()}

        if how == "kill":
            own_broker.kill()
            own_broker.start()
        else:
            own_broker.restart()

        desk.reconnect()
        produce_after(desk, topic)
        for client, group in groups.items():
            desk.wait_committed(group, dict.fromkeys(partitions, 4))
            after = desk.wait_stable(group, members[client], partitions)
            assert after.members == before[client].members
            if client == FRANZ_GO:
                continue  # it joins again, under its old member id, whenever a heartbeat could not be sent
            assert desk.generation(group) == generations[client]
            for member in members[client]:
                assert member.kinds().count("assigned") <= 2  # joined, made room for the other; then no more
                offsets = [(record.partition, record.offset) for record in member.records]
                assert len(offsets) == len(set(offsets)), "delivered twice"


def produce_after(desk: Desk, topic: str) -> None:
    """Two more records in each partition; the producer waits for the broker by itself."""
    producer = Producer(
        {"bootstrap.servers": desk.bootstrap_servers, "enable.idempotence": True, "log_level": 0}
    )
    for partition in range(5):
        for number in (2, 3):
            producer.produce(topic, str(number).encode(), partition=partition)
    assert producer.flush(PATIENCE_S) == 0
