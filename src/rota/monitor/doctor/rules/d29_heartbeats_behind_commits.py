"""D29: a commit for each record: heartbeats wait behind commits, and the member is thrown out although it works.

Evidence: `__consumer_offsets` has a member's commits, one for nearly each record, for seconds; and the same client came
back at once under a new member id, or was thrown out, while they still arrived. One
connection carries both in order, and Apache Kafka 4.1 answers some 175 commits a second on it. Provoked with
librdkafka: an asynchronous commit for each of some thousand records.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.model import TopicPartition
from rota.monitor.doctor.evidence import CommitStep, Evidence, Need
from rota.monitor.doctor.lives import since_ms
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import MemberJoined, MemberLeft, RebalanceCompleted, RebalanceReason

__all__ = ["RULE"]

_MANY_PER_S = 80
"""So many keep a connection busy that waits 5 ms for each."""
_SOME_PER_S = 20
"""On a slow broker fewer do; but so many may also be a program's own pace."""
_AT_ONCE_MS = 250
"""A client that joins anew so soon after it went is the same process; a restart takes longer."""
_LONG_MS = 2_000
_STEP = 1.5
"""Records for each commit, up to which it is one for each."""
_PAUSE_MS = 500
"""A burst ends where nothing is committed for so long."""


class _Burst(NamedTuple):
    """Commits of one member that follow each other closely."""

    member: str
    since_ms: int
    until_ms: int
    commits: int
    records: int

    @property
    def per_s(self) -> float:
        return 1000 * self.commits / max(self.until_ms - self.since_ms, 1)

    @property
    def is_flood(self) -> bool:
        """Whether it is so many that a connection is full of them."""
        return self.per_s >= _MANY_PER_S

    @property
    def is_each(self) -> bool:
        """Whether it is a commit for each record, for some time and at some pace."""
        return (
            self.until_ms - self.since_ms >= _LONG_MS
            and self.per_s >= _SOME_PER_S
            and self.records <= _STEP * self.commits
        )


