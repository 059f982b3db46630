"""How far logs reach, and which offset belongs to a time: ListOffsets."""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from rota.admin.asking import Question, ask_in_chunks
from rota.admin.errors import error_of
from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers
    from rota.admin.topics import Topics
    from rota.model import RotaError

__all__ = ["At", "Position", "list_offsets", "positions"]

PARTITIONS_AT_ONCE = 2_000
_CONSUMER = -1
_READ_UNCOMMITTED, _READ_COMMITTED = 0, 1
NEWEST_FROM = 7
"""The version of ListOffsets that knows of the record with the latest timestamp (KIP-734)."""


class At(IntEnum):
    """Which offset; any other number is a timestamp in milliseconds since 1970: the first record from then on."""

    LATEST = -1
    """The next record's: the high watermark."""
    EARLIEST = -2
    """The first that is still kept."""
    MAX_TIMESTAMP = -3
    """That of the record with the latest timestamp."""
    STABLE = -1_000
    """The last stable offset: how far readers of committed records come."""


class Position(NamedTuple):
    """``offset`` is None where there is no such record; ``timestamp_ms`` where none was asked about."""

    offset: int | None
    timestamp_ms: int | None = None
    leader_epoch: int | None = None


async def positions(
    brokers: Brokers,
    topics: Topics,
    wanted: Collection[TopicPartition],
    at: int | Mapping[TopicPartition, int],
    timeout_s: float,
) -> dict[TopicPartition, Position | RotaError]:
    """One offset of each partition, from its leader; ``at`` may differ from partition to partition."""

    async def ask(
        connection: Connection, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, Position | KafkaError]:
        assert connection.versions is not None
        if at == At.MAX_TIMESTAMP and connection.versions.best(ListOffsetsRequest.api_key) < NEWEST_FROM:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
        return await ask_in_chunks(
            partitions, PARTITIONS_AT_ONCE, lambda each: list_offsets(connection, each, at)
        )

    question = Question(
        brokers,
        places=topics.leaders,
        forget=topics.forget,
        ask=ask,
        doing=lambda tp: f"read offsets of partition {tp}",
    )
    return await question.answer(wanted, timeout_s)


async def list_offsets(
    connection: Connection, partitions: list[TopicPartition], at: int | Mapping[TopicPartition, int]
) -> dict[TopicPartition, Position | KafkaError]:
    """One offset of each partition that is led at the other end."""
    by_topic: defaultdict[str, list[ListOffsetsPartition]] = defaultdict(list)
    for tp in partitions:
        timestamp = at if isinstance(at, int) else at[tp]
        if timestamp == At.STABLE:
            timestamp = At.LATEST
        by_topic[tp.topic].append(
            ListOffsetsPartition(partition_index=tp.partition, timestamp=int(timestamp))
        )
    request = ListOffsetsRequest(
        replica_id=_CONSUMER,
        isolation_level=_READ_COMMITTED if at == At.STABLE else _READ_UNCOMMITTED,
        topics=[ListOffsetsTopic(name=name, partitions=parts) for name, parts in by_topic.items()],
    )
    answer = await connection.ask(request, ListOffsetsResponse)
    found: dict[TopicPartition, Position | KafkaError] = {}
    for topic in answer.topics:
        for part in topic.partitions:
            found[TopicPartition(topic.name, part.partition_index)] = error_of(part.error_code) or Position(
                part.offset if part.offset >= 0 else None,
                part.timestamp if part.timestamp >= 0 else None,
                part.leader_epoch if part.leader_epoch >= 0 else None,
            )
    return found
