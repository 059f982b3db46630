"""Topics and keyed records: made with one client, seen by all, the same key in the same partition
everywhere.
"""

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.admin import NewTopic as AioNewTopic
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaAdminClient, KafkaProducer  # type: ignore[import-untyped]
from kafka.admin import NewTopic as PythonNewTopic  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from tests.clients.desk import Desk

USERS = [f"user-{number}" for number in range(40)]

# Where the murmur2 of Kafka's Java client puts these keys among five partitions (its own tool's answer).
KNOWN = {"user-0": 3, "user-1": 3, "user-2": 1, "user-3": 2, "user-4": 2}


def test_topics_made_by_any_client_are_described_alike(desk: "Desk") -> None:
    by_confluent, by_python, by_aio = (desk.name(hint) for hint in ("confluent", "python", "aio"))
    desk.admin.create_topics([NewTopic(by_confluent, 3, 1)])[by_confluent].result(30)
    python = KafkaAdminClient(bootstrap_servers=desk.bootstrap_servers)
    python.create_topics([PythonNewTopic(by_python, 3, 1)])
    python.close()

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=desk.bootstrap_servers)
        await admin.start()
        await admin.create_topics([AioNewTopic(by_aio, 3, 1)])
        await admin.close()

    asyncio.run(create())
    for name in (by_confluent, by_python, by_aio):
        desk.wait_topic(name, 3)
        partitions = desk.admin.list_topics(name, timeout=10).topics[name].partitions
        assert {number: (p.leader, p.replicas, p.isrs) for number, p in partitions.items()} == {
            number: (1, [1], [1]) for number in range(3)
        }


def test_topic_that_exists_cannot_be_made_again(desk: "Desk") -> None:
    topic = desk.topic()
    error = desk.admin.create_topics([NewTopic(topic, 1, 1)])[topic].exception(30)
    assert error is not None
    assert error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


def test_deleted_topic_is_gone(desk: "Desk") -> None:
    topic = desk.topic()
    desk.admin.delete_topics([topic])[topic].result(30)
    assert topic not in desk.admin.list_topics(timeout=10).topics
    again = desk.admin.delete_topics([topic])[topic].exception(30)
    assert again is not None
    assert again.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.usefixtures("kafka_jars")
def test_same_key_goes_to_the_same_partition_from_every_client(desk: "Desk") -> None:
    topics = {client: desk.topic(client) for client in ("librdkafka", "kafka-python", "aiokafka", "java")}
    produce_with_librdkafka(desk.bootstrap_servers, topics["librdkafka"])
    produce_with_kafka_python(desk.bootstrap_servers, topics["kafka-python"])
    asyncio.run(produce_with_aiokafka(desk.bootstrap_servers, topics["aiokafka"]))
    desk.tools(
        "kafka-console-producer",
        *("--topic", topics["java"], "--property", "parse.key=true", "--property", "key.separator=:"),
        stdin="".join(f"{user}:x\n" for user in USERS),
    )
    placed = {client: placement(desk.bootstrap_servers, topic) for client, topic in topics.items()}
    for client, placement_there in placed.items():
        assert placement_there == placed["java"], client
        assert placement_there.keys() == set(USERS)
    assert {user: placed["java"][user] for user in KNOWN} == KNOWN


def produce_with_librdkafka(bootstrap_servers: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random"})
    for user in USERS:
        producer.produce(topic, b"x", key=user.encode())
    assert producer.flush(30) == 0


def produce_with_kafka_python(bootstrap_servers: str, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers)
    for sent in [producer.send(topic, b"x", key=user.encode()) for user in USERS]:
        sent.get(30)
    producer.close()


async def produce_with_aiokafka(bootstrap_servers: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
        for user in USERS:
            await producer.send(topic, b"x", key=user.encode())
        await producer.flush()


def placement(bootstrap_servers: str, topic: str) -> dict[str, int]:
    """Partition by key, read from the beginning of all five partitions."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "not-used", "enable.auto.commit": False}
    )
    found: dict[str, int] = {}
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(5)])
        while len(found) < len(USERS):
            message = consumer.poll(10)
            assert message is not None, f"only {len(found)} keys arrived"
            assert message.error() is None
            key, partition = message.key(), message.partition()
            assert isinstance(key, bytes)
            assert partition is not None
            assert found.setdefault(key.decode(), partition) == partition
    finally:
        consumer.close()
    return found


@pytest.mark.usefixtures("kafka_jars")
def test_console_consumer_prints_key_partition_and_offset_from_the_beginning(desk: "Desk") -> None:
    topic = desk.topic("console", 2)
    desk.produce(topic, per_partition=2, partitions=2)
    shown = desk.tools(
        "kafka-console-consumer",
        *("--topic", topic, "--from-beginning", "--max-messages", "4", "--timeout-ms", "20000"),
        *(
            "--property",
            "print.key=true",
            "--property",
            "print.partition=true",
            "--property",
            "print.offset=true",
        ),
    )
    assert sorted(shown.splitlines()) == [
        f"Partition:{partition}\tOffset:{offset}\t{partition}-{offset}\t{offset}"
        for partition in range(2)
        for offset in range(2)
    ]


@pytest.mark.usefixtures("kafka_jars")
def test_kafka_topics_creates_describes_grows_and_deletes(desk: "Desk") -> None:
    topic = desk.name("web-events-partitioned")
    assert f"Created topic {topic}." in desk.tools(
        "kafka-topics", "--create", "--topic", topic, "--partitions", "3"
    )
    described = desk.tools("kafka-topics", "--describe", "--topic", topic).splitlines()
    summary = dict(field.split(": ", 1) for field in described[0].split("\t") if ": " in field)
    assert summary["Topic"] == topic
    assert summary["PartitionCount"] == "3"
    assert summary["ReplicationFactor"] == "1"
    assert [line.split("\t")[1:6] for line in described[1:]] == [
        [f"Topic: {topic}", f"Partition: {number}", "Leader: 1", "Replicas: 1", "Isr: 1"]
        for number in range(3)
    ]
    desk.tools("kafka-topics", "--alter", "--topic", topic, "--partitions", "5")
    desk.wait_topic(topic, 5)
    assert topic in desk.tools("kafka-topics", "--list").splitlines()
    desk.tools("kafka-topics", "--delete", "--topic", topic)
    assert topic not in desk.admin.list_topics(timeout=10).topics
