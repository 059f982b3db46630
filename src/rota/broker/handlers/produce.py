"""Produce (key 0), versions 3-13: append record batches to partitions.

Version notes: v3 transactional id; v8 record errors and a message; v9 flexible; v10 current leader as a tag;
v13 topic ids instead of names.

acks=1 and acks=all mean the same on one node; acks=0 is not answered, and where it fails the connection is
closed, which is all that such a client can be told.

Known gaps: transactional batches are refused, for there are no transactions yet.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rota.broker.request import SILENT, NoAnswer, Request
from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.wire.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.storage import AppendInfo

__all__ = ["handle"]

log = logging.getLogger(__name__)


def handle(broker: Broker, message: ProduceRequest, request: Request) -> ProduceResponse | NoAnswer:
    response = ProduceResponse()
    failed = False
    acks_known = message.acks in {-1, 0, 1}
    for topic_data in message.topic_data:
        if request.version >= 13:
            topic = broker.topics.by_id(topic_data.topic_id)
            missing = ErrorCode.UNKNOWN_TOPIC_ID
        else:
            topic = broker.topics.get(topic_data.name)
            missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        answers = TopicProduceResponse(name=topic_data.name, topic_id=topic_data.topic_id)
        for partition in topic_data.partition_data:
            index = partition.index
            try:
                if not acks_known:
                    raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
                if message.transactional_id is not None:
                    raise KafkaError(ErrorCode.INVALID_REQUEST, "this broker has no transactions")
                if topic is None:
                    raise KafkaError(missing)
                info = _append(broker, TopicPartition(topic.name, index), partition.records)
            except KafkaError as error:
                failed = True
                answers.partition_responses.append(
                    PartitionProduceResponse(
                        index=index, error_code=error.code, base_offset=-1, error_message=error.message
                    )
                )
            else:
                answers.partition_responses.append(
                    PartitionProduceResponse(
                        index=index,
                        base_offset=info.base_offset,
                        log_append_time_ms=info.log_append_time_ms,
                        log_start_offset=info.log_start_offset,
                    )
                )
        response.responses.append(answers)
    if message.acks == 0:
        if failed:
            request.connection.close("a produce with acks=0 failed, and closing is the only way to say so")
        return SILENT
    return response


def _append(broker: Broker, tp: TopicPartition, records: memoryview | None) -> AppendInfo:
    partition_log = broker.topics.find_log(tp.topic, tp.partition)
    if partition_log is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if records is None or not len(records):
        raise KafkaError(ErrorCode.INVALID_RECORD, "no records")
    try:
        return broker.append(partition_log, records)
    except OSError as error:
        log.error("cannot append to %s: %s", tp, error.strerror)
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, error.strerror) from error