class _Trouble(NamedTuple):
    """What came of it."""

    at_ms: int
    words: str


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for the group, for its worst burst."""
    after_ms = since_ms(evidence)
    bursts = [burst for burst in _bursts(evidence) if burst.is_each and burst.until_ms >= after_ms]
    judged = [(burst, _trouble(evidence, burst)) for burst in bursts]
    judged = [each for each in judged if each[0].is_flood or each[1] is not None]
    if not judged:
        return []
    burst, trouble = max(judged, key=lambda each: (each[1] is not None, each[0].commits))
    (name,) = evidence.names([burst.member]) if burst.member else ("a member",)
    rate = f"{burst.per_s:.0f} a second for {span_text(burst.until_ms - burst.since_ms)}"
    came = (
        f": its heartbeats waited behind them, and {trouble.words}"
        if trouble
        else "; unless it waits for the answer to each, heartbeats queue up behind them"
    )
    lines = [
        EvidenceLine("commits", rate, "__consumer_offsets"),
        EvidenceLine("records for each commit", f"{burst.records / burst.commits:.1f}", "__consumer_offsets"),
    ]
    if trouble is not None:
        lines.append(EvidenceLine("then", trouble.words, evidence.events_source))
    return [
        RULE.finding(
            evidence,
            f"{name} commits for each record, {rate}{came}",
            *lines,
            severity=Severity.WARNING if trouble else Severity.INFO,
            certainty=Certainty.LIKELY if trouble else Certainty.GUESS,
            members=[burst.member] if burst.member else [],
            advice="Commit every 100 to 500 ms, or after some hundred records, the last offset of each partition: it "
            "covers all before it. rota.consumer does so.",
            commands=(evidence.command("groups", "offsets-log", names=[evidence.group]),),
            doubts="A member that was stopped or crashed in the middle of its commits looks the same."
            if trouble
            else "With synchronous commits no queue builds up; each record then waits for its commit instead, so that "
            "a connection does no more than some 170 records a second.",
        )
    ]


def _bursts(evidence: Evidence) -> list[_Burst]:
    """The commits of each member, parted where it paused."""
    owners = _owners(evidence)
    series: dict[str, list[tuple[CommitStep, TopicPartition]]] = {}
    for each, steps in (evidence.commits or {}).items():
        for step in steps:
            series.setdefault(_owner_at(owners, each, step.at_ms), []).append((step, each))
    found = []
    for member, steps_of in series.items():
        part: list[tuple[CommitStep, TopicPartition]] = []
        for item in sorted(steps_of):
            if part and item[0].at_ms - part[-1][0].at_ms > _PAUSE_MS:
                found.append(_burst(member, part))
                part = []
            part.append(item)
        found.append(_burst(member, part))
    return found


def _burst(member: str, steps: list[tuple[CommitStep, TopicPartition]]) -> _Burst:
    first: dict[TopicPartition, int] = {}
    last: dict[TopicPartition, int] = {}
    for step, each in steps:
        first.setdefault(each, step.offset)
        last[each] = step.offset
    records = sum(max(0, last[each] - first[each]) + 1 for each in last)
    return _Burst(member, steps[0][0].at_ms, steps[-1][0].at_ms, len(steps), records)


_Owners = list[tuple[int, dict[TopicPartition, str]]]


def _owners(evidence: Evidence) -> _Owners:
    """Who held what from when on, oldest first."""
    found: _Owners = []
    for event in evidence.events or ():
        if isinstance(event, RebalanceCompleted):
            found.append(
                (event.at_ms, {each: who for who, held in event.assignment.items() for each in held})
            )
    if not found:
        found.append((0, {each: member.member_id for each, member in evidence.facts.owners().items()}))
    return found


def _owner_at(owners: _Owners, partition: TopicPartition, at_ms: int) -> str:
    """The last that had it before; "" for nobody."""
    held = [shares[partition] for since_ms, shares in owners if since_ms <= at_ms and partition in shares]
    return held[-1] if held else ""


def _trouble(evidence: Evidence, burst: _Burst) -> _Trouble | None:
    """Whether the member went, or its client came anew, while it was committing or at most a session later."""
    client_id = next(
        (
            e.client_id
            for e in evidence.events or ()
            if isinstance(e, MemberJoined) and e.member == burst.member
        ),
        None,
    )
    until_ms = burst.until_ms + _session_ms(evidence, burst.member) + _LONG_MS
    left_ms: int | None = None
    for event in evidence.events or ():
        if not burst.since_ms + _LONG_MS / 2 < event.at_ms <= until_ms:
            continue
        match event:
            case MemberLeft(member=who, reason=reason) if who == burst.member:
                left_ms = event.at_ms
                if reason is RebalanceReason.SESSION_EXPIRED and burst.is_flood:
                    return _Trouble(event.at_ms, "its session expired")
            case MemberJoined(member=who, client_id=same) if who != burst.member and same == client_id:
                if left_ms is None or event.at_ms - left_ms <= _AT_ONCE_MS:
                    return _Trouble(event.at_ms, "its client joined again as a new member")
    return None


def _session_ms(evidence: Evidence, member: str) -> int:
    recorded = evidence.recorded.members if evidence.recorded else ()
    known = {each.member_id: each.session_timeout_ms for each in (*recorded, *evidence.facts.members)}
    return known.get(member) or 45_000


RULE = Rule(
    id="D29",
    name="heartbeats-behind-commits",
    severity=Severity.WARNING,
    title="a commit for each record starves the heartbeats",
    judge=judge,
    needs=(Need.OFFSETS_TOPIC, Need.EVENTS),
    causes=("D09", "D12"),
    lesson=Lesson(
        what="A member sends its commits and its heartbeats to the coordinator over one connection, and they are "
        "answered in order. Whoever commits for each record without waiting for the answer builds a queue there, and "
        "the heartbeat at its end comes too late. The client gives up its partitions and joins again; all records "
        "whose commits were under way may come twice.",
        why="Apache Kafka 4.1 writes what a coordinator has to record in batches (it waits up to 5 ms for more), so "
        "one connection gets some 175 commits a second done. A loop that handles 300 records a second and commits each "
        "of them is behind after a second, and after the session timeout it is out. The program works, the broker "
        "works, and the group rebalances without end.",
        todo="Commit seldom: a commit says that everything before it is done, so one every 100 to 500 ms costs "
        "nothing and repeats a handful of records after a crash. Where each record must be committed by itself "
        "before the next begins, commit synchronously: then nothing queues up, at the price of some 6 ms a record.",
    ),
)
