"""The transaction coordinator as a pure, replayable state machine: no I/O, no clock, no threads (KIP-98, KIP-890).

``TransactionCoordinator.handle(request, asked)`` returns an ``Outcome``: records to append to
``__transaction_state``, markers to write to partitions, the answer. ``replay(record)`` alone changes recorded state.

The parts: ``states`` (the table of transitions), ``outcome`` (the data), one file per request (``init``,
``partitions``, ``end``, ``describe``), ``step`` (one step), ``log_format`` (what is written down), ``failures`` (when
it could not be), ``coordinator`` (the way in).
"""

from __future__ import annotations

from rota.coordinator.transactions.coordinator import TransactionConfig, TransactionCoordinator
from rota.coordinator.transactions.outcome import Asked, Markers, Outcome, Transaction, TransactionRecord
from rota.coordinator.transactions.states import TRANSITIONS, TransactionState

__all__ = [
    "TRANSITIONS",
    "Asked",
    "Markers",
    "Outcome",
    "Transaction",
    "TransactionConfig",
    "TransactionCoordinator",
    "TransactionRecord",
    "TransactionState",
]
