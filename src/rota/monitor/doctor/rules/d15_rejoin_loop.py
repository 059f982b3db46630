"""D15: the same members rebalance again and again, because one of them keeps asking for it.

Evidence: generations that follow each other with the same member ids, while nobody came, went or changed what he
reads. After a change a cooperative group has one such generation by right: its second round.
Provoked with librdkafka: the leader calls ``subscribe`` again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.lives import since_ms
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import (
    MemberJoined,
    MemberLeft,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

__all__ = ["RULE"]

_ENOUGH = 3
_REJOINED = frozenset({RebalanceReason.LEADER_REJOINED, RebalanceReason.MEMBER_REJOINED})


@dataclass(slots=True)
class _Run:
    """Generations in a row that changed nobody; ``before_ms`` is when the one before them was made."""

    before_ms: int
    last_ms: int
    protocol: str
    leader: str
    repeats: int = 0
    reasons: list[RebalanceReason | None] = field(default_factory=list)

    @property
    def too_many(self) -> int:
        """How many are one too many; a cooperative group's second round is none."""
        return self.repeats - ("cooperative" in self.protocol)


def judge(evidence: Evidence) -> list[Finding]:
    """The longest row of generations without any change, if it is long."""
    longest = max(_runs(evidence), key=lambda run: run.repeats, default=None)
    if longest is None or longest.too_many < _ENOUGH:
        return []
    (leader,) = evidence.names([longest.leader])
    told = all(reason in _REJOINED for reason in longest.reasons)
    took = span_text(longest.last_ms - longest.before_ms)
    return [
        RULE.finding(
            evidence,
            f"{longest.repeats} rebalances in {took} changed nothing: the same members came together again each time, "
            f"because one of them asked for it ({leader} leads the group)",
            EvidenceLine(
                "generations with the same members", f"{longest.repeats} in a row", evidence.events_source
            ),
            EvidenceLine("in", took, evidence.events_source),
            EvidenceLine("leader", longest.leader or "unknown", evidence.events_source),
            certainty=Certainty.CERTAIN if told else Certainty.LIKELY,
            members=[longest.leader] if longest.leader else [],
            advice=f"Look at the program and the client version of {leader}: a loop that calls subscribe() each time "
            "round, a callback that does, or a client with a known rejoin bug. Each of these rebalances stops an "
            "eager group as a real one does.",
            commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
            doubts="Somebody who is meant to rebalance the group by hand (enforceRebalance), or members whose view of "
            "the topics differs, so that the leader sees a change each time.",
        )
    ]


def _runs(evidence: Evidence) -> list[_Run]:
    """Every row of generations without a change, the empty ones too."""
    found: list[_Run] = []
    members: frozenset[str] | None = None
    changed, reason = True, None
    if evidence.facts.type != "Classic":
        return found
    after_ms = since_ms(evidence)
    for event in evidence.events or ():
        if event.at_ms < after_ms:
            continue
        match event:
            case MemberJoined() | MemberLeft():
                changed = True
            case RebalanceStarted():
                reason = event.reason
                changed = changed or event.reason not in _REJOINED
            case RebalanceCompleted():
                there = frozenset(event.assignment)
                if changed or there != members or not there:
                    found.append(_Run(event.at_ms, event.at_ms, event.protocol or "", event.leader or ""))
                else:
                    found[-1].repeats += 1
                    found[-1].last_ms = event.at_ms
                    found[-1].leader = event.leader or ""
                    found[-1].reasons.append(reason)
                members, changed, reason = there, False, None
    return found


RULE = Rule(
    id="D15",
    name="rejoin-loop",
    severity=Severity.WARNING,
    title="the same members rebalance again and again",
    judge=judge,
    needs=(Need.EVENTS,),
    causes=("D09",),
    lesson=Lesson(
        what="A member that is in the group already may ask to join again. When the group's leader does, the "
        "coordinator starts a rebalance, for the leader is who works out the assignment and may know of a change. "
        "In a rejoin loop it does so again and again: the generation goes up, the members stay the same, and nothing "
        "moves.",
        why="Most often a program that calls subscribe() in its loop, or a framework that does when its settings are "
        "read again. Client bugs have caused it too: a leader that compares topic metadata which two brokers tell "
        "differently, or that answers each end of a rebalance with the next. A cooperative group has one more "
        "generation without new members after each change by right, in which partitions that were given up are handed "
        "out; that is not a loop.",
        todo="Find the leader's program. Call subscribe() once. Update its client library, and look into its log for "
        "the reason that it gives (clients since 2.8 send one, and the broker's log of the coordinator shows it).",
    ),
)
