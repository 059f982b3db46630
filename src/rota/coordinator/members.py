"""A member of a classic group: who it is, what it offers and holds, and what it is waiting for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from rota.wire.messages.group_log import MemberMetadata

__all__ = ["Member", "Parked", "Protocols"]

Protocols = tuple[tuple[str, bytes], ...]
"""Protocol names with their metadata, in the member's order of preference."""


class Parked(NamedTuple):
    """A JoinGroup that is answered later: its token, and its version, on which the answer depends."""

    token: int
    version: int


class Member:
    """One member. What is recorded is the identity, the timeouts, the chosen protocol and the assignment.

    The rest is of this broker's life only: the parked requests and the session's deadline, which is plain
    data that each heartbeat moves. ``armed_ms`` is the deadline for which a timer was last asked for; as long
    as it is not later than ``deadline_ms`` no other timer is needed, for the one that is set finds, when it
    fires, that the deadline has moved.
    """

    __slots__ = (
        "armed_ms",
        "assignment",
        "client_host",
        "client_id",
        "deadline_ms",
        "instance_id",
        "is_new",
        "join",
        "member_id",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "sync_token",
    )

    def __init__(
        self,
        member_id: str,
        *,
        instance_id: str | None,
        client_id: str,
        client_host: str,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocols: Protocols,
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.instance_id = instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.protocols = protocols
        self.assignment = assignment
        self.is_new = False
        """In its first join: it does not know its id yet, so it cannot send heartbeats."""
        self.join: Parked | None = None
        self.sync_token: int | None = None
        self.deadline_ms = 0
        self.armed_ms: int | None = None

    @classmethod
    def from_record(cls, record: MemberMetadata, protocol: str | None) -> Member:
        """The member as ``__consumer_offsets`` remembers it: with the chosen protocol only."""
        timeout_ms = record.rebalance_timeout
        return cls(
            record.member_id,
            instance_id=record.group_instance_id,
            client_id=record.client_id,
            client_host=record.client_host,
            rebalance_timeout_ms=record.session_timeout if timeout_ms == -1 else timeout_ms,
            session_timeout_ms=record.session_timeout,
            protocols=((protocol or "", bytes(record.subscription)),),
            assignment=bytes(record.assignment),
        )

    def is_told_by(self, record: MemberMetadata, protocol: str | None) -> bool:
        """Whether a record says of the member what is known of it, its assignment aside."""
        timeout_ms = record.rebalance_timeout
        if record.session_timeout != self.session_timeout_ms or (
            timeout_ms != self.rebalance_timeout_ms and timeout_ms != -1
        ):
            return False
        return (protocol or "", record.subscription) in self.protocols

    def metadata(self, protocol: str | None) -> bytes:
        """What the member sent with ``protocol``; it must support it."""
        for name, metadata in self.protocols:
            if name == protocol:
                return metadata
        raise AssertionError(f"{protocol} is none of the protocols of {self.member_id}")

    def vote(self, candidates: AbstractSet[str]) -> str:
        """The candidate that this member likes best."""
        return next(name for name, _ in self.protocols if name in candidates)

    @property
    def is_waiting(self) -> bool:
        """Whether a parked request stands for heartbeats: the session cannot expire meanwhile.

        Except in a member's first join, which is limited by a deadline of its own.
        """
        return not self.is_new and (self.join is not None or self.sync_token is not None)

    def __repr__(self) -> str:
        return f"Member({self.member_id})"
