"""Incremental fetch sessions (KIP-227): the broker remembers what a client fetches.

A client opens a session with epoch 0 and names all its partitions once; later requests carry only changes, and
responses only partitions that have something new. Sessions are few (``max.incremental.fetch.session.cache.slots``)
and the least recently used one gives way; its client is told FETCH_SESSION_ID_NOT_FOUND and opens another. So it does
when all sessions together remember more than ``MOST_PARTITIONS``, whether these partitions exist or not.
"""

from __future__ import annotations

import os
from collections import OrderedDict

from rota.model import ErrorCode, KafkaError
from rota.plain import Plain, field

__all__ = ["MOST_PARTITIONS", "FetchSession", "FetchSessions", "WantedPartition"]

_LAST_EPOCH = 2**31 - 1
MOST_PARTITIONS = 400_000
"""A little more than 100 MB."""


class WantedPartition(Plain, frozen=False):
    """What a client wants of one partition, named by its topic's name or id, and what it was last told."""

    topic: str
    topic_id: bytes
    by_id: bool
    partition: int
    fetch_offset: int
    max_bytes: int
    current_leader_epoch: int
    told_high_watermark: int = -2
    told_log_start: int = -2


class FetchSession(Plain, frozen=False):
    """One client's partitions, in the order it named them."""

    session_id: int
    epoch: int
    uses_topic_ids: bool
    partitions: dict[tuple[str | bytes, int], WantedPartition] = field(default_factory=dict)
    counted: int = 0
    """How many of its partitions are in the sum of all sessions."""


class FetchSessions:
    """The broker's session cache."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()
        self._partitions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, *, uses_topic_ids: bool) -> FetchSession | None:
        """A new session, or None when the cache has no room at all."""
        if self._slots <= 0:
            return None
        if len(self._sessions) >= self._slots:
            self.close(next(iter(self._sessions)))
        session_id = _random_id()
        while session_id in self._sessions:
            session_id = _random_id()
        session = FetchSession(session_id, 1, uses_topic_ids)
        self._sessions[session_id] = session
        return session

    def use(self, session_id: int, epoch: int, *, uses_topic_ids: bool) -> FetchSession:
        """The session that ``epoch`` is the next request of; steps its epoch on.

        Raises ``KafkaError``: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, or
        FETCH_SESSION_TOPIC_ID_ERROR when the client changed between names and ids.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.epoch = 1 if epoch == _LAST_EPOCH else epoch + 1
        self._sessions.move_to_end(session_id)
        return session

    def count(self, session: FetchSession) -> None:
        """The partitions of a session that was just used have changed; the oldest sessions give way to too many."""
        self._partitions += len(session.partitions) - session.counted
        session.counted = len(session.partitions)
        while self._partitions > MOST_PARTITIONS:
            self.close(next(iter(self._sessions)))

    def close(self, session_id: int) -> None:
        """Forget a session, if it is there."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._partitions -= session.counted


def _random_id() -> int:
    """1 to 2**31 - 1."""
    return int.from_bytes(os.urandom(4)) % (2**31 - 1) + 1
