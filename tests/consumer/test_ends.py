"""Where partitions end, as far as the client knows, and as the brokers say; on Rota's broker and on Apache Kafka."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from confluent_kafka import Producer
from tests.clients.desk import Desk
from tests.kafka.ports import wait_until

from rota.consumer.kafka import KafkaClient
from rota.model import TopicPartition


class Member:
    """So much of an engine that records are fetched."""

    def __init__(self, client: KafkaClient) -> None:
        self.client = client
        self.ours: list[TopicPartition] = []

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.client.start(dict.fromkeys(partitions))
        self.ours = list(partitions)

    def revoked(self, _partitions: Sequence[TopicPartition]) -> None:
        self.ours = []

    lost = revoked


def test_a_client_that_does_not_fetch_knows_the_end_only_if_it_asks(desk: Desk) -> None:
    topic, group = desk.topic(partitions=2), desk.name("group")
    client = KafkaClient(
        {
            "bootstrap.servers": desk.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        },
        logging.getLogger("test"),
    )
    member = Member(client)
    producer = Producer({"bootstrap.servers": desk.bootstrap_servers})
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    found: list[object] = []

    def fetched() -> int:
        found.extend(client.consume(100, 0.05))
        return len(found)

    try:
        for _ in range(3):
            producer.produce(topic, b"x", partition=0)
        producer.flush(60)
        client.subscribe([topic], member)
        wait_until("the records are there", lambda: fetched() == 3)
        assert client.ends([first])[first] == 3
        client.pause([first])
        for _ in range(2):  # a fetch that was under way may still bring the first four
            for _ in range(4):
                producer.produce(topic, b"x", partition=0)
            producer.flush(60)
            client.consume(100, 0.5)
        assert client.ends([first])[first] < 11  # as old as the last fetch
        assert client.ask_ends([first, second], 60) == {first: 11, second: 0}
        assert client.ask_ends([], 60) == {}
    finally:
        client.close()
