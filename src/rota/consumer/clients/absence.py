"""How long a member has heard nothing of its group, and when it asks.

Nothing need be wrong: there may be nothing to commit, others may take long to rejoin, the brokers may be away. But
librdkafka (2.16) may also have forgotten all addresses. A single Apache Kafka that is about to stop may answer a
question about topics with no broker at all, and the client believes it: it asks nobody any more, and never joins again,
though the broker is back within seconds. Only another client helps.

Times are seconds of one clock.
"""

from __future__ import annotations

import math

__all__ = ["Absence"]

_ASK_AFTER_S = 10.0
_LONGEST_S = 600.0


class Absence:
    """``session_s``: so long a member may be silent and still have its partitions."""

    def __init__(self, session_s: float) -> None:
        self._session_s = session_s
        self._wait_s = _ASK_AFTER_S
        self._heard_at: float | None = None
        self._ask_at = math.inf

    def over(self, now: float) -> None:
        """The group has given it partitions, has taken a commit, or has answered."""
        self._wait_s = _ASK_AFTER_S
        self._heard_at, self._ask_at = now, now + self._session_s + self._wait_s

    def without_partitions(self, now: float) -> None:
        """It is to join, for the first time or again."""
        self._ask_at = min(self._ask_at, now + self._wait_s)
        if self._heard_at is None:
            self._heard_at = now

    def is_due(self, now: float) -> bool:
        """Whether it is time to ask."""
        return now >= self._ask_at

    def goes_on(self, now: float) -> None:
        """It has asked, and the client is not to blame: nobody can be reached, or it has no partitions yet."""
        self._ask_at = now + self._wait_s

    def begins_anew(self, now: float) -> float:
        """Another client takes its place, and gets more time if it is of no use either; how long nothing was heard."""
        silent_s = now - self._heard_at if self._heard_at is not None else 0.0
        self._wait_s = min(2 * self._wait_s, _LONGEST_S)
        self._heard_at, self._ask_at = now, now + self._wait_s
        return silent_s
