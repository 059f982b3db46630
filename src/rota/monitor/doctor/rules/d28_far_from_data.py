"""D28: members read from leaders in another rack, where a follower would be near or where none is.

Evidence: racks of members (KIP-848: ConsumerGroupDescribe; classic: in their subscription), of brokers
(DescribeCluster), of each partition's replicas (Metadata), and `replica.selector.class`. Silent where nobody has
told a rack. Provoked with client.rack and a broker of another rack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import TopicPartition, count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

if TYPE_CHECKING:
    from rota.monitor.facts import MemberFacts

__all__ = ["RULE"]

_SELECTOR = "replica.selector.class"
_MOST = 0.5
"""From this part of the partitions on it is worth a word: some are always led elsewhere."""


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for the group."""
    racks = {node.id: node.rack for node in evidence.nodes or () if node.rack}
    far: dict[TopicPartition, MemberFacts] = {}
    total = 0
    for member in evidence.facts.members:
        for each in member.assignment if member.rack else ():
            leader = _leader(evidence, each)
            if leader in racks:
                total += 1
                if racks[leader] != member.rack:
                    far[each] = member
    near = {each for each, member in far.items() if member.rack in _racks_of_replicas(evidence, each, racks)}
    follows = _selects(evidence)
    if follows is True:
        far = {each: member for each, member in far.items() if each not in near}
        near = set()
    if not far or len(far) < _MOST * total:
        return []
    return [_finding(evidence, far, near, racks, total, follows)]


def _finding(
    evidence: Evidence,
    far: dict[TopicPartition, MemberFacts],
    near: set[TopicPartition],
    racks: dict[int, str],
    total: int,
    follows: bool | None,
) -> Finding:
    theirs = sorted({member.rack or "" for member in far.values()})
    if near:
        why = (
            f"a replica in the member's own rack is there for {len(near)}, but fetching from followers is off"
        )
        advice = (
            f"Set {_SELECTOR}=org.apache.kafka.common.replica.RackAwareReplicaSelector on the brokers: members that "
            "tell their client.rack then read from the nearest replica."
        )
    else:
        why = "no replica is in the member's own rack"
        advice = "Spread replicas over the racks in which members run, or run members where the replicas are."
    members = list(dict.fromkeys(member.member_id for member in far.values()))
    selector = (evidence.broker_configs or {}).get(_SELECTOR) or "not set"
    return RULE.finding(
        evidence,
        f"{len(far)} of {count_of(total, 'partition')} {'is' if len(far) == 1 else 'are'} read from another rack: "
        f"{why}",
        EvidenceLine("racks of the members", and_list(theirs), "ConsumerGroupDescribe, subscriptions"),
        EvidenceLine(
            "racks of the leaders",
            and_list(sorted({racks[leader] for each in far if (leader := _leader(evidence, each)) in racks})),
            "Metadata",
        ),
        EvidenceLine(_SELECTOR, selector if follows is not None else "unknown", "DescribeConfigs"),
        certainty=Certainty.CERTAIN if follows is not None or not near else Certainty.LIKELY,
        partitions=list(far),
        members=members,
        advice=advice,
        commands=(evidence.command("topics", "describe", names=sorted({each.topic for each in far})[:4]),),
        doubts="Racks that are near each other and cost nothing between them.",
    )


def _selects(evidence: Evidence) -> bool | None:
    """Whether the brokers send consumers to near replicas; None if nobody could say."""
    if evidence.broker_configs is None:
        return None
    return "RackAware" in (evidence.broker_configs.get(_SELECTOR) or "")


def _leader(evidence: Evidence, each: TopicPartition) -> int:
    topic = evidence.topics.get(each.topic)
    leader = None if topic is None else topic.partitions.get(each.partition)
    return -1 if leader is None else leader


def _racks_of_replicas(evidence: Evidence, each: TopicPartition, racks: dict[int, str]) -> set[str]:
    topic = evidence.topics.get(each.topic)
    return (
        set()
        if topic is None
        else {racks[node] for node in topic.replicas.get(each.partition, ()) if node in racks}
    )


RULE = Rule(
    id="D28",
    name="far-from-data",
    severity=Severity.INFO,
    title="members read from another rack",
    judge=judge,
    needs=(Need.NODES,),
    lesson=Lesson(
        what="A consumer reads from the leader of a partition, wherever that is. In a cluster over several zones two "
        "of three reads cross to another zone, which takes a little longer and is often billed by the gigabyte. "
        "Kafka can let a consumer read from a follower in its own zone instead.",
        why="It needs all three: brokers that know their broker.rack, members that tell their client.rack, and "
        "replica.selector.class on the brokers (RackAwareReplicaSelector). If one is missing, everybody reads from "
        "leaders. And if no replica is in a member's rack, nothing helps but moving one of the two.",
        todo="Set the selector and client.rack. Records come from a follower a little later than from the leader: it "
        "must have fetched them, and learnt that they are committed. Assignors of consumer groups, and newer classic "
        "ones, also give members partitions that are near.",
    ),
)
