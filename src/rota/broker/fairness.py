"""That one client does not take the loop's time from the others.

Two rules. A connection that has sent many requests at once is served for ``TURN_S``, then everybody else who has
something, then it again. And what clients ask rarely (metadata, descriptions, topics: what is not in
``BUSINESS``) may take, of all connections that ask for more, ``_SHARE`` of the loop's time while others work; who wants
more is not read from for a while, as a client of Kafka's is that exceeds its ``request_percentage`` quota. A
connection has ``_CREDIT_S`` before that. Whoever is alone is never held up. Produce requests that are refused and
fetches of what is not there count too, and several JoinGroups at once; fetches of very many partitions at half
the price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.broker.connection import Connection

__all__ = ["BUSINESS", "TURN_S", "Fairness"]

TURN_S: Final = 0.002
# What a program that does its work may send as fast as it can: Produce, Fetch, OffsetCommit, Heartbeat, SyncGroup, the
# requests of transactions, ConsumerGroupHeartbeat. These clients share the loop as equals. So do those who join, one
# request at a time: the last one to join would pay for the answers to all.
BUSINESS: Final = frozenset({0, 1, 8, 12, 14, 22, 24, 25, 26, 28, 68})
_SHARE = 0.05
_CREDIT_S = 0.1
_LONGEST_S = 5.0
_LATELY_S = 0.1
_COUNTED_AGAIN_S = 1.0


class Fairness:
    """Keeps account of the connections that ask much. Times are seconds of the loop's clock."""

    def __init__(self) -> None:
        self._debts: dict[Connection, tuple[float, float]] = {}
        self._in_debt: dict[Connection, float] = {}  # by more than the credit, and until when
        self._counted_at = 0.0

    def charge(self, connection: Connection, began: float, now: float, others: Iterable[Connection]) -> float:
        """It has been served from ``began`` to ``now``; for how long it is to wait."""
        debt, at = self._debts.get(connection, (0.0, now))
        share = self._share(now)
        debt = max(0.0, debt - (now - at) * share) + now - began
        self._debts[connection] = debt, now
        if debt <= _CREDIT_S:
            self._in_debt.pop(connection, None)
            return 0.0
        if not any(each.last_active > began - _LATELY_S for each in others if each is not connection):
            self._debts[connection] = _CREDIT_S, now  # there was nobody whose time it was
            self._in_debt.pop(connection, None)
            return 0.0
        wait_s = (debt - _CREDIT_S) / share
        self._in_debt[connection] = now + wait_s
        return min(wait_s, _LONGEST_S)

    def forget(self, connection: Connection) -> None:
        """It has closed."""
        self._debts.pop(connection, None)
        self._in_debt.pop(connection, None)

    def _share(self, now: float) -> float:
        """The share of each that is in debt; who has paid, and has not asked since, takes nothing from the others."""
        if now - self._counted_at >= _COUNTED_AGAIN_S:
            self._counted_at = now
            self._in_debt = {
                each: until for each, until in self._in_debt.items() if until > now - _COUNTED_AGAIN_S
            }
        return _SHARE / (len(self._in_debt) or 1)
