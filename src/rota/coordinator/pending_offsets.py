"""Offsets that were committed as part of transactions whose end is not known yet (KIP-98).

They lie in ``__consumer_offsets`` like others, behind a producer id; the marker in the same partition decides. Until
then nobody sees them; who fetches with ``require_stable`` is told to ask again (KIP-447). What a later record has
committed, or a later transaction that ended sooner, is not overwritten when an earlier transaction is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rota.wire.messages.group_log import OffsetCommitKey, OffsetCommitValue

__all__ = ["InTransaction", "PendingOffsets"]

_Name = tuple[str, str, int]
"""Group, topic, partition."""


class InTransaction(NamedTuple):
    """Whose transaction a record belongs to, and in which partition of ``__consumer_offsets`` it lies."""

    producer_id: int
    partition: int


class PendingOffsets:
    """What each open transaction has committed, per partition of the log."""

    __slots__ = ("_by_name", "_by_transaction", "_order")

    def __init__(self) -> None:
        self._order = 0
        # What was committed and when, in the order of the log; None: something later has been committed since.
        self._by_transaction: dict[InTransaction, dict[_Name, tuple[int, OffsetCommitValue | None]]] = {}
        self._by_name: dict[_Name, set[InTransaction]] = {}

    def put(self, key: OffsetCommitKey, value: OffsetCommitValue, transaction: InTransaction) -> None:
        """Replay a commit inside a transaction."""
        name = key.group, key.topic, key.partition
        self._order += 1
        self._by_transaction.setdefault(transaction, {})[name] = self._order, value
        self._by_name.setdefault(name, set()).add(transaction)

    def supersede(self, key: OffsetCommitKey, before: int | None = None) -> None:
        """An offset was committed: what is pending from ``before`` that (None: now) will not replace it."""
        name = key.group, key.topic, key.partition
        for transaction in self._by_name.get(name, ()):
            order, _ = self._by_transaction[transaction][name]
            if before is None or order < before:
                self._by_transaction[transaction][name] = order, None

    def remove(self, key: OffsetCommitKey) -> None:
        """Replay a tombstone: what is pending for the partition is gone as well."""
        name = key.group, key.topic, key.partition
        for transaction in self._by_name.pop(name, ()):
            del self._by_transaction[transaction][name]

    def end(self, transaction: InTransaction) -> list[tuple[_Name, int, OffsetCommitValue]]:
        """Replay a marker: nothing of the transaction is pending; what a commit makes valid, and its order."""
        ended = self._by_transaction.pop(transaction, {})
        for name in ended:
            waiting = self._by_name[name]
            waiting.discard(transaction)
            if not waiting:
                del self._by_name[name]
        return [(name, order, value) for name, (order, value) in ended.items() if value is not None]

    def __bool__(self) -> bool:
        """Whether anything is pending at all."""
        return bool(self._by_name)

    def __contains__(self, name: _Name) -> bool:
        """Whether the end of a transaction will decide about this partition's offset."""
        return name in self._by_name

    def of_group(self, group_id: str) -> list[tuple[str, int]]:
        """The partitions of a group that are pending."""
        return [(topic, partition) for group, topic, partition in self._by_name if group == group_id]

    def of_topic(self, topic: str) -> Iterator[tuple[str, int]]:
        """Who waits for which partition of ``topic``."""
        return (
            (group, partition) for group, its_topic, partition in list(self._by_name) if its_topic == topic
        )
