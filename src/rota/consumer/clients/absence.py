"""Since when a member has heard nothing of its group, and when it is to be looked why.

Nothing need be wrong: others take long to rejoin, or no broker answers. But librdkafka (2.16) may also have forgotten
all addresses. A single Apache Kafka that is about to stop may answer a question about topics with no broker at all,
and the client believes it: it asks nobody any more, and never joins again, though the broker is back within seconds.
Only another client helps.

Times are seconds of one clock.
"""

from __future__ import annotations

__all__ = ["Absence"]

_LOOK_AFTER_S = 10.0
_LONGEST_S = 600.0


class Absence:
    """``session_s``: so long a member may be silent and still have its partitions."""

    def __init__(self, session_s: float) -> None:
        self._session_s = session_s
        self._since: float | None = None
        self._look_at = 0.0
        self._wait_s = _LOOK_AFTER_S

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def begins(self, now: float, *, with_partitions: bool) -> None:
        """It is to join its group, or a commit found no coordinator: then it may still be a member."""
        look_at = now + self._wait_s + (self._session_s if with_partitions else 0.0)
        if self._since is None:
            self._since, self._look_at = now, look_at
        else:
            self._look_at = min(self._look_at, look_at)

    def over(self) -> None:
        """The group has given it partitions, or has taken a commit."""
        self._since = None
        self._wait_s = _LOOK_AFTER_S

    def is_due(self, now: float) -> bool:
        """Whether it is time to look."""
        return self._since is not None and now >= self._look_at

    def goes_on(self, now: float) -> None:
        """It was looked, and the client is as it should be."""
        self._look_at = now + self._wait_s

    def begins_anew(self, now: float) -> float:
        """Another client takes its place, and gets more time if it is of no use either; how long there was none."""
        lasted_s = now - self._since if self._since is not None else 0.0
        self._wait_s = min(2 * self._wait_s, _LONGEST_S)
        self._since, self._look_at = now, now + self._wait_s
        return lasted_s
