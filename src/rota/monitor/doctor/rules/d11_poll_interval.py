"""D11: members are thrown out because they did not poll for longer than max.poll.interval.ms."""

from __future__ import annotations

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.lives import how_sure, lives, told
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, span_text
from rota.monitor.findings import EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceReason

__all__ = ["RULE"]

REASONS = frozenset({RebalanceReason.POLL_INTERVAL_EXCEEDED, RebalanceReason.JOIN_TIMEOUT})


def judge(evidence: Evidence) -> list[Finding]:
    """Departures whose time says so."""
    gone = [life for life in lives(evidence) if life.reason in REASONS]
    if not gone:
        return []
    names = list(dict.fromkeys(str(life.who) for life in gone))
    now = {member.member_id: member for member in (evidence.recorded or evidence.facts).members}
    limits = [limit for member in now.values() if (limit := member.rebalance_timeout_ms)]
    allowed = f" ({span_text(min(limits))})" if limits else ""
    source = evidence.events_source
    back = [life for life in lives(evidence) if life.left_ms is None and str(life.who) in names]
    again = {life.member_id for life in back}
    slow = [tp for member in evidence.facts.members if member.member_id in again for tp in member.assignment]
    lines = [
        EvidenceLine(str(life.who), told(life.detail) or "polled too seldom", source) for life in gone[-3:]
    ]
    if limits:
        lines.append(EvidenceLine("max.poll.interval.ms", f"{min(limits):,}", "__consumer_offsets"))
    if back:
        lines.append(EvidenceLine("back since", and_list([str(life.who) for life in back]), source))
    times = "" if len(gone) == 1 else f" {count_of(len(gone), 'time')}"
    return [
        RULE.finding(
            evidence,
            f"{and_list(names, 3)} {'was' if len(names) == 1 else 'were'} thrown out{times} for polling too seldom: "
            f"the work between two polls took longer than max.poll.interval.ms{allowed}",
            *lines,
            certainty=how_sure([life.detail for life in gone], source),
            partitions=sorted(slow),
            members=dict.fromkeys(life.member_id for life in (*gone, *back)),
            advice="Let a poll return less (max.poll.records; with librdkafka consume fewer at a time), give every "
            "call in the handler a time-out, or raise max.poll.interval.ms above the longest time that a poll's "
            "records may take. What lasts: do the work off the thread that polls, as rota.consumer does.",
            commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
            doubts="A clean restart just then. The broker's log would say it: run the doctor with --broker-log, and "
            "look for 'consumer poll timeout has expired'.",
        )
    ]


RULE = Rule(
    id="D11",
    name="poll-interval",
    severity=Severity.WARNING,
    title="members polled too seldom and were thrown out",
    judge=judge,
    needs=(Need.EVENTS,),
    silences=("D04",),
    causes=("D09",),
    lesson=Lesson(
        what="A client that has not been polled for max.poll.interval.ms (five minutes unless set) leaves the group "
        "by itself, though its process and its heartbeats are well. Its partitions go to others, who read again all "
        "that it had not committed. As soon as it polls, it joins again: another rebalance.",
        why="The records of one poll took too long: a slow database, a call without a time-out, a batch that grew "
        "with the lag, a long pause of the process. The commit that it tries afterwards is refused, so the same "
        "records come again, take too long again, and the group never gets past them.",
        todo="Make the time between two polls short and bounded: fewer records a poll, time-outs on every call, and "
        "work that may take long off the polling thread. Raise max.poll.interval.ms only to what the slowest healthy "
        "batch needs: it is also how long a rebalance waits for a member that hangs.",
    ),
)
