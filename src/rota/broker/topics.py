"""The topics of this broker: names, ids, partitions, configuration, and their logs.

What is known of a topic is kept in the data directory's metadata store, its records in one log a partition.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rota.broker.configs import TOPIC, nearest
from rota.broker.group_names import INTERNAL
from rota.broker.storage_errors import storing
from rota.broker.topic_settings import log_config
from rota.ids import random_uuid
from rota.model import ErrorCode, KafkaError, RotaError, TopicPartition
from rota.plain import Plain, replace

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.storage import Log, LogConfig

__all__ = ["Topic", "Topics", "check_topic_configs", "check_topic_name"]

log = logging.getLogger(__name__)

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class Topic(Plain, frozen=False):
    """One topic; ``configs`` holds only what was set for it."""

    name: str
    id: bytes
    partitions: int
    configs: dict[str, str]

    @property
    def is_internal(self) -> bool:
        """Kept by the broker for itself."""
        return self.name in INTERNAL


class Topics:
    """Creates, finds and deletes topics. Iterates in the order of names."""

    MOST_PARTITIONS = 100_000
    MOST_OF_A_REQUEST = 10_000
    """Partitions that one request may make, as in Kafka: nobody else is answered meanwhile."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._directory = broker.directory
        self._topics: dict[str, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}
        self._logs: dict[tuple[str, int], Log] = {}
        self.version = 0
        """Changes whenever a topic is created, deleted or given more partitions."""
        self._is_ready = False  # until then logs are those of an earlier run
        for name, stored in self._directory.metadata.topics.items():
            topic = Topic(name, stored.id, stored.partitions, dict(stored.configs))
            self._topics[name] = topic
            self._by_id[topic.id] = topic
            self._open_logs(topic, range(topic.partitions))
        self._is_ready = True

    # --- finding --------------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return name in self._topics

    def __iter__(self) -> Iterator[Topic]:
        return iter([self._topics[name] for name in sorted(self._topics)])

    def get(self, name: str) -> Topic | None:
        """The topic of that name, or None."""
        return self._topics.get(name)

    def by_id(self, topic_id: bytes) -> Topic | None:
        """The topic with that id (16 bytes), or None."""
        return self._by_id.get(topic_id)

    def partitions(self, name: str) -> int | None:
        """How many partitions a topic has, or None: what the coordinator needs to know of topics."""
        topic = self._topics.get(name)
        return topic.partitions if topic else None

    def topic_id(self, name: str) -> bytes | None:
        """The id of a topic, or None."""
        topic = self._topics.get(name)
        return topic.id if topic else None

    def topic_name(self, topic_id: bytes) -> str | None:
        """The name of the topic with that id, or None."""
        topic = self._by_id.get(topic_id)
        return topic.name if topic else None

    def names(self) -> Iterator[str]:
        """The topics that clients see, in the order of names."""
        return (topic.name for topic in self if not topic.is_internal)

    def count(self, name: str) -> int:
        """How many partitions a topic that exists has."""
        return self._topics[name].partitions

    def find_log(self, name: str, partition: int) -> Log | None:
        """The log of a partition, or None."""
        return self._logs.get((name, partition))

    def find_log_by_id(self, topic_id: bytes, partition: int) -> Log | None:
        """The log of a partition of the topic with that id (16 bytes), or None."""
        topic = self._by_id.get(topic_id)
        return None if topic is None else self._logs.get((topic.name, partition))

    def log(self, tp: TopicPartition | tuple[str, int]) -> Log:
        """The log of a partition that exists."""
        return self._logs[tp]

    def logs(self) -> Iterator[tuple[TopicPartition, Log]]:
        """Every partition and its log."""
        for (name, partition), each in self._logs.items():
            yield TopicPartition(name, partition), each

    # --- changing -------------------------------------------------------------------------------------------

    def check_free(self, name: str) -> None:
        """Raise ``KafkaError`` if the name is taken, or collides with another in metric names."""
        if name in self._topics:
            raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name} exists already")
        if "." in name or "_" in name:
            folded = name.replace(".", "_")
            for other in self._topics:
                if other.replace(".", "_") == folded:
                    raise KafkaError(
                        ErrorCode.INVALID_TOPIC_EXCEPTION,
                        f"topic {name} collides with {other}: names may not differ in '.' and '_' alone",
                    )

    def create(self, name: str, partitions: int, configs: Mapping[str, str]) -> Topic:
        """Create a topic whose name and configuration have been checked."""
        topic = Topic(name, random_uuid(), partitions, dict(configs))
        with storing(f"topic {name}"):
            self._open_logs(topic, range(partitions))
            self._store_with_new(topic, range(partitions))
        self._topics[name] = topic
        self._by_id[topic.id] = topic
        self.version += 1
        return topic

    def take_back(self, name: str) -> None:
        """Undo ``create``: that there is such a topic could not be written down."""
        topic = self._topics.pop(name)
        del self._by_id[topic.id]
        self.version += 1
        self._drop_logs(topic, range(topic.partitions))

    def create_automatically(self, name: str) -> Topic:
        """Create a topic because a client asked for it."""
        self.check_free(name)
        return self.create(name, self._broker.settings.int("num.partitions"), {})

    def add_partitions(self, name: str, count: int) -> None:
        """Raise the partition count to ``count``. Raises ``KafkaError``; nothing has changed then."""
        topic = self._topics[name]
        added = range(topic.partitions, count)
        with storing(f"partitions of topic {name}"):
            self._open_logs(topic, added)
            self._store_with_new(replace(topic, partitions=count), added)
        topic.partitions = count
        self.version += 1

    def set_configs(self, name: str, configs: Mapping[str, str]) -> None:
        """Replace what is set for a topic, and let its logs follow. Raises ``OSError``; nothing has changed then."""
        topic = self._topics[name]
        self._store(replace(topic, configs=dict(configs)))
        topic.configs = dict(configs)
        self.refresh(topic)

    def refresh(self, topic: Topic) -> None:
        """Give a topic's logs their configuration again: it, or a broker default, has changed."""
        config = self._log_config(topic)
        for partition in range(topic.partitions):
            self._logs[topic.name, partition].update_config(config)
            self._broker.watch_flushes(self._logs[topic.name, partition])

    def write_off(self, names: Sequence[str]) -> None:
        """Write down that all these are deleted, by one write; where that fails, ``delete`` tries it one by one.

        One by one from the start, thousands would keep everybody waiting for minutes.
        """
        if len(names) > 1:
            metadata = self._directory.metadata
            with suppress(OSError), metadata.at_once():
                for name in names:
                    metadata.remove_topic(name)

    def delete(self, name: str) -> list[Log]:
        """Delete a topic and its records; the logs that are no more. Raises ``KafkaError`` if nothing was."""
        topic = self._topics[name]
        with storing(f"the deletion of topic {name}"):
            self._directory.metadata.remove_topic(name)
        del self._topics[name], self._by_id[topic.id]
        self.version += 1
        return self._drop_logs(topic, range(topic.partitions))

    def _drop_logs(self, topic: Topic, partitions: range) -> list[Log]:
        """Remove those logs that are open, with their files; what cannot be removed is stray from now on."""
        dropped = []
        for partition in partitions:
            tp = TopicPartition(topic.name, partition)
            gone = self._logs.pop(tp, None)
            if gone is not None:
                dropped.append(gone)
                try:
                    self._directory.delete(tp)
                except OSError as error:
                    log.error("the directory of %s cannot be removed: %s", tp, error.strerror)
        return dropped

    def _open_logs(self, topic: Topic, partitions: range) -> None:
        """Open or create logs: all of them, or none. Raises ``OSError``."""
        config = self._log_config(topic)
        now_ms = self._broker.clock.now_ms()
        for partition in partitions:
            tp = TopicPartition(topic.name, partition)
            try:
                self._logs[tp] = self._directory.open_log(tp, topic.id, config, now_ms=now_ms)
                self._broker.watch_flushes(self._logs[tp])
            except OSError:
                if self._is_ready:  # at the start, what is on the disk is not touched
                    self._drop_logs(topic, partitions)
                raise

    def _store_with_new(self, topic: Topic, added: range) -> None:
        """Write down a topic whose logs ``added`` were made for it; they go again if that fails."""
        try:
            self._store(topic)
        except OSError:
            self._drop_logs(topic, added)
            raise

    def _log_config(self, topic: Topic) -> LogConfig:
        return log_config(topic.configs, self._broker.settings)

    def _store(self, topic: Topic) -> None:
        self._directory.metadata.put_topic(topic.name, topic.id, topic.partitions, topic.configs)


def check_topic_name(name: str) -> None:
    """Raise ``KafkaError`` INVALID_TOPIC_EXCEPTION unless ``name`` is one that Kafka allows."""
    if not name:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, "a topic's name cannot be empty")
    if name in {".", ".."} or not _LEGAL_NAME.fullmatch(name):
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"topic name {name[:260]!r}: 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_', '-' are allowed",
        )


def check_topic_configs(configs: Mapping[str, str]) -> None:
    """Raise ``KafkaError`` INVALID_CONFIG for a name that is no topic config or a value it cannot have."""
    for name, value in configs.items():
        definition = TOPIC.get(name)
        if definition is None:
            near = nearest(name, TOPIC)
            hint = f"; did you mean {near}?" if near else ""
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"unknown topic config {name!r}{hint}")
        try:
            definition.parse(value)
        except RotaError as error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from error
