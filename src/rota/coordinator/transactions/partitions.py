"""AddPartitionsToTxn (key 24) and AddOffsetsToTxn (key 25): partitions take part in a transaction, the first begins it.

Version notes: up to v3 a producer names one transaction; v4 and v5, which brokers send to each other, name several, and
may only ask whether partitions take part. One partition that does not exist, and none of its transaction is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.transactions.outcome import NEW_EPOCHS, NO_NEW_EPOCHS
from rota.coordinator.transactions.states import DECIDED, TransactionState
from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.coordinator.outcome import TopicView
    from rota.coordinator.transactions.outcome import Transaction
    from rota.coordinator.transactions.step import Step
    from rota.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest

__all__ = ["BATCHED_VERSION", "add_partitions", "handle_add_partitions", "verify_partitions"]

BATCHED_VERSION = 4
_FENCED_VERSION = 2


def handle_add_partitions(
    step: Step, topics: TopicView, request: AddPartitionsToTxnRequest, version: int
) -> AddPartitionsToTxnResponse:
    """Add to, or look at, each transaction that is named."""
    if version < BATCHED_VERSION:
        one = AddPartitionsToTxnTransaction(
            transactional_id=request.v3_and_below_transactional_id,
            producer_id=request.v3_and_below_producer_id,
            producer_epoch=request.v3_and_below_producer_epoch,
            topics=request.v3_and_below_topics,
        )
        return AddPartitionsToTxnResponse(
            results_by_topic_v3_and_below=_by_topic(_handle_one(step, topics, one, version))
        )
    return AddPartitionsToTxnResponse(
        results_by_transaction=[
            AddPartitionsToTxnResult(
                transactional_id=each.transactional_id,
                topic_results=_by_topic(_handle_one(step, topics, each, version)),
            )
            for each in request.transactions
        ]
    )


def _handle_one(
    step: Step, topics: TopicView, wanted: AddPartitionsToTxnTransaction, version: int
) -> list[tuple[TopicPartition, ErrorCode]]:
    """Each partition as often as it is named, with its code."""
    partitions = [TopicPartition(topic.name, index) for topic in wanted.topics for index in topic.partitions]
    missing = {tp for tp in partitions if not 0 <= tp.partition < (topics.partitions(tp.topic) or 0)}
    if missing:
        unknown, untouched = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.OPERATION_NOT_ATTEMPTED
        return [(tp, unknown if tp in missing else untouched) for tp in partitions]
    producer = wanted.transactional_id, wanted.producer_id, wanted.producer_epoch
    if wanted.verify_only:
        codes = verify_partitions(step, *producer, partitions)
        return [(tp, codes[tp]) for tp in partitions]
    code = ErrorCode.NONE
    try:
        add_partitions(step, *producer, partitions, new_epochs=version >= BATCHED_VERSION)
    except KafkaError as error:
        code = error.code
        if code == ErrorCode.PRODUCER_FENCED and version < _FENCED_VERSION:
            code = ErrorCode.INVALID_PRODUCER_EPOCH
    return [(tp, code) for tp in partitions]


def add_partitions(
    step: Step,
    transactional_id: str,
    producer_id: int,
    producer_epoch: int,
    partitions: Iterable[TopicPartition],
    *,
    new_epochs: bool,
) -> None:
    """Make partitions part of the transaction; ``new_epochs``: its producer works by KIP-890.

    Raises:
        KafkaError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
    """
    found = _of_epoch(step, transactional_id, producer_id, producer_epoch)
    added = found.partitions.union(partitions)
    is_open = found.state is TransactionState.ONGOING
    if is_open and added == found.partitions:
        return
    step.become(
        found,
        found._replace(
            state=TransactionState.ONGOING,
            partitions=added if is_open else frozenset(partitions),
            start_ms=found.start_ms if is_open else step.now_ms,
            update_ms=step.now_ms,
            client_version=NEW_EPOCHS if new_epochs else NO_NEW_EPOCHS,
        ),
    )


def verify_partitions(
    step: Step,
    transactional_id: str,
    producer_id: int,
    producer_epoch: int,
    partitions: Iterable[TopicPartition],
) -> dict[TopicPartition, ErrorCode]:
    """Whether partitions are part of the transaction: TRANSACTION_ABORTABLE where they are not."""
    try:
        found = _of_epoch(step, transactional_id, producer_id, producer_epoch)
    except KafkaError as error:
        return dict.fromkeys(partitions, error.code)
    return {
        tp: ErrorCode.NONE if tp in found.partitions else ErrorCode.TRANSACTION_ABORTABLE for tp in partitions
    }


def _of_epoch(step: Step, transactional_id: str, producer_id: int, producer_epoch: int) -> Transaction:
    found = step.of_producer(transactional_id, producer_id)
    if found.producer_epoch != producer_epoch:
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if found.state in DECIDED:
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    return found


def _by_topic(codes: Iterable[tuple[TopicPartition, ErrorCode]]) -> list[AddPartitionsToTxnTopicResult]:
    topics: dict[str, AddPartitionsToTxnTopicResult] = {}
    for (topic, partition), code in codes:
        answer = topics.setdefault(topic, AddPartitionsToTxnTopicResult(name=topic))
        answer.results_by_partition.append(
            AddPartitionsToTxnPartitionResult(partition_index=partition, partition_error_code=code)
        )
    return list(topics.values())
