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
                    TopicPartition(topic.name, wanted.partition_index), wanted.offset, remember=False
                )
            except KafkaError as error:
                answer.error_code = error.code
            except OSError:
                answer.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            answers.append(answer)
        response.topics.append(DeleteRecordsTopicResult(name=topic.name, partitions=answers))
    _remember(broker, response)
    return response


def _remember(broker: Broker, response: DeleteRecordsResponse) -> None:
    """Write where the logs start now, once for all of them; what cannot be written is not done."""
    done = [each for topic in response.topics for each in topic.partitions if not each.error_code]
    if not done:
        return
    try:
        broker.directory.write_checkpoints()
    except OSError:
        for each in done:
            each.error_code, each.low_watermark = ErrorCode.KAFKA_STORAGE_ERROR, -1
