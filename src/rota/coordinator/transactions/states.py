"""The states of a transaction and the transitions between them, as data.

``TRANSITIONS`` is the whole truth: ``Step.become`` asserts every change of state against it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DECIDED", "NAMES", "TRANSITIONS", "TransactionState"]


class TransactionState(IntEnum):
    """Where the transactional id's latest transaction is. The numbers are those in ``__transaction_state``."""

    EMPTY = 0
    """The producer has its id and epoch, and no transaction.

    transition: partitions are added -> Ongoing;
        the producer aborts all the same, which gives it a new epoch (KIP-890) -> PrepareAbort.
    """

    ONGOING = 1
    """Partitions take part, and their records are not visible to those who read committed ones.

    transition: EndTxn -> PrepareCommit or PrepareAbort;
        a timeout, or another producer with the same transactional id -> PrepareAbort.
    """

    PREPARE_COMMIT = 2
    """It is decided: a commit. From here on it is carried out whatever happens.

    action: write the markers; answer everything that would change it with CONCURRENT_TRANSACTIONS.
    transition: every partition has its marker -> CompleteCommit.
    """

    PREPARE_ABORT = 3
    """It is decided: an abort.

    action: as in PrepareCommit.
    transition: every partition has its marker -> CompleteAbort.
    """

    COMPLETE_COMMIT = 4
    """The last transaction was committed; the next one may begin. transition: as from Empty, and -> Empty."""

    COMPLETE_ABORT = 5
    """The last transaction was aborted; the next one may begin. transition: as from Empty, and -> Empty."""

    DEAD = 6
    """Kafka's, for an id that is being expired; here it is forgotten at once."""

    PREPARE_EPOCH_FENCE = 7
    """Kafka's, while a producer is being fenced; here that is PrepareAbort at once. Neither is ever recorded."""


_EMPTY, _ONGOING, _COMMITTING, _ABORTING, _COMMITTED, _ABORTED, _, _ = TransactionState

TRANSITIONS: Final[Mapping[TransactionState, frozenset[TransactionState]]] = {
    _EMPTY: frozenset({_EMPTY, _ONGOING, _ABORTING}),
    _ONGOING: frozenset({_ONGOING, _COMMITTING, _ABORTING}),
    _COMMITTING: frozenset({_COMMITTED}),
    _ABORTING: frozenset({_ABORTED}),
    _COMMITTED: frozenset({_EMPTY, _ONGOING, _ABORTING}),
    _ABORTED: frozenset({_EMPTY, _ONGOING, _ABORTING}),
}
"""For each state that is recorded, the states that may follow it."""

DECIDED: Final = frozenset({_COMMITTING, _ABORTING})
"""What is to be carried out, whatever happens."""

NAMES: Final[Mapping[TransactionState, str]] = {
    state: "".join(part.capitalize() for part in state.name.split("_")) for state in TransactionState
}
"""As Kafka shows them: ``PrepareCommit``."""
