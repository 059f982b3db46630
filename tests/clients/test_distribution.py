"""Who gets which partitions: groups of 1, 2, 3, 5 and 6 members on five partitions, grown one step after
another.
"""

from typing import TYPE_CHECKING

import pytest
from tests.clients.desk import Desk

if TYPE_CHECKING:
    from tests.clients.member import Member

SIZES = {1: [5], 2: [3, 2], 3: [2, 2, 1], 5: [1, 1, 1, 1, 1], 6: [1, 1, 1, 1, 1, 0]}

CASES = [
    ("confluent", "range"),
    ("confluent", "roundrobin"),
    ("confluent", "cooperative-sticky"),
    ("kafka-python", "range"),
    ("kafka-python", "sticky"),
    ("kafka-python", "cooperative-sticky"),
    ("aiokafka", "range"),
    ("aiokafka", "roundrobin"),
    ("aiokafka", "sticky"),
]


@pytest.mark.parametrize(("client", "strategy"), CASES)
def test_group_of_one_to_six_members_on_five_partitions(desk: Desk, client: str, strategy: str) -> None:
    check_growth(desk, client, strategy)


@pytest.mark.usefixtures("kafka_jars")
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_java_group_of_one_to_six_members_on_five_partitions(desk: Desk, strategy: str) -> None:
    check_growth(desk, "java", strategy)


def check_growth(desk: Desk, client: str, strategy: str) -> None:
    topic, group = desk.topic("growth"), desk.name("growth")
    partitions = [(topic, number) for number in range(5)]
    members: list[Member] = []
    for size, distribution in SIZES.items():
        while len(members) < size:
            members.append(desk.member(client, group, topic, f"member-{len(members)}", strategy=strategy))
        view = desk.wait_stable(group, members, partitions)
        assert view.sizes() == distribution
        assert view.strategy == strategy
        assert {member.host for member in view.members.values()} == {"/127.0.0.1"}
