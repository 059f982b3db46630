"""DescribeProducers (key 61), version 0: the idempotent producers a partition remembers (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: DescribeProducersRequest, _request: Request) -> DescribeProducersResponse:
    wanted: dict[str, dict[int, None]] = {}  # whoever names a partition twice is told once
    for topic in message.topics:
        wanted.setdefault(topic.name, {}).update(dict.fromkeys(topic.partition_indexes))
    return DescribeProducersResponse(
        topics=[
            TopicResponse(name=name, partitions=[_describe(broker, name, index) for index in indexes])
            for name, indexes in wanted.items()
        ]
    )


def _describe(broker: Broker, topic: str, partition: int) -> PartitionResponse:
    answer = PartitionResponse(partition_index=partition)
    log = broker.topics.find_log(topic, partition)
    if log is None:
        answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return answer
    answer.active_producers = [
        ProducerState(
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            last_sequence=producer.last_sequence,
            last_timestamp=producer.last_timestamp,
            coordinator_epoch=producer.coordinator_epoch,
            current_txn_start_offset=producer.current_txn_start_offset,
        )
        for producer in log.active_producers()
    ]
    return answer
