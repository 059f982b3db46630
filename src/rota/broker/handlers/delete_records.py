"""DeleteRecords (key 21), versions 0-2: move the start of a partition's log forward.

Version notes: v2 flexible. Offset -1 means the high watermark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.wire.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: DeleteRecordsRequest, _request: Request) -> DeleteRecordsResponse:
    response = DeleteRecordsResponse()
    for topic in message.topics:
        answers = []
        for wanted in topic.partitions:
            answer = DeleteRecordsPartitionResult(partition_index=wanted.partition_index, low_watermark=-1)
            try:
                answer.low_watermark = broker.delete_records(
                    TopicPartition(topic.name, wanted.partition_index), wanted.offset
                )
            except KafkaError as error:
                answer.error_code = error.code
            except OSError:
                answer.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            answers.append(answer)
        response.topics.append(DeleteRecordsTopicResult(name=topic.name, partitions=answers))
    return response
