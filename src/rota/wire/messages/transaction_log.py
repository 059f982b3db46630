"""The records of ``__transaction_state``: keys and values."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int8, int16, int32, int64, string

__all__ = ["PartitionsSchema", "TransactionLogKey", "TransactionLogValue"]


class TransactionLogKey(Message, versions="0", flexible="none"):
    transactional_id: str = string("0", default="")


class PartitionsSchema(Struct):
    topic: str = string(default="")
    partition_ids: list[int] = array("int32", default=[])


class TransactionLogValue(Message, versions="0-1", flexible="1+"):
    producer_id: int = int64(default=0)
    previous_producer_id: int = int64("1+", default=-1, tag=0, tagged="1+")
    next_producer_id: int = int64("1+", default=-1, tag=1, tagged="1+")
    producer_epoch: int = int16(default=0)
    next_producer_epoch: int = int16("1+", default=-1, tag=3, tagged="1+")
    transaction_timeout_ms: int = int32(default=0)
    transaction_status: int = int8(default=0)
    transaction_partitions: list[PartitionsSchema] | None = array(PartitionsSchema, nullable="0+", default=[])
    transaction_last_update_timestamp_ms: int = int64(default=0)
    transaction_start_timestamp_ms: int = int64(default=0)
    client_transaction_version: int = int16("1+", default=0, tag=2, tagged="1+")
