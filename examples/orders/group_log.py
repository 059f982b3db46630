"""What the group itself writes down, in ``__consumer_offsets``: each commit, and who reads what since when."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition as ClientPartition

from rota.cli.offsets_format import read_record
from rota.cluster import Cluster
from rota.coordinator import partition_for
from rota.wire.codec import decode_versioned
from rota.wire.messages.consumer_protocol import ConsumerProtocolAssignment
from rota.wire.messages.group_log import GroupMetadataKey, OffsetCommitKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from confluent_kafka import Message

__all__ = ["Commit", "Generation", "GroupLog"]

TOPIC = "__consumer_offsets"


@dataclass(frozen=True, slots=True)
class Commit:
    """From ``at_ms`` on whoever gets the partition begins with this offset."""

    at_ms: int
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Generation:
    """From ``at_ms`` on these clients read these partitions."""

    at_ms: int
    number: int
    reads: Mapping[str, tuple[int, ...]]


class GroupLog:
    """Follows the log of one group from a thread of its own, until it is closed."""

    def __init__(self, bootstrap: str, group: str, heard: Callable[[Commit | Generation], None]) -> None:
        self._group = group
        self._heard = heard
        self._closing = threading.Event()
        cluster = Cluster(bootstrap)
        count = cluster.partition_counts([TOPIC])[TOPIC]
        cluster.close()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "nobody",  # librdkafka wants a name; it joins no group
                "enable.auto.commit": False,
                "fetch.queue.backoff.ms": 10,
            }
        )
        self._consumer.assign([ClientPartition(TOPIC, partition_for(group, count), OFFSET_BEGINNING)])
        self._thread = threading.Thread(target=self._follow, name="the group's log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._closing.set()
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._closing.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                found = self._understood(message)
                if found is not None:
                    self._heard(found)

    def _understood(self, message: Message) -> Commit | Generation | None:
        record = read_record(message)
        if record is None or record.value is None:
            return None
        key: Any = record.key
        value: Any = record.value
        at_ms = int(message.timestamp()[1])
        if isinstance(key, OffsetCommitKey) and key.group == self._group:
            return Commit(at_ms, key.partition, value.offset)
        if isinstance(key, GroupMetadataKey) and key.group == self._group:
            reads = {member.client_id: _partitions(member.assignment) for member in value.members}
            return Generation(at_ms, value.generation, reads)
        return None


def _partitions(assignment: bytes) -> tuple[int, ...]:
    if not assignment:
        return ()
    topics = decode_versioned(ConsumerProtocolAssignment, assignment).assigned_partitions
    return tuple(sorted(partition for topic in topics for partition in topic.partitions))
