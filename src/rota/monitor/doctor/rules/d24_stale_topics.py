"""D24: the group has offsets of topics that none of its members reads: lag that nobody will ever work off.

Evidence: committed partitions whose topic is in no subscription, assignment or target of a group with members whose
subscriptions are all known. A pattern that matches new topics later is no reason to be silent: what it matches now is
in the subscription (classic) or must match (KIP-848). Provoked by a group whose members changed their topics.
"""

from __future__ import annotations

from rota.coordinator.re2 import PatternError, compile_pattern
from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, partitions_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for all such topics."""
    wanted = _wanted(evidence)
    if wanted is None:
        return []
    stale = [
        part
        for part in evidence.view.partitions
        if part.commit is not None and part.member is None and part.partition.topic not in wanted
    ]
    if not stale:
        return []
    topics = sorted({part.partition.topic for part in stale})
    lag = sum(part.lag or 0 for part in stale)
    gone = [topic for topic in topics if evidence.topics and topic not in evidence.topics]
    share = f", and {count_of(lag, 'record')} of its lag are theirs" if lag else ""
    return [
        RULE.finding(
            evidence,
            f"the group has offsets of {and_list(topics)}, which no member reads{share}",
            EvidenceLine("subscriptions", and_list(sorted(wanted), 8), "DescribeGroups"),
            EvidenceLine(
                "committed beside them", partitions_text([part.partition for part in stale]), "OffsetFetch"
            ),
            *([EvidenceLine("topics that are gone", and_list(gone), "Metadata")] if gone else []),
            certainty=Certainty.LIKELY,
            partitions=[part.partition for part in stale],
            advice="If nobody is to read them in this group again, delete these offsets: lag and alerts that count "
            "them go with them. Kafka lets them expire by itself after offsets.retention.minutes.",
            commands=tuple(
                evidence.command("groups", "delete-offsets", "--topic", topic, names=[evidence.group])
                for topic in topics[:4]
            ),
            doubts="A member that reads them is stopped for a while, or assigns itself partitions without the group.",
        )
    ]


def _wanted(evidence: Evidence) -> frozenset[str] | None:
    """All topics that members want; None where there are no members, or where somebody's wishes are not known."""
    members = evidence.facts.members
    if not members or evidence.facts.is_rebalancing:
        return None
    wanted: set[str] = set()
    for member in members:
        if member.subscription is None:
            return None
        wanted |= member.subscription
        wanted |= {each.topic for each in (*member.assignment, *(member.target or ()))}
        if member.regex is not None:
            try:
                pattern = compile_pattern(member.regex)
            except PatternError:
                return None
            wanted |= {each for each in _committed_topics(evidence) if pattern.matches(each)}
    return frozenset(wanted)


def _committed_topics(evidence: Evidence) -> set[str]:
    return {part.partition.topic for part in evidence.view.partitions}


RULE = Rule(
    id="D24",
    name="stale-topics",
    severity=Severity.INFO,
    title="offsets of topics that nobody reads",
    judge=judge,
    lesson=Lesson(
        what="A group keeps the offsets of every partition that it ever committed, also of topics that its members do "
        "not read any more. Their lag grows as long as somebody produces there, and no consumer will ever make it "
        "smaller.",
        why="A topic was renamed, a consumer was split in two, a developer tried something under the group's name. "
        "Dashboards and autoscalers that add up a group's lag count such topics, alert for ever, or start members "
        "that have nothing to do.",
        todo="Delete the offsets of these topics; members of the others need not be stopped for it. Or wait: while the "
        "group lives, offsets of topics to which nobody subscribes expire after offsets.retention.minutes. Before "
        "that, make sure that no member of the group is merely switched off.",
    ),
)
