"""Which transactional batches a partition takes: those of a transaction that it is part of (KIP-890).

Up to v11 of Produce the producer has said so before, with AddPartitionsToTxn; from v12 on its first batch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.broker.transaction_errors import told_to_producer
from rota.model import ErrorCode
from rota.wire.records import read_header

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.model import TopicPartition
    from rota.storage import Log

__all__ = ["admit"]

_ADDING_VERSION: Final = 12
_ABORTABLE_VERSION: Final = 11


def admit(
    broker: Broker,
    partition_log: Log,
    tp: TopicPartition,
    transactional_id: str,
    records: memoryview,
    version: int,
) -> ErrorCode:
    """Whether the batch may be appended; what else may be wrong with it the log finds out."""
    header = read_header(records)
    if partition_log.has_open_transaction(header.producer_id, header.producer_epoch):
        return ErrorCode.NONE
    adds = version >= _ADDING_VERSION
    if not adds and not broker.settings.bool("transaction.partition.verification.enable"):
        return ErrorCode.NONE
    code = broker.transactions.admit(
        transactional_id, header.producer_id, header.producer_epoch, tp, add=adds
    )
    if code == ErrorCode.CONCURRENT_TRANSACTIONS and not adds:
        # An older producer tries again when it hears this.
        return ErrorCode.NOT_ENOUGH_REPLICAS
    return told_to_producer(code, knows_abortable=version >= _ABORTABLE_VERSION)
