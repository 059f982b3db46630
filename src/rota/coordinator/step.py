"""One step of the coordinator: what a handler has to work with, and where it puts what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.outcome import EMPTY_OUTCOME, LogRecord, Outcome, Reply, Timer
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.coordinator.config import GroupConfig
    from rota.coordinator.group import Group
    from rota.coordinator.members import Member
    from rota.coordinator.outcome import TimerKey
    from rota.timeline.events import Event
    from rota.wire.schema import Message

__all__ = ["Groups", "Step"]


class Groups(dict[str, "Group"]):
    """All groups by id."""

    def __init__(self) -> None:
        super().__init__()
        self.converted: dict[str, Group] = {}
        """What consumer groups are about to become, as soon as that is recorded."""

    def existing(self, group_id: str) -> Group:
        """The group.

        Raises:
            GroupError: GROUP_ID_NOT_FOUND
        """
        try:
            return self[group_id]
        except KeyError:
            raise GroupError(ErrorCode.GROUP_ID_NOT_FOUND, no_group(group_id)) from None


def no_group(group_id: str) -> str:
    """What to say of a group that nobody has ever been in, or that is forgotten."""
    return f"there is no group {group_id}"


def wrong_kind(group_id: str, kind: str) -> str:
    """What to say of a group of another kind ("classic", "consumer") than was asked for."""
    return f"{group_id} is the id of a {kind} group"


class Step:
    """Collects an ``Outcome`` while a request, a timer or a call from the broker is dealt with."""

    __slots__ = ("config", "events", "new_id", "now_ms", "records", "replies", "timers")

    def __init__(self, config: GroupConfig, new_id: Callable[[], str], now_ms: int) -> None:
        self.config = config
        self.new_id = new_id
        self.now_ms = now_ms
        self.records: list[LogRecord] = []
        self.replies: list[Reply] = []
        self.timers: dict[TimerKey, int | None] = {}
        self.events: list[Event] = []

    def reply(self, token: int, response: Message) -> None:
        """Answer the request that came with ``token``."""
        self.replies.append(Reply(token, response))

    def set_timer(self, key: TimerKey, deadline_ms: int) -> None:
        """Ask to be called at ``deadline_ms``."""
        self.timers[key] = deadline_ms

    def cancel_timer(self, key: TimerKey) -> None:
        """Ask not to be called."""
        self.timers[key] = None

    def extend_session(self, group: Group, member: Member, timeout_ms: int | None = None) -> None:
        """The member was heard from: its session lasts for another timeout.

        The deadline is data: a timer is asked for only where none is set that fires early enough.
        """
        deadline_ms = self.now_ms + (member.session_timeout_ms if timeout_ms is None else timeout_ms)
        member.deadline_ms = deadline_ms
        if member.armed_ms is None or deadline_ms < member.armed_ms:
            member.armed_ms = deadline_ms
            self.timers["session", group.group_id, member.member_id] = deadline_ms

    def end_session(self, group: Group, member_id: str) -> None:
        """The member is gone; nothing is left to expire."""
        self.timers["session", group.group_id, member_id] = None

    def forget(self) -> None:
        """The step came to nothing: whatever it was about to record, tell or be woken up for."""
        self.records.clear()
        self.timers.clear()
        self.events.clear()

    def outcome(self) -> Outcome:
        """What came of the step."""
        if not (self.records or self.replies or self.timers or self.events):
            return EMPTY_OUTCOME
        return Outcome(
            tuple(self.records),
            tuple(self.replies),
            tuple([Timer(key, deadline_ms) for key, deadline_ms in self.timers.items()])
            if self.timers
            else (),
            tuple(self.events),
        )
