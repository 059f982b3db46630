"""Committed offsets: where a group goes on, what seeking and auto-commit do, what an outsider may change."""

import confluent_kafka
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from tests.clients.desk import Desk
from tests.clients.kinds import FRANZ_GO, WITH_FRANZ_GO
from tests.clients.member import Steered


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_group_resumes_where_it_committed(desk: Desk, client: str) -> None:
    check_resume(desk, client)


@pytest.mark.usefixtures("kafka_jars")
def test_java_group_resumes_where_it_committed(desk: Desk) -> None:
    check_resume(desk, "java")


def check_resume(desk: Desk, client: str) -> None:
    topic, group = desk.topic("resume"), desk.name("resume")
    partitions = desk.produce(topic, per_partition=4)
    first = desk.member(client, group, topic, commit_each_poll=True)
    first.wait_records(20)
    desk.wait_committed(group, dict.fromkeys(partitions, 4))
    first.stop()
    desk.produce(topic, per_partition=2, first=4)
    second = desk.member(client, group, topic, commit_each_poll=True)
    records = second.wait_records(10)
    desk.wait_committed(group, dict.fromkeys(partitions, 6))
    assert sorted((r.topic, r.partition, r.offset) for r in records) == sorted(
        (topic, number, offset) for topic, number in partitions for offset in (4, 5)
    )


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_seek_reads_again(desk: Desk, client: str) -> None:
    topic, group = desk.topic("seek", 1), desk.name("seek")
    desk.produce(topic, per_partition=5, partitions=1)
    member = desk.member(client, group, topic)
    assert isinstance(member, Steered)
    member.wait_records(5)
    member.seek(topic, 0, 3)
    records = member.wait_records(7)
    assert [record.offset for record in records] == [0, 1, 2, 3, 4, 3, 4]


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_auto_commit_comes_by_itself(desk: Desk, client: str) -> None:
    topic, group = desk.topic("auto"), desk.name("auto")
    partitions = desk.produce(topic, per_partition=3)
    desk.member(client, group, topic, auto_commit_ms=200).wait_records(15)
    desk.wait_committed(group, dict.fromkeys(partitions, 3))


@pytest.mark.parametrize("client", ["confluent", FRANZ_GO])
def test_crash_before_the_auto_commit_repeats_records(desk: Desk, client: str) -> None:
    topic, group = desk.topic("repeat"), desk.name("repeat")
    desk.produce(topic, per_partition=3)
    crashing = desk.process_member(client, group, topic, auto_commit_ms=60_000, session_timeout_ms=2_000)
    read = crashing.wait_records(15)
    crashing.kill()
    assert desk.committed(group) == {}
    again = desk.member(client, group, topic).wait_records(15)
    assert {(r.partition, r.offset) for r in again} == {(r.partition, r.offset) for r in read}


def test_outsider_may_set_offsets_of_an_empty_group_only(desk: Desk) -> None:
    topic, group = desk.topic("outsider"), desk.name("outsider")
    partitions = desk.produce(topic, per_partition=3)
    set_offsets(desk, group, topic, 1)
    assert desk.committed(group) == dict.fromkeys(partitions, 1)
    member = desk.member("confluent", group, topic)
    member.wait_records(10)
    with pytest.raises(KafkaException) as refused:
        set_offsets(desk, group, topic, 2)
    assert refused.value.args[0].code() == KafkaError.UNKNOWN_MEMBER_ID
    assert desk.committed(group) == dict.fromkeys(partitions, 1)


def set_offsets(desk: Desk, group: str, topic: str, offset: int) -> None:
    wanted = [confluent_kafka.TopicPartition(topic, number, offset) for number in range(5)]
    request = [ConsumerGroupTopicPartitions(group, wanted)]
    for partition in desk.admin.alter_consumer_group_offsets(request)[group].result(30).topic_partitions:
        if partition.error is not None:
            raise KafkaException(partition.error)


def test_group_with_members_cannot_be_deleted_and_an_empty_one_can(desk: Desk) -> None:
    topic, group = desk.topic("delete"), desk.name("delete")
    desk.produce(topic, per_partition=1)
    member = desk.member("confluent", group, topic, commit_each_poll=True)
    member.wait_records(5)
    error = desk.admin.delete_consumer_groups([group])[group].exception(30)
    assert error is not None
    assert error.args[0].code() == KafkaError.NON_EMPTY_GROUP
    member.stop()
    desk.admin.delete_consumer_groups([group])[group].result(30)
    assert desk.committed(group) == {}
