"""WriteTxnMarkers (key 27), version 1: an operator ends a transaction that hangs (KIP-664, ``abortTransaction``).

Between Kafka's brokers the coordinator sends these; here it writes its markers itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode, TopicPartition
from rota.wire.messages.write_txn_markers import (
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.messages.write_txn_markers import WritableTxnMarker

__all__ = ["handle"]


def handle(broker: Broker, message: WriteTxnMarkersRequest, _request: Request) -> WriteTxnMarkersResponse:
    # What is named several times is written once: a few bytes, repeated, would ask for as many batches.
    written: dict[tuple[object, ...], ErrorCode] = {}
    return WriteTxnMarkersResponse(
        markers=[
            WritableTxnMarkerResult(
                producer_id=marker.producer_id,
                topics=[
                    WritableTxnMarkerTopicResult(
                        name=topic.name,
                        partitions=[
                            WritableTxnMarkerPartitionResult(
                                partition_index=index,
                                error_code=_write_once(broker, marker, topic.name, index, written),
                            )
                            for index in topic.partition_indexes
                        ],
                    )
                    for topic in marker.topics
                ],
            )
            for marker in message.markers
        ]
    )


def _write_once(
    broker: Broker,
    marker: WritableTxnMarker,
    topic: str,
    partition: int,
    written: dict[tuple[object, ...], ErrorCode],
) -> ErrorCode:
    key = (
        topic,
        partition,
        marker.producer_id,
        marker.producer_epoch,
        marker.transaction_result,
        marker.coordinator_epoch,
    )
    code = written.get(key)
    if code is None:
        code = written[key] = broker.transactions.write_marker(
            TopicPartition(topic, partition),
            marker.producer_id,
            marker.producer_epoch,
            committed=marker.transaction_result,
            coordinator_epoch=marker.coordinator_epoch,
        )
    return code
