"""What goes into the transaction coordinator and what comes out of it: plain data, no callbacks.

Who runs the coordinator does this with an outcome, in this order, before it gives the coordinator anything else:

1. append ``records`` to ``__transaction_state`` (`log_format` has their bytes), then give each to ``replay``; if
   the append failed, the answer is that of ``on_append_failed``, and nothing else is done;
2. write ``markers`` to the partitions that they name, then carry out what ``markers_written`` returns;
3. send ``response``. Every request is answered at once: nothing is parked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.coordinator.transactions.states import TransactionState

if TYPE_CHECKING:
    from rota.model import TopicPartition
    from rota.wire.schema import Message

__all__ = [
    "NEW_EPOCHS",
    "NO_EPOCH",
    "NO_NEW_EPOCHS",
    "NO_PRODUCER",
    "Asked",
    "Markers",
    "Outcome",
    "Transaction",
    "TransactionRecord",
]

NO_PRODUCER = NO_EPOCH = -1
NO_NEW_EPOCHS, NEW_EPOCHS = 0, 2
"""A transaction's ``client_version``: whether its producer gets a new epoch with every transaction (KIP-890)."""


class Transaction(NamedTuple):
    """What is recorded of a transactional id: the whole of it, each time.

    ``previous_producer_id`` is the id that was used up just before, ``next_producer_id`` the one to use from the end of
    this transaction on. Times are epoch milliseconds; ``start_ms`` is -1 before the first partition was added.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: TransactionState = TransactionState.EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    start_ms: int = -1
    update_ms: int = -1
    previous_producer_id: int = NO_PRODUCER
    next_producer_id: int = NO_PRODUCER
    client_version: int = NO_NEW_EPOCHS


class TransactionRecord(NamedTuple):
    """One record of ``__transaction_state``; ``transaction`` None is a tombstone."""

    transactional_id: str
    transaction: Transaction | None
    last_epoch: int | None = None
    """The epoch before the latest, if the same producer had it (else ``NO_EPOCH``): asked again with it, the
    coordinator gives the same answer. It is not in the log, in Kafka's neither; None leaves it as it is.
    """


class Markers(NamedTuple):
    """Markers that say how a transaction ended, one for each of the partitions that took part."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    committed: bool
    partitions: frozenset[TopicPartition]


class Asked(NamedTuple):
    """In which version of its API a request came, and when."""

    version: int
    now_ms: int


class Outcome(NamedTuple):
    """What is to be recorded, written and answered."""

    response: Message | None = None
    records: tuple[TransactionRecord, ...] = ()
    markers: tuple[Markers, ...] = ()
