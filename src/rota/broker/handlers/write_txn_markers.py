"""WriteTxnMarkers (key 27), version 1: an operator ends a transaction that hangs (KIP-664, ``abortTransaction``).

Between Kafka's brokers the coordinator sends these; here it writes its markers itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import TopicPartition
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
    return WriteTxnMarkersResponse(markers=[_write(broker, marker) for marker in message.markers])


def _write(broker: Broker, marker: WritableTxnMarker) -> WritableTxnMarkerResult:
    return WritableTxnMarkerResult(
        producer_id=marker.producer_id,
        topics=[
            WritableTxnMarkerTopicResult(
                name=topic.name,
                partitions=[
                    WritableTxnMarkerPartitionResult(
                        partition_index=index,
                        error_code=broker.transactions.write_marker(
                            TopicPartition(topic.name, index),
                            marker.producer_id,
                            marker.producer_epoch,
                            committed=marker.transaction_result,
                            coordinator_epoch=marker.coordinator_epoch,
                        ),
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in marker.topics
        ],
    )
