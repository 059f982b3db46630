"""DescribeTopicPartitions (key 75), version 0: topics page by page (KIP-966)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.handlers.metadata import ALL_TOPIC_OPERATIONS
from rota.broker.topics import check_topic_name
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseCursor,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(
    broker: Broker, message: DescribeTopicPartitionsRequest, _request: Request
) -> DescribeTopicPartitionsResponse:
    limit = broker.settings.int("max.request.partition.size.limit")
    room = max(
        1, min(message.response_partition_limit, limit)
    )  # a page holds something, or paging never ends
    asked = {topic.name for topic in message.topics}
    names = sorted(asked or {topic.name for topic in broker.topics})
    start = 0
    if message.cursor is not None:
        if message.cursor.partition_index < 0 or (asked and message.cursor.topic_name not in asked):
            return _refused(message)
        names = [name for name in names if name >= message.cursor.topic_name]
        if names and names[0] == message.cursor.topic_name:
            start = message.cursor.partition_index
    response = DescribeTopicPartitionsResponse()
    for name in names:
        if room <= 0:
            response.next_cursor = DescribeTopicPartitionsResponseCursor(
                topic_name=name, partition_index=start
            )
            break
        described, following = _describe(broker, name, start, room)
        response.topics.append(described)
        room -= len(described.partitions)
        if following is not None:
            response.next_cursor = DescribeTopicPartitionsResponseCursor(
                topic_name=name, partition_index=following
            )
            break
        start = 0
    return response


def _refused(message: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse:
    """The cursor is none that an answer can have given; the message has a place for errors in topics only."""
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name=topic.name)
            for topic in message.topics
        ]
    )


def _describe(
    broker: Broker, name: str, start: int, room: int
) -> tuple[DescribeTopicPartitionsResponseTopic, int | None]:
    """The topic's partitions from ``start``, at most ``room``, and the first one left out, if any."""
    topic = broker.topics.get(name)
    if topic is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        try:
            check_topic_name(name)
        except KafkaError as error:
            code = error.code
        missing = DescribeTopicPartitionsResponseTopic(
            error_code=code, name=name, topic_authorized_operations=ALL_TOPIC_OPERATIONS
        )
        return missing, None
    stop = min(topic.partitions, start + room)
    nodes = [broker.node_id]
    described = DescribeTopicPartitionsResponseTopic(
        name=name,
        topic_id=topic.id,
        is_internal=topic.is_internal,
        topic_authorized_operations=ALL_TOPIC_OPERATIONS,
        partitions=[
            DescribeTopicPartitionsResponsePartition(
                partition_index=index,
                leader_id=broker.node_id,
                leader_epoch=broker.leader_epoch,
                replica_nodes=nodes,
                isr_nodes=nodes,
                eligible_leader_replicas=[],
                last_known_elr=[],
            )
            for index in range(start, stop)
        ],
    )
    return described, stop if stop < topic.partitions else None
