"""Produce (key 0), versions 3-13: append record batches to partitions.

Version notes: v3 transactional id; v7 zstd; v8 record errors and a message; v9 flexible; v10 current leader as a tag;
v13 topic ids instead of names.

acks=1 and acks=all mean the same on one node; acks=0 is not answered, and where it fails the connection is
closed, which is all that such a client can be told.

A transactional batch must belong to a transaction that its partition is part of; from v12 on it makes that so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.request import SILENT, NoAnswer, Request
from rota.broker.storage_errors import complain
from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.storage.checks import RecordsRefusedError
from rota.wire.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from rota.wire.records import HEADER_SIZE

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.topics import Topic
    from rota.storage import AppendInfo

__all__ = ["handle"]

_ADMIN_CLIENT = "__admin_client"  # whoever calls itself so may write to internal topics, as in Kafka
_LENGTH_AT, _LENGTH_END = 8, 12  # where a batch says how long it is from there on
_ATTRIBUTES_AT, _TRANSACTIONAL = 22, 0x10
_COMPRESSION, _ZSTD, _ZSTD_SINCE = 0x07, 4, 7
_REFUSED_BY_LOG = {
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.UNKNOWN_PRODUCER_ID,
    ErrorCode.INVALID_TIMESTAMP,
    ErrorCode.INVALID_RECORD,
    ErrorCode.INVALID_TXN_STATE,
    ErrorCode.UNKNOWN_SERVER_ERROR,  # what cannot be decompressed
}


class _NotInTransactionError(KafkaError):
    """The transaction coordinator has refused a batch, not the log."""


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
                if topic is None:
                    raise KafkaError(missing)
                if topic.is_internal and request.client_id != _ADMIN_CLIENT:
                    raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic.name} is the broker's own")
                tp = TopicPartition(topic.name, index)
                info = _append(broker, tp, partition.records, message.transactional_id, request.version)
            except KafkaError as error:
                failed = True
                answers.partition_responses.append(
                    PartitionProduceResponse(
                        index=index,
                        error_code=error.code,
                        base_offset=-1,
                        log_start_offset=_start_told(broker, topic, index, partition.records, error),
                        record_errors=_record_errors(error),
                        error_message=error.message,
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
    if failed:
        request.connection.asked_in_vain()
    if message.acks == 0:
        if failed:
            request.connection.close("a produce with acks=0 failed, and closing is the only way to say so")
        return SILENT
    return response


def _record_errors(error: KafkaError) -> list[BatchIndexAndErrorMessage]:
    if not isinstance(error, RecordsRefusedError):
        return []
    return [
        BatchIndexAndErrorMessage(batch_index=number, batch_index_error_message=reason)
        for number, reason in error.records
    ]


def _is_one_batch(records: memoryview) -> bool:
    return _LENGTH_END + int.from_bytes(records[_LENGTH_AT:_LENGTH_END]) == len(records)


def _start_told(
    broker: Broker, topic: Topic | None, index: int, records: memoryview | None, error: KafkaError
) -> int:
    """Where the log starts, which Kafka tells if the log itself refused the batch for its place or time."""
    if isinstance(error, _NotInTransactionError) or error.code not in _REFUSED_BY_LOG:
        return -1
    if topic is None or records is None or not _is_one_batch(records):
        return -1
    partition_log = broker.topics.find_log(topic.name, index)
    return -1 if partition_log is None else partition_log.log_start_offset


def _append(
    broker: Broker, tp: TopicPartition, records: memoryview | None, transactional_id: str | None, version: int
) -> AppendInfo:
    partition_log = broker.topics.find_log(tp.topic, tp.partition)
    if partition_log is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if records is None or not _is_one_batch(records):
        raise KafkaError(ErrorCode.INVALID_RECORD, "a partition's records are one batch, no more and no less")
    attributes = records[_ATTRIBUTES_AT] if len(records) >= HEADER_SIZE else 0
    if version < _ZSTD_SINCE and attributes & _COMPRESSION == _ZSTD:
        text = f"zstd in version {version} of Produce, which does not know it"
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, text)
    if attributes & _TRANSACTIONAL:
        from rota.broker.transactional_produce import admit

        if not transactional_id:
            raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        code = admit(broker, partition_log, tp, transactional_id, records, version)
        if code != ErrorCode.NONE:
            text = f"{tp} is not part of an open transaction of {transactional_id!r}"
            raise _NotInTransactionError(code, text)
    try:
        return broker.append(partition_log, records)
    except OSError as error:
        complain(f"append to {tp.topic}-{tp.partition}", error.strerror)
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, error.strerror) from error
