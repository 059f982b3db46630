"""franz-go's producer and admin client (kadm); its group members are in the tests of all clients."""

from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.franz_go_member import FranzGoError, ask_franz_go
from tests.clients.test_topics import KNOWN, USERS, placement, produce_with_librdkafka

if TYPE_CHECKING:
    from tests.clients.desk import Desk

pytestmark = pytest.mark.usefixtures("franz_go")


def ask(desk: "Desk", do: str, **question: object) -> Any:
    return ask_franz_go(desk.bootstrap_servers, do, **question)


def test_topic_made_by_franz_go_is_described_as_others_are(desk: "Desk") -> None:
    topic = desk.name("go")
    assert ask(desk, "create", topic=topic, partitions=3) == 3
    desk.wait_topic(topic, 3)
    partitions = desk.admin.list_topics(topic, timeout=10).topics[topic].partitions
    assert {number: (p.leader, p.replicas, p.isrs) for number, p in partitions.items()} == {
        number: (1, [1], [1]) for number in range(3)
    }
    with pytest.raises(FranzGoError, match="TOPIC_ALREADY_EXISTS"):
        ask(desk, "create", topic=topic, partitions=3)


def test_key_goes_to_the_same_partition_as_from_other_clients(desk: "Desk") -> None:
    ours, theirs = desk.topic("go"), desk.topic("librdkafka")
    answered = ask(desk, "produce", topic=ours, keys=USERS)
    produce_with_librdkafka(desk.bootstrap_servers, theirs)
    assert placement(desk.bootstrap_servers, ours) == answered
    assert answered == placement(desk.bootstrap_servers, theirs)
    assert {user: answered[user] for user in KNOWN} == KNOWN


def test_group_is_described_with_its_lag(desk: "Desk") -> None:
    topic, group = desk.topic("described"), desk.name("described")
    partitions = desk.produce(topic, per_partition=4)
    members = [
        desk.member(client, group, topic, commit_each_poll=True) for client in ("franz-go", "confluent")
    ]
    view = desk.wait_stable(group, members, partitions)
    desk.wait_committed(group, dict.fromkeys(partitions, 4))
    told = ask(desk, "describe", group=group)
    assert (told["state"], told["strategy"]) == ("Stable", "range")
    assert {
        name: (member["member_id"], member["host"], frozenset(map(tuple, member["partitions"])))
        for name, member in told["members"].items()
    } == {name: (member.member_id, member.host, member.partitions) for name, member in view.members.items()}
    for member in members:
        member.stop()
    desk.produce(topic, per_partition=2, first=4)
    assert ask(desk, "lag", group=group, topic=topic) == {str(number): 2 for number in range(5)}


def test_only_an_empty_group_is_reset_and_deleted(desk: "Desk") -> None:
    topic, group = desk.topic("reset"), desk.name("reset")
    partitions = desk.produce(topic, per_partition=4)
    member = desk.member("franz-go", group, topic, commit_each_poll=True)
    member.wait_records(20)
    desk.wait_committed(group, dict.fromkeys(partitions, 4))
    reset = {"group": group, "topic": topic, "partitions": 5, "offset": 1}
    with pytest.raises(FranzGoError, match="UNKNOWN_MEMBER_ID"):
        ask(desk, "reset", **reset)
    with pytest.raises(FranzGoError, match="NON_EMPTY_GROUP"):
        ask(desk, "delete", group=group)
    assert desk.committed(group) == dict.fromkeys(partitions, 4)
    member.stop()

    ask(desk, "reset", **reset)
    assert ask(desk, "offsets", group=group, topic=topic) == {str(number): 1 for number in range(5)}
    again = desk.member("franz-go", group, topic)
    assert {record.offset for record in again.wait_records(15)} == {1, 2, 3}
    again.stop()
    ask(desk, "delete", group=group)
    assert desk.committed(group) == {}
    with pytest.raises(FranzGoError, match="GROUP_ID_NOT_FOUND"):
        ask(desk, "delete", group=group)
