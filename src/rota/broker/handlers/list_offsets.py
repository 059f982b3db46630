"""ListOffsets (key 2), versions 1-10: the offset at a time.

Version notes: v2 isolation level; v4 leader epochs; v6 flexible; v7 maximum timestamp (-3); v8 earliest local (-4);
v9 latest tiered (-5); v10 a timeout for remote storage.

Known gaps: there is no tiered storage: -4 is the earliest offset, -5 is unknown (-1).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.storage import Log

__all__ = ["handle"]

_LATEST, _EARLIEST, _MAX_TIMESTAMP, _EARLIEST_LOCAL, _LATEST_TIERED = -1, -2, -3, -4, -5
_FIRST_VERSION = {_MAX_TIMESTAMP: 7, _EARLIEST_LOCAL: 8, _LATEST_TIERED: 9}
_READ_COMMITTED = 1


def handle(broker: Broker, message: ListOffsetsRequest, request: Request) -> ListOffsetsResponse:
    committed_only = message.isolation_level == _READ_COMMITTED
    times_named = Counter(
        (topic.name, partition.partition_index) for topic in message.topics for partition in topic.partitions
    )
    answers: dict[str, dict[int, ListOffsetsPartitionResponse]] = {}
    for topic in message.topics:
        of_topic = answers.setdefault(topic.name, {})
        for partition in topic.partitions:
            index = partition.partition_index
            if times_named[topic.name, index] > 1:
                of_topic[index] = _failure(partition, ErrorCode.INVALID_REQUEST)
            else:
                of_topic[index] = _answer(
                    broker, topic.name, partition, request.version, committed_only=committed_only
                )
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(name=name, partitions=list(of_topic.values()))
            for name, of_topic in answers.items()
        ]
    )


def _answer(
    broker: Broker, topic: str, partition: ListOffsetsPartition, version: int, *, committed_only: bool
) -> ListOffsetsPartitionResponse:
    if partition.timestamp < _LATEST_TIERED or version < _FIRST_VERSION.get(partition.timestamp, 1):
        return _failure(partition, ErrorCode.UNSUPPORTED_VERSION)
    log = broker.topics.find_log(topic, partition.partition_index)
    if log is None:
        return _failure(partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if partition.current_leader_epoch > broker.leader_epoch:
        return _failure(partition, ErrorCode.UNKNOWN_LEADER_EPOCH)
    if 0 <= partition.current_leader_epoch < broker.leader_epoch:
        return _failure(partition, ErrorCode.FENCED_LEADER_EPOCH)
    try:
        offset, timestamp = _find(log, partition.timestamp, committed_only=committed_only)
    except KafkaError as error:
        return _failure(partition, error.code)
    return ListOffsetsPartitionResponse(
        partition_index=partition.partition_index,
        timestamp=timestamp,
        offset=offset,
        leader_epoch=broker.leader_epoch if offset >= 0 else -1,
    )


def _find(log: Log, timestamp: int, *, committed_only: bool) -> tuple[int, int]:
    """Offset and timestamp, -1 where there is none."""
    end = log.last_stable_offset if committed_only else log.high_watermark
    if timestamp == _LATEST:
        return end, -1
    if timestamp in {_EARLIEST, _EARLIEST_LOCAL}:
        return log.log_start_offset, -1
    if timestamp == _LATEST_TIERED:
        return -1, -1
    found = log.max_timestamp() if timestamp == _MAX_TIMESTAMP else log.offset_for_timestamp(timestamp)
    if found is None or found[0] >= end:
        return -1, -1
    return found


def _failure(partition: ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse:
    return ListOffsetsPartitionResponse(
        partition_index=partition.partition_index, error_code=code, timestamp=-1, offset=-1, leader_epoch=-1
    )
