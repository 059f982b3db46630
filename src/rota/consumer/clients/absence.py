"""Whether a client has forgotten where the brokers are.

A single Apache Kafka that is about to stop may answer a question about topics with no broker at all, and librdkafka
(2.16) may believe it: it then knows no address, asks nobody, and never joins again, though the broker is back within
seconds. Only another client helps. What shows it: questions about topics are not answered, again and again for as long
as a session lasts; the client does not say either that it tries to reach somebody; and somebody listens where the
brokers should be. (The group is no good to ask: who waits for a rebalance is not answered either.)

Times are seconds of one clock.
"""

from __future__ import annotations

__all__ = ["Absence"]

_ASK_AFTER_S = 10.0
_LONGEST_S = 600.0


class Absence:
    """``session_s``: after so long in vain what the client had is somebody else's, or will be."""

    def __init__(self, session_s: float, now: float) -> None:
        self._session_s = session_s
        self._patience_s = session_s
        self._ask_at = now + _ASK_AFTER_S
        self._in_vain_since: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is time to ask."""
        return now >= self._ask_at

    def heard(self, now: float) -> None:
        """A record, an assignment, an answer: it knows the brokers."""
        self._patience_s = self._session_s
        self._ask_at = now + _ASK_AFTER_S
        self._in_vain_since = None

    def tries(self, now: float) -> None:
        """There was no answer, but it does know whom to ask."""
        self._ask_at = now + _ASK_AFTER_S
        self._in_vain_since = None

    def in_vain(self, now: float) -> float | None:
        """There was no answer, though there should have been one. After a session of that: for how long."""
        self._ask_at = now + _ASK_AFTER_S
        if self._in_vain_since is None:
            self._in_vain_since = now
        lasted_s = now - self._in_vain_since
        return lasted_s if lasted_s >= self._patience_s else None

    def begins_anew(self, now: float) -> None:
        """Another client has taken its place, and gets more time in case it is of no use either."""
        self._patience_s = min(2 * self._patience_s, max(_LONGEST_S, self._session_s))
        self.tries(now)
