"""Offsets that are committed as part of a transaction: appended to ``__consumer_offsets`` in the producer's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.broker.storage_errors import complain
from rota.broker.transaction_errors import told_to_producer
from rota.coordinator import Context
from rota.coordinator.log_format import encode_record
from rota.coordinator.pending_offsets import InTransaction
from rota.coordinator.transactional_commit import transactional_commit_error
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)
from rota.wire.records import build_batch

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.coordinator import LogRecord
    from rota.model import TopicPartition

__all__ = ["commit_offsets"]

_ADDING_VERSION: Final = 5
_ABORTABLE_VERSION: Final = 4


def commit_offsets(
    broker: Broker, message: TxnOffsetCommitRequest, request: Request
) -> TxnOffsetCommitResponse:
    """Answer a TxnOffsetCommit. Partitions that do not exist are sorted out first."""
    known, unknown = _sort_out(broker, message)
    response = transactional_commit_error(unknown, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if known.topics:
        response.topics += _commit(broker, known, request).topics
        by_name = {topic.name: topic for topic in reversed(response.topics)}
        for topic in response.topics:
            if by_name[topic.name] is not topic:
                by_name[topic.name].partitions += topic.partitions
        response.topics = [topic for topic in response.topics if by_name[topic.name] is topic]
    return response


def _sort_out(
    broker: Broker, message: TxnOffsetCommitRequest
) -> tuple[TxnOffsetCommitRequest, TxnOffsetCommitRequest]:
    known: list[TxnOffsetCommitRequestTopic] = []
    unknown: list[TxnOffsetCommitRequestTopic] = []
    for topic in message.topics:
        count = broker.topics.partitions(topic.name) or 0
        there = [each for each in topic.partitions if 0 <= each.partition_index < count]
        missing = [each for each in topic.partitions if not 0 <= each.partition_index < count]
        if there:
            known.append(TxnOffsetCommitRequestTopic(name=topic.name, partitions=there))
        if missing or not there:
            unknown.append(TxnOffsetCommitRequestTopic(name=topic.name, partitions=missing))
    kept = TxnOffsetCommitRequest(
        transactional_id=message.transactional_id,
        group_id=message.group_id,
        producer_id=message.producer_id,
        producer_epoch=message.producer_epoch,
        generation_id=message.generation_id,
        member_id=message.member_id,
        group_instance_id=message.group_instance_id,
        topics=known,
    )
    return kept, TxnOffsetCommitRequest(topics=unknown)


def _commit(broker: Broker, message: TxnOffsetCommitRequest, request: Request) -> TxnOffsetCommitResponse:
    now_ms = broker.clock.now_ms()
    if not message.group_id:
        return transactional_commit_error(message, ErrorCode.INVALID_GROUP_ID)
    try:
        tp = broker.transactions.offsets_partition(message.group_id)
    except KafkaError:
        return transactional_commit_error(message, ErrorCode.COORDINATOR_NOT_AVAILABLE)
    code = _admit(broker, message, request.version, tp)
    if code != ErrorCode.NONE:
        return transactional_commit_error(message, code)
    context = Context(0, request.version, request.client_id, request.client_host, now_ms)
    outcome = broker.groups.coordinator.commit_in_transaction(message, context)
    (reply,) = outcome.replies
    assert isinstance(reply.response, TxnOffsetCommitResponse)
    if outcome.records:
        code = _append(broker, message, tp, outcome.records, now_ms)
        if code != ErrorCode.NONE:
            return transactional_commit_error(message, code)
    return reply.response


def _admit(broker: Broker, message: TxnOffsetCommitRequest, version: int, tp: TopicPartition) -> ErrorCode:
    """Whether the group's partition takes part in the transaction (KIP-890)."""
    if broker.topics.log(tp).has_open_transaction(message.producer_id, message.producer_epoch):
        return ErrorCode.NONE
    code = broker.transactions.admit(
        message.transactional_id,
        message.producer_id,
        message.producer_epoch,
        tp,
        add=version >= _ADDING_VERSION,
    )
    return told_to_producer(code, knows_abortable=version >= _ABORTABLE_VERSION)


def _append(
    broker: Broker,
    message: TxnOffsetCommitRequest,
    tp: TopicPartition,
    records: tuple[LogRecord, ...],
    now_ms: int,
) -> ErrorCode:
    batch = build_batch(
        [(*encode_record(record), now_ms, []) for record in records],
        producer_id=message.producer_id,
        producer_epoch=message.producer_epoch,
        transactional=True,
    )
    try:
        broker.append(broker.topics.log(tp), memoryview(batch), from_client=False)
    except KafkaError as error:
        too_large = error.code == ErrorCode.MESSAGE_TOO_LARGE
        return ErrorCode.UNKNOWN_SERVER_ERROR if too_large else error.code
    except OSError as error:
        complain(f"append to {tp.topic}-{tp.partition}", error.strerror)
        return ErrorCode.NOT_COORDINATOR
    transaction = InTransaction(message.producer_id, tp.partition)
    for record in records:
        broker.groups.coordinator.replay(record, now_ms, transaction)
    return ErrorCode.NONE
