"""Who was a member of the group when, and how each went: what the rules about rebalances have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from rota.monitor.findings import Certainty
from rota.timeline.events import MemberJoined, MemberLeft, RebalanceReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.monitor.doctor.evidence import Evidence
    from rota.monitor.facts import MemberFacts
    from rota.timeline.summary import Summary

__all__ = [
    "RECENT_MS",
    "Life",
    "Who",
    "how_sure",
    "lives",
    "most_at_once",
    "since_ms",
    "stem",
    "summary",
    "told",
]

RECENT_MS: Final = 600_000
"""What was longer ago is history: nobody is woken for it."""


class Who(NamedTuple):
    """What stays when a process is started again: its client id, host and instance id."""

    client_id: str
    host: str
    instance_id: str | None = None

    def __str__(self) -> str:
        host = self.host.lstrip("/")
        return f"{self.instance_id or self.client_id or 'a member without a client id'}{f' ({host})' if host else ''}"


@dataclass(slots=True)
class Life:
    """One member id in the group; ``joined_ms`` None: it was there before anything is known."""

    member_id: str
    who: Who
    joined_ms: int | None = None
    left_ms: int | None = None
    reason: RebalanceReason | None = None
    """Why it is gone."""
    detail: str = ""


def since_ms(evidence: Evidence) -> int:
    """From when on events count, in milliseconds since 1970."""
    return max(evidence.events_since_ms or 0, evidence.at_ms - RECENT_MS)


def lives(evidence: Evidence) -> list[Life]:
    """Every member that was there of late, in the order of coming."""
    known: dict[str, Life] = {}
    for look in evidence.looks:
        seen = look.groups.get(evidence.group)
        for member in seen.members if seen is not None else ():
            known.setdefault(member.member_id, Life(member.member_id, _who(member)))
    for event in evidence.events or ():
        if isinstance(event, MemberJoined):
            life = known.setdefault(event.member, Life(event.member, Who("", "")))
            life.who = Who(event.client_id, event.host, event.instance_id)
            life.joined_ms, life.left_ms, life.reason = event.at_ms, None, None
        elif isinstance(event, MemberLeft):
            life = known.setdefault(event.member, Life(event.member, Who(event.member, "")))
            life.left_ms, life.reason, life.detail = event.at_ms, event.reason, event.detail
    after_ms = since_ms(evidence)
    recent = [life for life in known.values() if life.left_ms is None or life.left_ms >= after_ms]
    return sorted(recent, key=lambda life: (life.joined_ms or 0, life.left_ms or evidence.at_ms))


def most_at_once(among: Iterable[Life]) -> int:
    """How many of them were members at the same time, at most."""
    # One that comes in the moment in which another one goes was not there with it.
    steps = sorted(
        step
        for life in among
        for step in (
            (life.joined_ms or 0, 1),
            *([(life.left_ms, 0)] if life.left_ms is not None else []),
        )
    )
    now = most = 0
    for _, comes in steps:
        now += 1 if comes else -1
        most = max(most, now)
    return max(most, 1)


def stem(client_id: str) -> str:
    """A client id without what differs between instances of one program: ``orders-7f9c4-x2`` and ``orders-12``."""
    parts = re.split(r"[-_.@:]", client_id)
    while len(parts) > 1 and (re.search(r"\d", parts[-1]) or len(parts[-1]) <= 1):
        parts.pop()
    return "-".join(parts)


def how_sure(details: Sequence[str], source: str) -> Certainty:
    """How sure the causes of departures are: each detail begins with it where somebody worked it out."""
    grades = list(Certainty)
    found = [
        next((grade for grade in grades if detail.startswith(grade.value)), Certainty.LIKELY)
        for detail in details
    ]
    worst = max((grades.index(grade) for grade in found), default=grades.index(Certainty.LIKELY))
    return grades[worst] if source == "__consumer_offsets" else Certainty.GUESS


def told(detail: str) -> str:
    """A detail without the certainty in front."""
    head, colon, rest = detail.partition(": ")
    return rest if colon and head in set(Certainty) else detail


def summary(evidence: Evidence) -> Summary:
    """What the timeline makes of the recent events."""
    from rota.timeline import Timeline

    after_ms = since_ms(evidence)
    events = [event for event in evidence.events or () if event.at_ms >= after_ms]
    return Timeline.of(events, evidence.group).summary()


def _who(member: MemberFacts) -> Who:
    return Who(member.client_id, member.host, member.instance_id)
