"""The bytes of the records in ``__transaction_state``, as Apache Kafka has them: keys of kind 0, values version 1."""

from __future__ import annotations

from typing import Final

from rota.coordinator.transactions.outcome import Transaction, TransactionRecord
from rota.coordinator.transactions.states import TransactionState
from rota.model import TopicPartition
from rota.wire import WireError
from rota.wire.codec import decode, decode_versioned, encode_versioned
from rota.wire.messages.transaction_log import PartitionsSchema, TransactionLogKey, TransactionLogValue

__all__ = ["decode_record", "encode_record"]

_KEY_KIND: Final = 0
_VALUE_VERSION: Final = 1
_KIND_SIZE: Final = 2


def encode_record(record: TransactionRecord) -> tuple[bytes, bytes | None]:
    """The key and value of a record; None is the value of a tombstone."""
    key = encode_versioned(TransactionLogKey(transactional_id=record.transactional_id), _KEY_KIND)
    one = record.transaction
    if one is None:
        return key, None
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(one.partitions):
        topics.setdefault(topic, []).append(partition)
    value = TransactionLogValue(
        producer_id=one.producer_id,
        previous_producer_id=one.previous_producer_id,
        next_producer_id=one.next_producer_id,
        producer_epoch=one.producer_epoch,
        transaction_timeout_ms=one.timeout_ms,
        transaction_status=one.state,
        # Kafka's way to say that there is no transaction.
        transaction_partitions=None
        if one.state is TransactionState.EMPTY
        else [PartitionsSchema(topic=topic, partition_ids=ids) for topic, ids in topics.items()],
        transaction_last_update_timestamp_ms=one.update_ms,
        transaction_start_timestamp_ms=one.start_ms,
        client_transaction_version=one.client_version,
    )
    return key, encode_versioned(value, _VALUE_VERSION)


def decode_record(key: bytes, value: bytes | None) -> TransactionRecord | None:
    """The record with these bytes, or None if it is of a kind that is not known.

    Raises:
        WireError: the bytes are not what their kind and version say.
    """
    if len(key) < _KIND_SIZE:
        raise WireError(f"a key of {len(key)} bytes does not say what it is")
    if int.from_bytes(key[:_KIND_SIZE], "big", signed=True) != _KEY_KIND:
        return None
    name = decode(TransactionLogKey, 0, memoryview(key)[_KIND_SIZE:]).transactional_id
    if value is None:
        return TransactionRecord(name, None)
    read = decode_versioned(TransactionLogValue, value)
    try:
        state = TransactionState(read.transaction_status)
    except ValueError:
        raise WireError(f"transaction {name!r}: there is no state {read.transaction_status}") from None
    partitions = frozenset(
        TopicPartition(each.topic, index)
        for each in read.transaction_partitions or []
        for index in each.partition_ids
    )
    return TransactionRecord(
        name,
        Transaction(
            name,
            read.producer_id,
            read.producer_epoch,
            read.transaction_timeout_ms,
            state,
            partitions,
            read.transaction_start_timestamp_ms,
            read.transaction_last_update_timestamp_ms,
            read.previous_producer_id,
            read.next_producer_id,
            read.client_transaction_version,
        ),
    )
