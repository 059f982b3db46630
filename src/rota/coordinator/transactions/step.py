"""One step of the transaction coordinator: the transactions as they will be, and what is to be recorded for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.transactions.outcome import (
    NO_EPOCH,
    Markers,
    Outcome,
    Transaction,
    TransactionRecord,
)
from rota.coordinator.transactions.states import DECIDED, TRANSITIONS, TransactionState
from rota.model import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rota.wire.schema import Message

__all__ = ["MAX_EPOCH", "Step"]

MAX_EPOCH = 2**15 - 2
"""The last epoch that a producer is given; the one after it is kept for fencing that producer."""


class Step:
    """Collects an ``Outcome``. Later parts of a step see what earlier ones have decided."""

    __slots__ = (
        "_changed",
        "_known_epochs",
        "_last_epochs",
        "_markers",
        "_recorded",
        "new_producer_id",
        "now_ms",
    )

    def __init__(
        self,
        recorded: Mapping[str, Transaction],
        last_epochs: Mapping[str, int],
        new_producer_id: Callable[[], int],
        now_ms: int,
    ) -> None:
        self._recorded = recorded
        self._known_epochs = last_epochs
        self._last_epochs: dict[str, int] = {}
        self._changed: dict[str, Transaction | None] = {}
        self._markers: list[Markers] = []
        self.new_producer_id = new_producer_id
        self.now_ms = now_ms

    def find(self, transactional_id: str) -> Transaction | None:
        """The transaction, as it will be after this step."""
        if transactional_id in self._changed:
            return self._changed[transactional_id]
        return self._recorded.get(transactional_id)

    def of_producer(self, transactional_id: str, producer_id: int) -> Transaction:
        """The transaction of that producer.

        Raises:
            KafkaError: INVALID_REQUEST without a name, INVALID_PRODUCER_ID_MAPPING if it is not its producer.
        """
        if not transactional_id:
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        found = self.find(transactional_id)
        if found is None or found.producer_id != producer_id:
            raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        return found

    def create(self, transaction: Transaction) -> Transaction:
        """Record a transactional id that was not known."""
        self._changed[transaction.transactional_id] = transaction
        return transaction

    def become(self, before: Transaction, after: Transaction) -> Transaction:
        """Record a change of state, which the table must know."""
        assert after.state in TRANSITIONS[before.state], (before, after)
        self._changed[after.transactional_id] = after
        return after

    def last_epoch(self, transactional_id: str) -> int:
        """See ``TransactionRecord``."""
        return self._known_epochs.get(transactional_id, NO_EPOCH)

    def set_last_epoch(self, transactional_id: str, epoch: int) -> None:
        """See ``TransactionRecord``; it counts once the change that comes with it is recorded."""
        self._last_epochs[transactional_id] = epoch

    def forget(self, transactional_id: str) -> None:
        """Record that a transactional id is gone."""
        self._changed[transactional_id] = None

    def write_markers(self, transaction: Transaction) -> None:
        """Have the decision of a prepared transaction written to its partitions."""
        self._markers.append(markers_of(transaction))

    def outcome(self, response: Message | None = None) -> Outcome:
        """What came of the step."""
        records = tuple(
            [
                TransactionRecord(name, each, self._last_epochs.get(name))
                for name, each in self._changed.items()
            ]
        )
        return Outcome(response, records, tuple(self._markers))


def markers_of(transaction: Transaction) -> Markers:
    """The markers of a prepared transaction."""
    assert transaction.state in DECIDED
    return Markers(
        transaction.transactional_id,
        transaction.producer_id,
        transaction.producer_epoch,
        transaction.state is TransactionState.PREPARE_COMMIT,
        transaction.partitions,
    )
