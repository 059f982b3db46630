"""A member of a group as `__consumer_offsets` tells of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from rota.model import TopicPartition

__all__ = ["SIGNS", "Member"]

SIGNS: Final = 24
"""How many of a member's last commits are remembered: enough to know how often it commits."""


@dataclass(slots=True)
class Member:
    """What is known of one member; times are milliseconds since 1970."""

    member_id: str
    client_id: str
    host: str
    instance_id: str | None = None
    session_ms: int | None = None
    poll_ms: int | None = None
    """Its rebalance timeout, which is ``max.poll.interval.ms`` of Java's and librdkafka's clients."""
    topics: frozenset[str] | None = None
    """None: nobody here can read its subscription."""
    regex: str | None = None
    metadata: bytes = b""
    """What a classic member sent with its subscription, as it came."""
    assignor: str | None = None
    protocols: tuple[str, ...] = ()
    held: tuple[TopicPartition, ...] = ()
    joined_ms: int = 0
    epoch: int = 0
    """Of a consumer group (KIP-848): how far it has come; -2: a static member that is away."""
    state: int = 0
    revoking_since_ms: int | None = None
    target: tuple[TopicPartition, ...] = ()
    signs: deque[int] = field(default_factory=lambda: deque(maxlen=SIGNS))
    """When it committed, oldest first."""

    @property
    def identity(self) -> str:
        """What stays when a static member comes back under another member id."""
        return self.instance_id or self.member_id

    @property
    def revoking(self) -> tuple[TopicPartition, ...]:
        """What it was asked to give up and has not; only of a consumer group (KIP-848)."""
        if self.revoking_since_ms is None:
            return ()
        return tuple(partition for partition in self.held if partition not in self.target)

    def heard(self, at_ms: int) -> None:
        """It committed something."""
        if not self.signs or at_ms > self.signs[-1]:
            self.signs.append(at_ms)
