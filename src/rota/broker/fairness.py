"""That one client does not take the loop's time from the others.

Two rules. A connection that has sent many requests at once is served for ``TURN_S``, then everybody else who has
something, then it again. And what clients ask rarely (metadata, descriptions, topics: whatever is not in
``BUSINESS``) may take, of all connections that ask for more, ``_SHARE`` of the loop's time while others work; who wants
more is not read from for a while, as a client of Kafka's is that exceeds its ``request_percentage`` quota. A
connection has ``_CREDIT_S`` before that. Whoever is alone is never held up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.broker.connection import Connection

__all__ = ["BUSINESS", "TURN_S", "Fairness"]

TURN_S: Final = 0.002
# What a program that does its work may send as fast as it can: Produce, Fetch, OffsetCommit, JoinGroup (the last one to
# join would pay for the answers to all), Heartbeat, SyncGroup, the requests of transactions, ConsumerGroupHeartbeat.
# These clients share the loop as equals.
BUSINESS: Final = frozenset({0, 1, 8, 11, 12, 14, 22, 24, 25, 26, 28, 68})
_SHARE = 0.05
_CREDIT_S = 0.1
_LONGEST_S = 1.0
_LATELY_S = 0.1


class Fairness:
    """Keeps account of the connections that ask much. Times are seconds of the loop's clock."""

    def __init__(self) -> None:
        self._debts: dict[Connection, tuple[float, float]] = {}
        self._in_debt: set[Connection] = set()  # by more than the credit

    def charge(self, connection: Connection, began: float, now: float, others: Iterable[Connection]) -> float:
        """It has been served from ``began`` to ``now``; for how long it is to wait."""
        debt, at = self._debts.get(connection, (0.0, now))
        share = _SHARE / (len(self._in_debt) or 1)
        debt = max(0.0, debt - (now - at) * share) + now - began
        self._debts[connection] = debt, now
        if debt <= _CREDIT_S:
            self._in_debt.discard(connection)
            return 0.0
        if not any(each.last_active > now - _LATELY_S for each in others if each is not connection):
            self._debts[connection] = _CREDIT_S, now  # there was nobody whose time it was
            self._in_debt.discard(connection)
            return 0.0
        self._in_debt.add(connection)
        return min((debt - _CREDIT_S) / share, _LONGEST_S)

    def forget(self, connection: Connection) -> None:
        """It has closed."""
        self._debts.pop(connection, None)
        self._in_debt.discard(connection)
