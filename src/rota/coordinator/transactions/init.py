"""InitProducerId with a transactional id: a producer begins, and whoever had the id before it is fenced.

A producer gets the next epoch of its producer id; when the epochs are used up, a new producer id. If it names the id
and epoch that it had (KIP-360), it goes on after an error, and only if nobody has taken its place. A transaction that
is open is aborted first, and the producer told to ask again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.transactions.end import fence
from rota.coordinator.transactions.outcome import NO_EPOCH, NO_PRODUCER, Transaction
from rota.coordinator.transactions.states import DECIDED, TransactionState
from rota.coordinator.transactions.step import MAX_EPOCH
from rota.model import ErrorCode, KafkaError

if TYPE_CHECKING:
    from rota.coordinator.transactions.step import Step
    from rota.wire.messages.init_producer_id import InitProducerIdRequest

__all__ = ["init_producer"]


def init_producer(step: Step, request: InitProducerIdRequest, max_timeout_ms: int) -> Transaction:
    """The transaction with the producer's new id and epoch.

    Raises:
        KafkaError: INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
    """
    name = request.transactional_id
    expected = _expected(request)
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    if not 0 < request.transaction_timeout_ms <= max_timeout_ms:
        raise KafkaError(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
    found = step.find(name)
    if found is None:
        step.set_last_epoch(name, NO_EPOCH)
        return step.create(
            Transaction(
                name, step.new_producer_id(), 0, request.transaction_timeout_ms, update_ms=step.now_ms
            )
        )
    if expected is not None and not _is_known(found, *expected):
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if found.state in DECIDED:
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    if found.state is TransactionState.ONGOING:
        fence(step, found)
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    return _begin(step, found, request.transaction_timeout_ms, expected[1] if expected else None)


def _begin(
    step: Step,
    found: Transaction,
    timeout_ms: int,
    expected_epoch: int | None,
) -> Transaction:
    producer_id, epoch = _next(step, found, expected_epoch)
    previous_id = found.producer_id if producer_id != found.producer_id else NO_PRODUCER
    if (producer_id, epoch) == (found.producer_id, found.producer_epoch):  # asked again
        previous_id = found.previous_producer_id
    return step.become(
        found,
        found._replace(
            producer_id=producer_id,
            producer_epoch=epoch,
            previous_producer_id=previous_id,
            next_producer_id=NO_PRODUCER,
            timeout_ms=timeout_ms,
            state=TransactionState.EMPTY,
            partitions=frozenset(),
            start_ms=-1,
            update_ms=step.now_ms,
        ),
    )


def _expected(request: InitProducerIdRequest) -> tuple[int, int] | None:
    """The id and epoch that the producer says it has."""
    if (request.producer_id == NO_PRODUCER) != (request.producer_epoch == NO_EPOCH):
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    return None if request.producer_id == NO_PRODUCER else (request.producer_id, request.producer_epoch)


def _is_known(found: Transaction, producer_id: int, epoch: int) -> bool:
    return producer_id == found.producer_id or (
        # Sent again: the answer, with another producer id, was lost.
        producer_id == found.previous_producer_id and epoch >= MAX_EPOCH
    )


def _next(step: Step, found: Transaction, expected_epoch: int | None) -> tuple[int, int]:
    """The producer id and epoch to give out."""
    epoch = found.producer_epoch
    name = found.transactional_id
    if expected_epoch not in {None, epoch, step.last_epoch(name)}:
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if epoch > MAX_EPOCH or (epoch == MAX_EPOCH and expected_epoch in {None, epoch}):
        step.set_last_epoch(name, NO_EPOCH if expected_epoch is None else epoch)
        return step.new_producer_id(), 0
    if expected_epoch is None:
        step.set_last_epoch(name, NO_EPOCH)
        return found.producer_id, epoch + 1
    if expected_epoch == epoch:
        step.set_last_epoch(name, epoch)
        return found.producer_id, epoch + 1
    return found.producer_id, epoch
