"""Deadlines of members of consumer groups: plain data of this broker's life, kept apart from what is recorded.

A member's session ends some time after its last heartbeat. A member that was asked to give up partitions has, besides,
until its rebalance timeout to say that it did. One that uses the classic protocol has as long to send the JoinGroup
that it was asked for, and then the SyncGroup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.step import Step

__all__ = ["JOIN", "REVOCATION", "SESSION", "SYNC", "Sessions"]

SESSION: Final = "consumer-session"
REVOCATION: Final = "consumer-revocation"
JOIN: Final = "consumer-join"
SYNC: Final = "consumer-sync"

_Key = tuple[str, str]


class _Session:
    """A deadline that every heartbeat moves, and the one that a timer was last asked for (see ``Member``)."""

    __slots__ = ("armed_ms", "deadline_ms")

    def __init__(self) -> None:
        self.deadline_ms = 0
        self.armed_ms: int | None = None


class Sessions:
    """The deadlines, by group and member."""

    def __init__(self) -> None:
        self._sessions: dict[_Key, _Session] = {}
        self._revocations: dict[_Key, tuple[int, int]] = {}
        """The deadline, and the epoch that the member must have left by then."""
        self._requests: dict[tuple[str, str, str], int] = {}
        """When the JoinGroup or SyncGroup of a member must have come; the kind is the first in the key."""

    def members(self, group_id: str) -> list[str]:
        """Those of a group who have a deadline; looks through all groups."""
        keys = (*self._sessions, *self._revocations, *(key[1:] for key in self._requests))
        return sorted({member_id for group, member_id in keys if group == group_id})

    def extend(self, group_id: str, member_id: str, timeout_ms: int, step: Step) -> None:
        """The member was heard from; a timer is asked for only where none is set that fires early enough."""
        session = self._sessions.get((group_id, member_id))
        if session is None:
            session = self._sessions[group_id, member_id] = _Session()
        session.deadline_ms = deadline_ms = step.now_ms + timeout_ms
        if session.armed_ms is None or deadline_ms < session.armed_ms:
            session.armed_ms = deadline_ms
            step.set_timer((SESSION, group_id, member_id), deadline_ms)

    def is_over(self, group_id: str, member_id: str, step: Step) -> bool:
        """A session's timer fired: whether the session is over, too; if not, another timer is asked for."""
        session = self._sessions.get((group_id, member_id))
        if session is None:
            return False
        if step.now_ms < session.deadline_ms:
            session.armed_ms = session.deadline_ms
            step.set_timer((SESSION, group_id, member_id), session.deadline_ms)
            return False
        del self._sessions[group_id, member_id]
        return True

    def await_revocation(self, group_id: str, member: ConsumerMember, step: Step) -> None:
        """The member has its rebalance timeout from now on to give up what it was asked for."""
        deadline_ms = step.now_ms + max(member.rebalance_timeout_ms, 0)
        self._revocations[group_id, member.member_id] = (deadline_ms, member.member_epoch)
        step.set_timer((REVOCATION, group_id, member.member_id), deadline_ms)

    def revoked(self, group_id: str, member_id: str, step: Step) -> None:
        """The member owes nothing any more."""
        if self._revocations.pop((group_id, member_id), None) is not None:
            step.cancel_timer((REVOCATION, group_id, member_id))

    def late_epoch(self, group_id: str, member_id: str, step: Step) -> int | None:
        """A revocation's timer fired: the epoch that the member should have left by now, if any."""
        deadline_ms, epoch = self._revocations.get((group_id, member_id), (step.now_ms + 1, 0))
        if step.now_ms < deadline_ms:
            return None
        del self._revocations[group_id, member_id]
        return epoch

    def await_join(self, group_id: str, member: ConsumerMember, step: Step) -> None:
        """The member was asked to join again: it has its rebalance timeout, from the first time that it was asked."""
        if (JOIN, group_id, member.member_id) not in self._requests:
            self._await(JOIN, group_id, member, step)

    def await_sync(self, group_id: str, member: ConsumerMember, step: Step) -> None:
        """The member has joined: it has its rebalance timeout from now on to fetch its assignment."""
        self._await(SYNC, group_id, member, step)

    def _await(self, kind: str, group_id: str, member: ConsumerMember, step: Step) -> None:
        deadline_ms = step.now_ms + max(member.rebalance_timeout_ms, 0)
        self._requests[kind, group_id, member.member_id] = deadline_ms
        step.set_timer((kind, group_id, member.member_id), deadline_ms)

    def came(self, kind: str, group_id: str, member_id: str, step: Step) -> None:
        """The request that was waited for is there, or is not needed any more."""
        if self._requests.pop((kind, group_id, member_id), None) is not None:
            step.cancel_timer((kind, group_id, member_id))

    def is_late(self, kind: str, group_id: str, member_id: str, step: Step) -> bool:
        """The timer of a request that is waited for fired: whether its time is over."""
        if step.now_ms < self._requests.get((kind, group_id, member_id), step.now_ms + 1):
            return False
        del self._requests[kind, group_id, member_id]
        return True

    def owes_nothing(self, group_id: str, member_id: str, step: Step) -> None:
        """Nothing is waited for but the next sign of life."""
        self.revoked(group_id, member_id, step)
        self.came(JOIN, group_id, member_id, step)
        self.came(SYNC, group_id, member_id, step)

    def end(self, group_id: str, member_id: str, step: Step) -> None:
        """The member is gone."""
        if self._sessions.pop((group_id, member_id), None) is not None:
            step.cancel_timer((SESSION, group_id, member_id))
        self.owes_nothing(group_id, member_id, step)
