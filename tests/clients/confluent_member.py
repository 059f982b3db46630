"""A member behind confluent-kafka (librdkafka)."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from tests.clients.member import Record, ThreadMember


class ConfluentMember(ThreadMember):
    def settings(self) -> dict[str, Any]:
        config = self.config
        settings: dict[str, Any] = {
            "bootstrap.servers": config.bootstrap_servers,
            "group.id": config.group,
            "client.id": config.client_id,
            "partition.assignment.strategy": config.strategy,
            "session.timeout.ms": config.session_timeout_ms,
            "heartbeat.interval.ms": config.heartbeat_interval_ms,
            "max.poll.interval.ms": max(config.max_poll_interval_ms, config.session_timeout_ms),
            "enable.auto.commit": config.auto_commit_ms > 0,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": config.metadata_max_age_ms,
            "fetch.wait.max.ms": 100,
            "log_level": 0,
        }
        if config.auto_commit_ms:
            settings["auto.commit.interval.ms"] = config.auto_commit_ms
        if config.instance_id is not None:
            settings["group.instance.id"] = config.instance_id
        return settings

    def run(self) -> None:
        consumer = Consumer(self.settings())
        self.subscribe(consumer, list(self.config.topics))
        try:
            while not self.stopping.is_set():
                self.run_tasks(consumer)
                message = consumer.poll(0.05)
                if message is not None:
                    self.take(consumer, message)
        finally:
            consumer.close()

    def subscribe(self, consumer: Consumer, topics: list[str]) -> None:
        consumer.subscribe(
            topics,
            on_assign=lambda _, partitions: self.on_assigned(map(_plain, partitions)),
            on_revoke=lambda _, partitions: self.on_revoked(map(_plain, partitions)),
            on_lost=lambda _, partitions: self.on_revoked(map(_plain, partitions), "lost"),
        )

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self.do(lambda consumer: consumer.seek(TopicPartition(topic, partition, offset)))

    def subscribe_to(self, topics: Sequence[str]) -> None:
        self.do(lambda consumer: self.subscribe(consumer, list(topics)))

    def take(self, consumer: Consumer, message: Message) -> None:
        error = message.error()
        if error is not None:
            self.note("error", str(error.name()))
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        self.records.append(Record(topic, partition, offset, _bytes(message.key()), _bytes(message.value())))
        if self.config.commit_each_poll:
            try:
                consumer.commit(message=message, asynchronous=False)
                self.note("committed")
            except KafkaException as failure:
                self.note("error", str(failure))


def _plain(partition: TopicPartition) -> tuple[str, int]:
    return partition.topic, partition.partition


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
