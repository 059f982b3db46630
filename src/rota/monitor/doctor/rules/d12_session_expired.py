"""D12: members vanished without a word, and their sessions expired."""

from __future__ import annotations

import re

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.lives import Life, how_sure, lives, told
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, span_text
from rota.monitor.findings import EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceReason

__all__ = ["RULE"]

_STATED = re.compile(r"session timeout is ([\d.]+) s\b")
"""In the detail of a departure that was worked out."""
REASONS = frozenset({RebalanceReason.SESSION_EXPIRED, RebalanceReason.SYNC_TIMEOUT})


def judge(evidence: Evidence) -> list[Finding]:
    """Departures after a silence as long as the session timeout: one finding for all with the same one."""
    known = lives(evidence)
    found: dict[int | None, list[Life]] = {}
    for life in known:
        if life.reason in REASONS:
            found.setdefault(_limit_ms(evidence, life), []).append(life)
    return [_finding(evidence, known, gone, limit_ms) for limit_ms, gone in found.items()]


def _limit_ms(evidence: Evidence, gone: Life) -> int | None:
    """Its session timeout: as its departure tells it, that of its program, which is back, or what all members have;
    None where they differ.
    """
    stated = _STATED.search(gone.detail)
    if stated is not None:
        return round(1000 * float(stated[1]))
    members = [each for each in (evidence.recorded or evidence.facts).members if each.session_timeout_ms]
    own = {
        member.session_timeout_ms
        for member in members
        if member.member_id == gone.member_id
        or (member.client_id, member.host, member.instance_id) == tuple(gone.who)
    }
    limits = own or {member.session_timeout_ms for member in members}
    return limits.pop() if len(limits) == 1 else None


def _finding(evidence: Evidence, known: list[Life], gone: list[Life], limit_ms: int | None) -> Finding:
    names = list(dict.fromkeys(str(life.who) for life in gone))
    returned = [life for life in gone if _back(life, known)]
    source = evidence.events_source
    lines = [
        EvidenceLine(str(life.who), told(life.detail) or "silent for its session timeout", source)
        for life in gone[-3:]
    ]
    if limit_ms:
        lines.append(EvidenceLine("session.timeout.ms", f"{limit_ms:,}", "__consumer_offsets"))
    lines.append(EvidenceLine("came back", f"{len(returned)} of {len(gone)}", source))
    after = f" for {span_text(limit_ms)}" if limit_ms else ""
    if len(returned) == len(gone):
        outcome = "a freeze or a cut, or its program was started again"
    elif returned:
        outcome = f"{len(returned)} of them came back"
    else:
        outcome = "a crash, or its host is gone"
    whose = "its" if len(names) == 1 else "their"
    times = "" if len(gone) == len(names) else f" {count_of(len(gone), 'time')}"
    return RULE.finding(
        evidence,
        f"{and_list(names, 3)} vanished{times} without a word and nobody read {whose} partitions{after}: {outcome}",
        *lines,
        certainty=how_sure([life.detail for life in gone], source),
        members=[life.member_id for life in gone],
        advice="Look at the host at that time: was the process killed (-9, out of memory), frozen (garbage "
        "collection, a suspended machine), or cut off from the brokers? Let programs end with close(), so that "
        "others take over at once.",
        commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
        doubts="A static member (group.instance.id) that was stopped on purpose looks the same: it does not say "
        "goodbye.",
    )


def _back(gone: Life, known: list[Life]) -> bool:
    return any(
        life.who == gone.who and life.joined_ms is not None and life.joined_ms >= (gone.left_ms or 0)
        for life in known
        if life is not gone
    )


RULE = Rule(
    id="D12",
    name="session-expired",
    severity=Severity.WARNING,
    title="members vanished without a word",
    judge=judge,
    needs=(Need.EVENTS,),
    causes=("D09",),
    lesson=Lesson(
        what="A member sends heartbeats; when the coordinator has not heard any for session.timeout.ms it takes the "
        "member out and gives its partitions to others. Until then nobody reads them: the session timeout is how long "
        "a crash stays unnoticed.",
        why="The process was killed or crashed, its machine went away, the network was cut, or everything in it stood "
        "still: garbage collection, a suspended laptop, a container without processor time. One that was frozen "
        "believes for a moment that it still owns its partitions, and may handle records that others handle too.",
        todo="Find out which of these it was from the host's and the supervisor's logs. Let the program close its "
        "consumer when it is told to end. The heartbeat interval should be a third of the session timeout or less. A "
        "shorter session notices crashes sooner, and throws out members that were only slow for a moment.",
    ),
)
