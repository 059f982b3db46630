"""What a log knows of its idempotent and transactional producers (KIP-98): a pure state machine.

For each producer: its epoch, its last five batches (to recognise one that is sent again), and where its ongoing
transaction began. ``check`` says whether a batch may be appended, ``appended`` takes over one that was; start-up
replays the log through ``appended`` too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from rota.model import ErrorCode, KafkaError
from rota.wire.records import BatchHeader, EndMarker

__all__ = ["AbortedTransaction", "BatchMetadata", "ProducerState", "Producers", "sequence_after"]

_KEPT_BATCHES: Final = 5
_MAX_SEQUENCE: Final = 2**31 - 1


def sequence_after(sequence: int, count: int) -> int:
    """The sequence number ``count`` later; after the largest int32 comes 0."""
    return (sequence + count) & _MAX_SEQUENCE


class BatchMetadata(NamedTuple):
    """One batch of a producer that is in the log."""

    base_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp: int


class AbortedTransaction(NamedTuple):
    """An entry of ``.txnindex``: whose records from ``first_offset`` to the marker at ``last_offset`` do not count."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class ProducerState:
    """One producer. ``coordinator_epoch`` and ``current_txn_start_offset`` are -1 where there is none."""

    __slots__ = (
        "batches",
        "coordinator_epoch",
        "current_txn_start_offset",
        "last_timestamp",
        "producer_epoch",
        "producer_id",
    )

    def __init__(
        self,
        producer_id: int,
        producer_epoch: int,
        *,
        last_timestamp: int = -1,
        coordinator_epoch: int = -1,
        current_txn_start_offset: int = -1,
        batches: Iterable[BatchMetadata] = (),
    ) -> None:
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.last_timestamp = last_timestamp
        self.coordinator_epoch = coordinator_epoch
        self.current_txn_start_offset = current_txn_start_offset
        self.batches: deque[BatchMetadata] = deque(batches, maxlen=_KEPT_BATCHES)

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else -1

    @property
    def last_offset(self) -> int:
        return self.batches[-1].last_offset if self.batches else -1

    def become_epoch(self, epoch: int) -> None:
        """Begin a newer epoch: its sequence numbers start again."""
        if epoch != self.producer_epoch:
            self.producer_epoch = epoch
            self.batches.clear()

    def find_duplicate(self, header: BatchHeader) -> BatchMetadata | None:
        """The batch among the last five that ``header`` is a copy of."""
        if header.producer_epoch == self.producer_epoch:
            first = header.base_sequence
            last = sequence_after(first, header.last_offset_delta)
            for batch in self.batches:
                if batch.base_sequence == first and batch.last_sequence == last:
                    return batch
        return None


class Producers:
    """All producers of one log."""

    __slots__ = ("_ongoing", "by_id", "changed")

    def __init__(self) -> None:
        self.by_id: dict[int, ProducerState] = {}
        self._ongoing: dict[int, int] = {}  # producer id -> first offset of its transaction
        self.changed = False  # since the last snapshot

    # --- deciding -------------------------------------------------------------------------------------------

    def check(self, header: BatchHeader, *, from_client: bool = True) -> BatchMetadata | None:
        """Whether a batch with a producer id may be appended; the batch it repeats if it was appended before.

        Raises ``KafkaError`` INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_TXN_STATE.
        The coordinators' own batches (``from_client`` false) have no sequence numbers.
        """
        state = self.by_id.get(header.producer_id)
        if state is None:
            # Never seen, or forgotten (retention, expiry): any sequence number may begin.
            return None
        if from_client:
            duplicate = state.find_duplicate(header)
            if duplicate is not None:
                return duplicate
        if header.producer_epoch < state.producer_epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {header.producer_id} has epoch {state.producer_epoch} now, not {header.producer_epoch}",
            )
        if from_client:
            self._check_sequence(state, header)
        if state.current_txn_start_offset >= 0 and not header.is_transactional:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"producer {header.producer_id} has a transaction open: this batch must belong to it",
            )
        return None

    @staticmethod
    def _check_sequence(state: ProducerState, header: BatchHeader) -> None:
        if header.producer_epoch != state.producer_epoch:
            expected = 0
        elif not state.batches:
            # The epoch began with a marker, and none of its batches followed.
            expected = 0
        else:
            expected = sequence_after(state.batches[-1].last_sequence, 1)
        if header.base_sequence != expected:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {header.producer_id}: sequence {header.base_sequence} came, {expected} was expected",
            )

    def check_marker(self, header: BatchHeader, marker: EndMarker) -> None:
        """Whether a transaction's end marker may be appended.

        Raises ``KafkaError`` INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED.
        """
        state = self.by_id.get(header.producer_id)
        if state is None:
            return
        if header.producer_epoch < state.producer_epoch:
            raise KafkaError(ErrorCode.INVALID_PRODUCER_EPOCH)
        if marker.coordinator_epoch < state.coordinator_epoch:
            raise KafkaError(ErrorCode.TRANSACTION_COORDINATOR_FENCED)

    # --- taking over ----------------------------------------------------------------------------------------

    def appended(self, header: BatchHeader, base_offset: int) -> None:
        """Take over a batch with a producer id that lies in the log at ``base_offset``."""
        self.changed = True
        state = self._state(header)
        delta = header.last_offset_delta
        if header.base_sequence >= 0:
            state.batches.append(
                BatchMetadata(
                    header.base_sequence,
                    sequence_after(header.base_sequence, delta),
                    base_offset,
                    base_offset + delta,
                    header.max_timestamp,
                )
            )
        state.last_timestamp = header.max_timestamp
        if header.is_transactional and state.current_txn_start_offset < 0:
            state.current_txn_start_offset = base_offset
            self._ongoing[header.producer_id] = base_offset

    def ended(self, header: BatchHeader, offset: int, marker: EndMarker) -> AbortedTransaction | None:
        """Take over the end marker that lies at ``offset``; the transaction if it was aborted."""
        self.changed = True
        state = self._state(header)
        state.coordinator_epoch = marker.coordinator_epoch
        state.last_timestamp = header.max_timestamp
        first = state.current_txn_start_offset
        state.current_txn_start_offset = -1
        self._ongoing.pop(header.producer_id, None)
        if first < 0 or marker.committed:
            return None
        unstable = self.first_unstable_offset
        return AbortedTransaction(
            header.producer_id, first, offset, offset + 1 if unstable is None else unstable
        )

    def _state(self, header: BatchHeader) -> ProducerState:
        state = self.by_id.get(header.producer_id)
        if state is None:
            state = self.by_id[header.producer_id] = ProducerState(header.producer_id, header.producer_epoch)
        else:
            state.become_epoch(header.producer_epoch)
        return state

    def restore(self, states: Iterable[ProducerState]) -> None:
        """Begin with what a snapshot holds."""
        self.by_id = {state.producer_id: state for state in states}
        self._ongoing = {
            state.producer_id: state.current_txn_start_offset
            for state in self.by_id.values()
            if state.current_txn_start_offset >= 0
        }
        self.changed = False

    def expire(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers without a transaction that have been silent for ``expiration_ms``."""
        gone = [
            producer_id
            for producer_id, state in self.by_id.items()
            if state.current_txn_start_offset < 0 and now_ms - state.last_timestamp >= expiration_ms
        ]
        for producer_id in gone:
            del self.by_id[producer_id]
        self.changed |= bool(gone)

    # --- asking ---------------------------------------------------------------------------------------------

    @property
    def first_unstable_offset(self) -> int | None:
        """Where the oldest ongoing transaction begins."""
        return min(self._ongoing.values()) if self._ongoing else None
