"""D27: partitions of the group that nobody leads, or that have lost replicas: the lag is the brokers' fault.

Evidence: leaders, replicas and those in sync (Metadata). Provoked on three nodes, one of which is killed.
"""

from __future__ import annotations

from rota.model import TopicPartition, count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, partitions_text, whole_number
from rota.monitor.findings import EvidenceLine, Finding, Severity

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for partitions without a leader, one for those that lack replicas."""
    nobody = [part.partition for part in evidence.view.partitions if part.leaderless]
    short = [
        part.partition
        for part in evidence.view.partitions
        if not part.leaderless and _missing(evidence, part.partition)
    ]
    return ([_leaderless(evidence, nobody)] if nobody else []) + ([_short(evidence, short)] if short else [])


def _leaderless(evidence: Evidence, partitions: list[TopicPartition]) -> Finding:
    away = sorted({node for each in partitions for node in _replicas(evidence, each)})
    brokers = f"broker {and_list(list(map(str, away)))}" if away else "the brokers that hold them"
    return RULE.finding(
        evidence,
        f"{partitions_text(partitions)} {'has' if len(partitions) == 1 else 'have'} no leader: nobody can read or "
        "write there, whatever the group does",
        EvidenceLine("leader", "none", "Metadata"),
        EvidenceLine("replicas", brokers, "Metadata"),
        partitions=partitions,
        advice=f"Start {brokers} again. The group goes on by itself.",
        commands=tuple(_describe(evidence, partitions)),
        doubts="An election that is just going on takes less than a second: look again.",
    )


def _short(evidence: Evidence, partitions: list[TopicPartition]) -> Finding:
    missing = sorted({node for each in partitions for node in _missing(evidence, each)})
    refused = [each for each in partitions if _below_minimum(evidence, each)]
    words = f"{partitions_text(partitions)} {'lacks' if len(partitions) == 1 else 'lack'} replicas that are in sync"
    if refused:
        words += f"; {partitions_text(refused)} {'takes' if len(refused) == 1 else 'take'} no records with acks=all"
    return RULE.finding(
        evidence,
        words,
        EvidenceLine("not in sync", f"broker {and_list(list(map(str, missing)))}", "Metadata"),
        EvidenceLine(
            "partitions",
            f"{len(partitions)} of {count_of(len(evidence.view.partitions), 'partition')}",
            "Metadata",
        ),
        severity=Severity.WARNING if refused else Severity.INFO,
        partitions=partitions,
        advice=f"See that broker {and_list(list(map(str, missing)))} runs and catches up. Reading goes on meanwhile; "
        "a broker that copies partitions has less time for consumers.",
        commands=tuple(_describe(evidence, partitions)),
        doubts="A broker that was restarted a moment ago, or partitions that are being moved to others.",
    )


def _replicas(evidence: Evidence, each: TopicPartition) -> tuple[int, ...]:
    topic = evidence.topics.get(each.topic)
    return () if topic is None else topic.replicas.get(each.partition, ())


def _missing(evidence: Evidence, each: TopicPartition) -> set[int]:
    topic = evidence.topics.get(each.topic)
    if topic is None or each.partition not in topic.in_sync:
        return set()
    return set(_replicas(evidence, each)) - set(topic.in_sync[each.partition])


def _below_minimum(evidence: Evidence, each: TopicPartition) -> bool:
    topic = evidence.topics.get(each.topic)
    least = None if topic is None else whole_number(topic.configs.get("min.insync.replicas"))
    return topic is not None and least is not None and len(topic.in_sync[each.partition]) < least


def _describe(evidence: Evidence, partitions: list[TopicPartition]) -> list[str]:
    topics = sorted({each.topic for each in partitions})
    return [evidence.command("topics", "describe", names=topics[:4])]


RULE = Rule(
    id="D27",
    name="leader-missing",
    severity=Severity.WARNING,
    title="partitions without a leader, or short of replicas",
    judge=judge,
    silences=("D03", "D04", "D19"),
    lesson=Lesson(
        what="All reading and writing of a partition goes through its leader. Without one the partition stands still: "
        "its records are safe on the brokers that are away, and lag there says nothing about the consumers. With "
        "fewer replicas in sync than min.insync.replicas producers that want acks=all are refused as well.",
        why="Every broker with a replica that is in sync is down; with a replication factor of 1 one is enough. Fewer "
        "in sync than there should be: a broker is down, starts, or cannot keep up.",
        todo="Bring the brokers back; the consumers need nothing. An unclean election would give a leader at once, and "
        "loses what only the others have: choose it only if you know that. Topics that matter want three replicas and "
        "min.insync.replicas=2.",
    ),
)
