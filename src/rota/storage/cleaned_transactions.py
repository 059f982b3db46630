"""What compaction follows of transactions: whose batches were aborted, and which end markers are needed no more."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from rota.storage.producers import AbortedTransaction
from rota.wire.records import BatchHeader, EndMarker

__all__ = ["CleanedTransactions"]


class CleanedTransactions:
    """Told of every batch in the order of the log. ``aborted`` gathers the aborted transactions that left a trace."""

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = [(each.first_offset, each) for each in aborted]
        heapq.heapify(self._coming)
        self._committing: set[int] = set()  # producers with batches of a transaction that will be committed
        self._aborting: dict[int, tuple[AbortedTransaction, bool]] = {}  # the flag: a batch of it was seen
        self.aborted: list[AbortedTransaction] = []

    def is_aborted(self, header: BatchHeader) -> bool:
        """Take note of a batch of data; whether it belongs to an aborted transaction and may go."""
        self._advance(header.last_offset)
        if not header.is_transactional:
            return False
        found = self._aborting.get(header.producer_id)
        if found is None:
            self._committing.add(header.producer_id)
            return False
        self._aborting[header.producer_id] = found[0], True
        return True

    def is_needless(self, header: BatchHeader, marker: EndMarker | None) -> bool:
        """Take note of a control batch; whether nothing of the transaction that it ends is left."""
        self._advance(header.last_offset)
        if marker is None:
            return False
        if marker.committed:
            was_seen = header.producer_id in self._committing
            self._committing.discard(header.producer_id)
            return not was_seen
        found = self._aborting.pop(header.producer_id, None)
        if found is None or not found[1]:
            return True
        self.aborted.append(found[0])
        return False

    def _advance(self, offset: int) -> None:
        while self._coming and self._coming[0][0] <= offset:
            _, transaction = heapq.heappop(self._coming)
            self._aborting.setdefault(transaction.producer_id, (transaction, False))
