"""Deadlines of members of consumer groups: plain data of this broker's life, kept apart from what is recorded.

A member's session ends some time after its last heartbeat. A member that was asked to give up partitions has, besides,
until its rebalance timeout to say that it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.step import Step

__all__ = ["REVOCATION", "SESSION", "Sessions"]

SESSION: Final = "consumer-session"
REVOCATION: Final = "consumer-revocation"

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

    def members(self, group_id: str) -> list[str]:
        """Those of a group who have a deadline; looks through all groups."""
        return sorted(
            {member_id for group, member_id in (*self._sessions, *self._revocations) if group == group_id}
        )

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

    def end(self, group_id: str, member_id: str, step: Step) -> None:
        """The member is gone."""
        if self._sessions.pop((group_id, member_id), None) is not None:
            step.cancel_timer((SESSION, group_id, member_id))
        self.revoked(group_id, member_id, step)
