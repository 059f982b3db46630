"""D08: members that read the same topics hold very different numbers of partitions."""

from __future__ import annotations

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.shell import shell_line

__all__ = ["RULE"]

EVEN = frozenset({"roundrobin", "sticky", "cooperative-sticky", "uniform"})
"""Assignors that share all topics' partitions out together."""


def judge(evidence: Evidence) -> list[Finding]:
    """Of a group at rest whose members all subscribe to the same topics."""
    group = evidence.facts
    members = group.members
    if not evidence.settled or len(members) < 2 or len({member.subscription for member in members}) > 1:
        return []
    if members[0].subscription is None or any(
        _to_move(member.assignment, member.target) for member in members
    ):
        return []
    sizes = {member.member_id: len(member.assignment) for member in members}
    most, least, total = max(sizes.values()), min(sizes.values()), sum(sizes.values())
    if most - least <= 1:
        return []
    names = evidence.names(sizes)
    topics = len({each.topic for member in members for each in member.assignment})
    top = [name for name, size in zip(names, sizes.values(), strict=True) if size == most]
    low = [name for name, size in zip(names, sizes.values(), strict=True) if size == least]
    assignor = group.assignor or "its assignor"
    holds = "holds" if len(top) == 1 else "hold"
    return [
        RULE.finding(
            evidence,
            f"{assignor} gives {and_list(top, 3)} {count_of(most, 'partition')}"
            f"{'' if len(top) == 1 else ' each'} and {and_list(low, 3)} {least or 'none'}: "
            f"whoever {holds} more is the first to be late",
            EvidenceLine("partitions", f"{total} of {count_of(topics, 'topic')}", "DescribeGroups"),
            *(
                EvidenceLine(name, count_of(size, "partition"), "DescribeGroups")
                for name, size in list(zip(names, sizes.values(), strict=True))[:6]
            ),
            EvidenceLine("assignor", assignor, "DescribeGroups"),
            certainty=Certainty.LIKELY if group.assignor in EVEN else Certainty.CERTAIN,
            members=[member.member_id for member in members if len(member.assignment) in (most, least)],
            advice=_advice(group.assignor, topics, total, len(members)),
            commands=(
                evidence.command("groups", "describe", "--members", "--verbose", names=[evidence.group]),
                shell_line(
                    [
                        *("rota", "plan", "--strategy", "cooperative-sticky"),
                        *("--members", str(len(members)), *_topic_options(evidence)),
                    ]
                ),
            ),
            doubts="Partitions with little traffic: a count says nothing of the work. Or an assignor of your own that "
            "means it so.",
        )
    ]


def _to_move(held: tuple[object, ...], target: tuple[object, ...] | None) -> bool:
    return target is not None and set(held) != set(target)


def _topic_options(evidence: Evidence) -> list[str]:
    sizes: dict[str, int] = {}
    for member in evidence.facts.members:
        for each in member.assignment:
            sizes[each.topic] = sizes.get(each.topic, 0) + 1
    return [word for topic, size in sorted(sizes.items())[:8] for word in ("--topic", f"{topic}:{size}")]


def _advice(assignor: str, topics: int, partitions: int, members: int) -> str:
    if assignor == "range" and topics > 1:
        return (
            "range shares out each topic by itself, and the first members get what is left over of every one. "
            "cooperative-sticky (or group.protocol=consumer with uniform) shares all topics out together."
        )
    if assignor in EVEN:
        return "Let the group rebalance once (restart one member); if it stays so, look at the members' versions."
    return (
        f"Use an assignor that shares evenly (cooperative-sticky), or a number of members that divides the "
        f"{partitions} partitions; now there are {members}."
    )


RULE = Rule(
    id="D08",
    name="uneven-assignment",
    severity=Severity.WARNING,
    title="partitions are shared out unevenly",
    judge=judge,
    silences=("D06",),
    lesson=Lesson(
        what="Members that could read the same partitions hold very different numbers of them. The one with most "
        "works most, lags first, and takes longest to give its partitions away in a rebalance; another one idles.",
        why="Most often it is range, the first assignor in the clients' default: it shares out each topic by itself "
        "and gives what is left over to the first members, so five topics of four partitions and three members end as "
        "10, 5 and 5. Sometimes a member crashed and came back and a sticky assignor has yet to even out.",
        todo="Change partition.assignment.strategy to cooperative-sticky in two rolling restarts (first both names, "
        "then the new one alone), or use group.protocol=consumer. With range, let the number of members divide each "
        "topic's number of partitions. rota plan shows who would hold what before you change anything.",
    ),
)
