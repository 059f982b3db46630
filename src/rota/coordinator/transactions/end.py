"""EndTxn (key 26): a transaction is decided, and what the coordinator decides by itself: fencing and timeouts.

Version notes: v2 PRODUCER_FENCED; v5 gives the producer a new epoch with every transaction (KIP-890), so that what an
earlier one left on its way cannot become part of the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.transactions.outcome import NEW_EPOCHS, NO_NEW_EPOCHS, NO_PRODUCER, Transaction
from rota.coordinator.transactions.states import DECIDED, TransactionState
from rota.coordinator.transactions.step import MAX_EPOCH
from rota.model import ErrorCode, KafkaError

if TYPE_CHECKING:
    from rota.coordinator.transactions.step import Step
    from rota.wire.messages.end_txn import EndTxnRequest

__all__ = ["NEW_EPOCH_VERSION", "complete", "end", "fence"]

NEW_EPOCH_VERSION = 5

_EMPTY = TransactionState.EMPTY
_ONGOING = TransactionState.ONGOING
_COMMITTING = TransactionState.PREPARE_COMMIT
_ABORTING = TransactionState.PREPARE_ABORT
_COMMITTED = TransactionState.COMPLETE_COMMIT
_ABORTED = TransactionState.COMPLETE_ABORT


def end(step: Step, request: EndTxnRequest, version: int) -> tuple[int, int]:
    """Decide; the producer id and epoch to go on with.

    Raises:
        KafkaError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
            INVALID_TXN_STATE.
    """
    if version >= NEW_EPOCH_VERSION:
        return _end_with_new_epoch(step, request)
    found = step.of_producer(request.transactional_id, request.producer_id)
    if request.producer_epoch != found.producer_epoch:
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if found.state is _ONGOING:
        _prepare(step, found, committed=request.committed, new_epoch=False)
    else:
        _check_same(found, committed=request.committed)
    return found.producer_id, found.producer_epoch


def _end_with_new_epoch(step: Step, request: EndTxnRequest) -> tuple[int, int]:
    epoch = request.producer_epoch
    if not request.transactional_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    found = step.find(request.transactional_id)
    if found is None:
        raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    # The answer was lost, and the producer asks again with what it had before.
    is_repeated = found.producer_epoch == epoch + 1
    has_new_id = (
        found.previous_producer_id == request.producer_id
        and found.producer_id != request.producer_id
        and epoch == MAX_EPOCH
        and found.producer_epoch == 0
    )
    if found.producer_id != request.producer_id and not has_new_id:
        raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    is_current = epoch == found.producer_epoch
    if found.state in DECIDED:
        is_known = is_repeated
    elif found.state in {_COMMITTED, _ABORTED}:
        is_known = is_repeated or has_new_id or is_current
    else:
        is_known = is_current
    if not is_known:
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    # With nothing in it, a transaction may be aborted, for the new epoch; it cannot be committed.
    is_new = found.state is _ONGOING or (is_current and not request.committed)
    if not is_new and (is_repeated or has_new_id):
        _check_same(found, committed=request.committed)
        return found.producer_id, found.producer_epoch
    if not is_new:
        raise KafkaError(ErrorCode.INVALID_TXN_STATE)
    prepared = _prepare(step, found, committed=request.committed, new_epoch=True)
    if prepared.next_producer_id != NO_PRODUCER:
        return prepared.next_producer_id, 0
    return prepared.producer_id, prepared.producer_epoch


def _check_same(found: Transaction, *, committed: bool) -> None:
    """Whether the transaction has been decided already, and in the same way."""
    if found.state is (_COMMITTED if committed else _ABORTED):
        return
    if found.state is (_COMMITTING if committed else _ABORTING):
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    raise KafkaError(ErrorCode.INVALID_TXN_STATE)


def _prepare(step: Step, found: Transaction, *, committed: bool, new_epoch: bool) -> Transaction:
    next_id = NO_PRODUCER
    epoch = found.producer_epoch
    if new_epoch:
        if epoch >= MAX_EPOCH:
            next_id = step.new_producer_id()
        step.set_last_epoch(found.transactional_id, epoch)
        epoch += 1
    prepared = step.become(
        found,
        found._replace(
            producer_epoch=epoch,
            previous_producer_id=NO_PRODUCER,
            next_producer_id=next_id,
            state=_COMMITTING if committed else _ABORTING,
            partitions=found.partitions if found.state is _ONGOING else frozenset(),
            start_ms=found.start_ms if found.state is _ONGOING else step.now_ms,
            update_ms=step.now_ms,
            client_version=NEW_EPOCHS if new_epoch else NO_NEW_EPOCHS,
        ),
    )
    step.write_markers(prepared)
    return prepared


def fence(step: Step, found: Transaction) -> None:
    """Abort an open transaction with an epoch that no producer has: the one that began it is fenced."""
    # Its producer may still go on with what it had: it gets the new epoch, unless a newcomer was faster (KIP-588).
    step.set_last_epoch(found.transactional_id, found.producer_epoch)
    prepared = step.become(
        found,
        found._replace(
            producer_epoch=found.producer_epoch + 1,
            previous_producer_id=NO_PRODUCER,
            state=_ABORTING,
            update_ms=step.now_ms,
            client_version=NEW_EPOCHS,
        ),
    )
    step.write_markers(prepared)


def complete(step: Step, found: Transaction) -> None:
    """All markers are written: the next transaction may begin."""
    has_new_id = found.next_producer_id != NO_PRODUCER
    step.become(
        found,
        found._replace(
            producer_id=found.next_producer_id if has_new_id else found.producer_id,
            producer_epoch=0 if has_new_id else found.producer_epoch,
            previous_producer_id=found.producer_id if has_new_id else NO_PRODUCER,
            next_producer_id=NO_PRODUCER,
            state=_COMMITTED if found.state is _COMMITTING else _ABORTED,
            partitions=frozenset(),
            update_ms=step.now_ms,
        ),
    )
