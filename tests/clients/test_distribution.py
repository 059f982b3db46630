"""Who gets which partitions: groups of 1, 2, 3, 5 and 6 members on five partitions, grown step by step.

The planner must agree with the real group: to the partition for range and round-robin, in the sizes for the
sticky strategies, whose ties depend on the members' memories and the library that leads.
"""

from typing import TYPE_CHECKING

import pytest
from tests.clients.desk import Desk, GroupView
from tests.clients.kinds import FRANZ_GO

from rota.coordinator.assignors import ASSIGNORS, MemberSubscription

if TYPE_CHECKING:
    from tests.clients.member import Member, Partition

SIZES = {1: [5], 2: [3, 2], 3: [2, 2, 1], 5: [1, 1, 1, 1, 1], 6: [1, 1, 1, 1, 1, 0]}

CASES = [
    ("confluent", "range"),
    ("confluent", "roundrobin"),
    ("confluent", "cooperative-sticky"),
    ("kafka-python", "range"),
    ("kafka-python", "roundrobin"),
    ("kafka-python", "sticky"),
    ("kafka-python", "cooperative-sticky"),
    ("aiokafka", "range"),
    ("aiokafka", "roundrobin"),
    ("aiokafka", "sticky"),
    *((FRANZ_GO, strategy) for strategy in ("range", "roundrobin", "sticky", "cooperative-sticky")),
]


@pytest.mark.parametrize(("client", "strategy"), CASES)
def test_group_of_one_to_six_members_on_five_partitions(desk: Desk, client: str, strategy: str) -> None:
    check_growth(desk, client, strategy)


@pytest.mark.usefixtures("kafka_jars")
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_java_group_of_one_to_six_members_on_five_partitions(desk: Desk, strategy: str) -> None:
    check_growth(desk, "java", strategy)


@pytest.mark.usefixtures("kafka_jars")
def test_clients_of_four_libraries_share_one_group(desk: Desk) -> None:
    check_mixed(desk, ["java", "confluent", "kafka-python", "aiokafka"])


@pytest.mark.usefixtures("kafka_jars", "franz_go")
@pytest.mark.parametrize("first", ["franz-go", "java"])
def test_franz_go_shares_a_group_with_three_others(desk: Desk, first: str) -> None:
    check_mixed(
        desk, sorted(["java", "confluent", "kafka-python", "franz-go"], key=lambda client: client != first)
    )


def check_mixed(desk: Desk, clients: list[str]) -> None:
    """The first client is there before the others and so leads the group."""
    topic, group = desk.topic("mixed"), desk.name("mixed")
    members = [desk.member(clients[0], group, topic)]
    members[0].wait_owns(5)
    members += [desk.member(client, group, topic) for client in clients[1:]]
    view = desk.wait_stable(group, members, [(topic, number) for number in range(5)])
    assert view.sizes() == [2, 1, 1, 1]
    assert planned(view, topic) == held(view)


def check_growth(desk: Desk, client: str, strategy: str) -> None:
    topic, group = desk.topic("growth"), desk.name("growth")
    partitions = [(topic, number) for number in range(5)]
    members: list[Member] = []
    before: dict[str, frozenset[Partition]] = {}
    for size, distribution in SIZES.items():
        while len(members) < size:
            members.append(desk.member(client, group, topic, f"member-{len(members)}", strategy=strategy))
        view = desk.wait_stable(group, members, partitions)
        assert view.sizes() == distribution
        assert view.strategy == strategy
        assert {member.host for member in view.members.values()} == {"/127.0.0.1"}
        now = held(view)
        plan = planned(view, topic)
        if "sticky" in strategy:
            assert sorted(map(len, plan.values()), reverse=True) == distribution
            # These two strategies move partitions between old members when joins follow each other closely.
            if (client, strategy) not in {("aiokafka", "sticky"), (FRANZ_GO, "sticky")}:
                assert all(now[name] <= kept for name, kept in before.items()), "moved between old members"
        else:
            assert now == plan
        before = now


def held(view: GroupView) -> "dict[str, frozenset[Partition]]":
    """Partitions by client id, as the coordinator tells them."""
    return {name: member.partitions for name, member in view.members.items()}


def planned(view: GroupView, topic: str) -> "dict[str, frozenset[Partition]]":
    """The same as `rota.coordinator.assignors` plans it for these members."""
    names = {member.member_id: name for name, member in view.members.items()}
    subscriptions = {member_id: MemberSubscription(topics=(topic,)) for member_id in names}
    plan = ASSIGNORS[view.strategy](subscriptions, {topic: 5})
    return {
        names[member_id]: frozenset((p.topic, p.partition) for p in share)
        for member_id, share in plan.items()
    }
