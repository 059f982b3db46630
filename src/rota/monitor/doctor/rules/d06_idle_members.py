"""D06: members that can never get work, because there are more of them than partitions."""

from __future__ import annotations

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.findings import EvidenceLine, Finding, Severity

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """Members without a partition, where every partition has its own member."""
    group = evidence.facts
    idle = [member for member in group.members if not member.assignment]
    if not idle or group.is_rebalancing or any(member.target for member in idle):
        return []
    held = [len(member.assignment) for member in group.members if member.assignment]
    if not held or max(held) > 1:
        return []  # there would be work for them: the assignment is uneven, or has yet to settle
    names = evidence.names(member.member_id for member in idle)
    total, partitions = len(group.members), sum(held)
    few = "it never gets work" if len(idle) == 1 else "they never get work"
    return [
        RULE.finding(
            evidence,
            f"{len(idle)} of {count_of(total, 'member')} {'has' if len(idle) == 1 else 'have'} no partition: "
            f"with {count_of(partitions, 'partition')} {few} while the others live",
            EvidenceLine("members", str(total), "DescribeGroups"),
            EvidenceLine("partitions assigned", str(partitions), "DescribeGroups"),
            EvidenceLine("without a partition", ", ".join(names), "DescribeGroups"),
            members=tuple(member.member_id for member in idle),
            advice=f"Run {count_of(partitions, 'member')}, or add partitions (records of a key then change their "
            "partition). One spare member is a cheap stand-by; more only add to every rebalance.",
            commands=(evidence.command("groups", "describe", "--members", names=[evidence.group]),),
            doubts="The spare members are there on purpose, to take over at once.",
        )
    ]


RULE = Rule(
    id="D06",
    name="idle-members",
    severity=Severity.WARNING,
    title="more members than partitions",
    judge=judge,
    lesson=Lesson(
        what="A partition is read by one member of a group at a time. With more members than partitions some hold "
        "nothing: they are connected, they send heartbeats, they take part in rebalances, and they read no record.",
        why="Somebody scaled the consumers, or an autoscaler did, without knowing how many partitions there are. "
        "Adding the seventh member to six partitions adds no throughput at all.",
        todo="Run at most as many members as there are partitions, or one more as a stand-by. If that is too slow, "
        "the topic needs more partitions, or the members need to work on several records at once (rota.consumer does, "
        "and keeps the order of each key). Where an autoscaler decides, cap it at the number of partitions.",
    ),
)
