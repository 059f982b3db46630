"""Groups as their coordinators tell of them, on both brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kafka.ports import wait_until

from rota.admin import AdminError, At, scan
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts, GroupListing

if TYPE_CHECKING:
    from tests.clients.desk import Desk

    from rota.admin import Admin


def facts(admin: Admin, group: str) -> GroupFacts:
    found = admin.describe_groups([group])[group]
    assert isinstance(found, GroupFacts), found
    return found


def test_a_classic_group_is_listed_described_and_read(admin: Admin, desk: Desk) -> None:
    topic, group = desk.topic("orders", 4), desk.name("classic")
    desk.produce(topic, 3, 4)
    members = [
        desk.member("confluent", group, topic, commit_each_poll=True, instance_id=f"i{n}") for n in (1, 2)
    ]
    partitions = [TopicPartition(topic, number) for number in range(4)]
    desk.wait_stable(group, members, partitions)
    desk.wait_committed(group, dict.fromkeys(partitions, 3))

    listed, failure = admin.list_groups()
    assert failure is None
    assert GroupListing(group, "Classic", "Stable", "consumer") in listed
    found = facts(admin, group)
    assert (found.type, found.state, found.assignor, found.epoch) == ("Classic", "Stable", "range", None)
    assert found.coordinator == admin.nodes()[0]
    assert sorted(found.owners()) == partitions
    for member in found.members:
        assert member.subscription == frozenset({topic})
        assert member.instance_id in {"i1", "i2"}
        assert member.host == "/127.0.0.1"
        assert member.target is None
    assert admin.commits([group]) == {group: {tp: Commit(3, 0) for tp in partitions}}


def test_a_consumer_group_shows_epochs_and_targets(admin: Admin, desk: Desk) -> None:
    topic, group = desk.topic("orders", 4), desk.name("modern")
    desk.produce(topic, 3, 4)
    desk.member("confluent-848", group, topic, commit_each_poll=True)
    partitions = [TopicPartition(topic, number) for number in range(4)]
    desk.wait_committed(group, dict.fromkeys(partitions, 3))

    listed, _ = admin.list_groups(types=["consumer"])
    assert [each for each in listed if each.group == group] == [
        GroupListing(group, "Consumer", "Stable", "consumer")
    ]
    assert {each.type for each in listed} == {"Consumer"}
    found = facts(admin, group)
    assert (found.type, found.state) == ("Consumer", "Stable")
    assert found.epoch == found.target_epoch == found.members[0].epoch
    assert found.members[0].target == found.members[0].assignment == tuple(partitions)
    assert found.members[0].upgraded is True
    assert found.members[0].subscription == frozenset({topic})


def test_what_does_not_exist_is_said_in_its_place(admin: Admin, desk: Desk) -> None:
    topic, nobody = desk.topic("orders", 2), desk.name("nobody")
    missing, beyond = TopicPartition(desk.name("missing"), 0), TopicPartition(topic, 7)
    assert facts(admin, nobody).state == "Dead"
    assert not facts(admin, nobody).exists
    assert admin.commits([nobody]) == {nobody: {}}
    offsets = admin.offsets([TopicPartition(topic, 0), missing, beyond])
    assert offsets.pop(TopicPartition(topic, 0)) == 0
    for answer in offsets.values():
        assert isinstance(answer, AdminError)
        assert "does not exist" in str(answer)
    topics = admin.topics([topic, missing.topic], ["cleanup.policy"])
    assert isinstance(topics[missing.topic], RotaError)
    known = topics[topic]
    assert not isinstance(known, RotaError)
    assert known.configs == {"cleanup.policy": "delete"}
    assert known.partitions.keys() == {0, 1}


def test_one_look_has_groups_commits_and_ends(admin: Admin, desk: Desk) -> None:
    topic, classic, modern = desk.topic("orders", 3), desk.name("classic"), desk.name("modern")
    desk.produce(topic, 5, 3)
    desk.member("confluent", classic, topic, commit_each_poll=True)
    desk.member("confluent-848", modern, topic, commit_each_poll=True)
    partitions = [TopicPartition(topic, number) for number in range(3)]
    for group in (classic, modern):
        desk.wait_committed(group, dict.fromkeys(partitions, 5))
    desk.produce(topic, 2, 3, first=5)
    wait_until("the new records are seen", lambda: set(admin.offsets(partitions, At.LATEST).values()) == {7})

    whole = scan(admin)
    assert {classic, modern} <= whole.groups.keys()
    assert not whole.failures
    one = scan(admin, [classic, modern])
    assert one.groups.keys() == one.commits.keys() == {classic, modern}
    assert one.partitions.keys() == set(partitions)
    for facts_ in one.partitions.values():
        assert (facts_.start, facts_.end, facts_.stable) == (0, 7, 7)
    assert one.topics[topic].partitions.keys() == {0, 1, 2}
