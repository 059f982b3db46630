"""D26: two applications under one group id: they rebalance each other.

Evidence: members whose subscriptions have no topic in common (DescribeGroups), and names of clients of two families.
Provoked with two consumers of different topics in one group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.lives import stem
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

if TYPE_CHECKING:
    from rota.monitor.facts import MemberFacts

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for the group."""
    parties = _parties(evidence)
    if len(parties) < 2:
        return []
    apart = not set.intersection(*({stem(member.client_id) for member in party} for party in parties))
    texts = [and_list(evidence.names(member.member_id for member in party), 3) for party in parties]
    topics = [and_list(sorted(_topics(party)), 3) for party in parties]
    told = [
        f"{names} {'reads' if len(party) == 1 else 'read'} {what}"
        for names, what, party in zip(texts, topics, parties, strict=True)
    ]
    return [
        RULE.finding(
            evidence,
            f"{len(parties)} applications share this group id: {and_list(told, 3)}; whenever one is restarted, "
            "the other rebalances too",
            *(
                EvidenceLine(f"subscription of {names}", what, _source(evidence))
                for names, what in zip(texts, topics, strict=True)
            ),
            certainty=Certainty.CERTAIN if apart else Certainty.LIKELY,
            advice="Give each application a group id of its own. Its offsets are under the old one: reset the new "
            "group to them before it starts.",
            commands=(
                evidence.command("groups", "describe", "--members", "--verbose", names=[evidence.group]),
            ),
            doubts="One application whose processes read different topics on purpose, or one that is just being "
            "moved to other topics by a rolling restart.",
        )
    ]


def _parties(evidence: Evidence) -> list[list[MemberFacts]]:
    """Members that are held together by common topics, the largest party first; none if somebody's are not known."""
    parties: list[list[MemberFacts]] = []
    for member in evidence.facts.members:
        if member.regex is not None or member.subscription is None:
            return []
        if not member.subscription:
            continue
        mine = [party for party in parties if _topics(party) & member.subscription]
        joined = [member, *(each for party in mine for each in party)]
        parties = [party for party in parties if party not in mine] + [joined]
    return sorted(
        (sorted(party, key=lambda member: member.client_id) for party in parties),
        key=lambda party: (-len(party), party[0].client_id),
    )


def _topics(party: list[MemberFacts]) -> frozenset[str]:
    return frozenset().union(*(member.subscription or () for member in party))


def _source(evidence: Evidence) -> str:
    return "ConsumerGroupDescribe" if evidence.facts.type == "Consumer" else "DescribeGroups"


RULE = Rule(
    id="D26",
    name="shared-group-id",
    severity=Severity.WARNING,
    title="two applications under one group id",
    judge=judge,
    silences=("D14", "D08"),
    lesson=Lesson(
        what="A group is one application: its members share the partitions of the topics that they subscribe to. Two "
        "applications with the same group.id become one group. If they read different topics both work, but each "
        "restart of one makes the other rebalance; if they read the same topic, each gets a part of it and misses the "
        "rest.",
        why="A group id that was copied with a configuration file, a default that a framework sets (or a name like "
        "test or consumer), two services in one repository, a script that somebody runs once.",
        todo="One group id for each application, named after it. To part them: stop one, copy its offsets to the new "
        "group with a reset, start it under the new name, and delete what is left of its topics in the old group.",
    ),
)
