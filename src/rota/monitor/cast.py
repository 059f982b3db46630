"""Who is who in a group: a name for people and a look for each member, the same for as long as somebody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.timeline.events import MemberJoined, MemberLeft
from rota.timeline.look import Look, Palette
from rota.timeline.ownership import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import TopicPartition
    from rota.monitor.facts import MemberFacts
    from rota.monitor.view import GroupView
    from rota.timeline.events import Event

__all__ = ["Cast", "Handover", "natural"]


class Handover(NamedTuple):
    """A partition was seen in other hands than before; names, None for nobody."""

    at_ms: int
    giver: str | None
    taker: str | None


class Cast:
    """Takes one group's views, oldest first. Names are those of `rota.timeline.ownership.Names`."""

    def __init__(self) -> None:
        self.handovers: dict[TopicPartition, Handover] = {}
        """The latest of each partition."""
        self.ids: dict[str, str] = {}
        """The member ids of those who are there, by name."""
        self._names = Names()
        self._palette = Palette()
        self._told: Sequence[Event] = ()
        self._owners: dict[TopicPartition, str] = {}
        self._seen = False

    def take(self, view: GroupView) -> None:
        """The group as it is now."""
        self._introduce(view.events, view.facts.members)
        self.ids = {self.name(member.member_id): member.member_id for member in view.facts.members}
        self._palette.take(sorted(self.ids, key=natural))
        owners = {tp: self.name(member.member_id) for tp, member in view.facts.owners().items()}
        if self._seen:
            for tp in owners.keys() | self._owners.keys():
                before, after = self._owners.get(tp), owners.get(tp)
                if before == after:
                    continue
                last = self.handovers.get(tp)
                giver = last.giver if before is None and last is not None and last.taker is None else before
                self.handovers[tp] = Handover(view.at_ms, giver, after)
        self._owners, self._seen = owners, True

    def name(self, member_id: str) -> str:
        """What people call a member; its id if nothing better is known."""
        return self._names.of(member_id)

    def look(self, member_id: str) -> Look:
        """How a member is drawn, wherever."""
        return self._palette.of(self.name(member_id))

    def look_of(self, name: str) -> Look:
        """The same, by name."""
        return self._palette.of(name)

    def _introduce(self, events: Sequence[Event], members: Sequence[MemberFacts]) -> None:
        """Names for all: in the order in which they came, or, where that is not known, of their client ids.

        What happened may be told later than who is there, so all names are given anew whenever more is told.
        """
        there = {member.member_id for member in members}
        if events is not self._told:
            self._told, self._names = events, Names()
            for event in events:
                if isinstance(event, MemberJoined):
                    self._names.joined(event)
                elif isinstance(event, MemberLeft) and event.member not in there:
                    self._names.left(event.member)
        for member_id in self.ids.values():
            if member_id not in there:
                self._names.left(member_id)
        for member in sorted(members, key=lambda each: (natural(each.client_id), each.member_id)):
            if self._names.of(member.member_id) == member.member_id:
                self._names.joined(
                    MemberJoined(0, "", member.member_id, member.client_id, member.host, member.instance_id)
                )


def natural(name: str) -> tuple[object, ...]:
    """``pod-2`` before ``pod-10``."""
    parts: list[object] = []
    digits, text = "", ""
    for letter in name:
        if letter.isdecimal():
            digits += letter
            continue
        if digits:
            parts += [text, int(digits)]
            digits, text = "", ""
        text += letter
    return (*parts, text, int(digits) if digits else -1)
