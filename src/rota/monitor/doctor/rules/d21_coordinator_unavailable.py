"""D21: the group's coordinator is not there: nobody can commit, join or leave.

Evidence: the partition of `__consumer_offsets` in which the group is recorded (a hash of its name), who leads it, and
how many of its replicas are in sync (Metadata); or what the brokers answered about the group. Provoked on three nodes,
with that partition on the one that is killed.
"""

from __future__ import annotations

from rota.coordinator.coordinator import partition_for
from rota.model import ErrorCode
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, whole_number
from rota.monitor.facts import TopicFacts
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

__all__ = ["RULE"]

_AWAY = frozenset(
    {
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_COORDINATOR,
    }
)
_SILENT = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NETWORK_EXCEPTION})
_TOPIC = "__consumer_offsets"


def judge(evidence: Evidence) -> list[Finding]:
    """What is wrong with the partition, or else what the brokers said."""
    topic = evidence.offsets_topic
    if topic is not None and topic.partitions:
        number = partition_for(evidence.group, len(topic.partitions))
        if topic.partitions.get(number) is None:
            return [_leaderless(evidence, topic, number)]
        if _below_minimum(evidence, topic, number):
            return [_too_few(evidence, topic, number)]
    if evidence.failure is not None and evidence.failure_code in _AWAY | _SILENT:
        return [_refused(evidence)]
    return []


def _leaderless(evidence: Evidence, topic: TopicFacts, number: int) -> Finding:
    replicas = _nodes(topic.replicas.get(number, ()))
    return RULE.finding(
        evidence,
        f"the group has no coordinator: it is recorded in {_TOPIC}-{number}, which nobody leads, so no member can "
        "commit, join or leave",
        EvidenceLine(f"leader of {_TOPIC}-{number}", "none", "Metadata"),
        EvidenceLine("its replicas", replicas, "Metadata"),
        EvidenceLine("brokers that answer", _there(evidence), "DescribeCluster"),
        severity=Severity.CRITICAL,
        advice=f"Start {replicas} again. Until then members read on and cannot commit; what they do meanwhile is "
        f"done again. With one replica only, raise the replication factor of {_TOPIC} to 3 when it is back.",
        commands=(evidence.command("topics", "describe", names=[_TOPIC]),),
        doubts="A broker that is just starting: look again in a minute.",
    )


def _too_few(evidence: Evidence, topic: TopicFacts, number: int) -> Finding:
    in_sync, least = topic.in_sync.get(number, ()), _minimum(evidence, topic)
    away = sorted(set(topic.replicas.get(number, ())) - set(in_sync))
    return RULE.finding(
        evidence,
        f"commits are refused: of {_TOPIC}-{number}, in which the group is recorded, {len(in_sync)} "
        f"{'replica is' if len(in_sync) == 1 else 'replicas are'} in sync, and {least} must be",
        EvidenceLine("in sync", _nodes(in_sync), "Metadata"),
        EvidenceLine("replicas", _nodes(topic.replicas.get(number, ())), "Metadata"),
        EvidenceLine("min.insync.replicas", str(least), "DescribeConfigs"),
        advice=f"Start {_nodes(away)} again, and wait until it has caught up.",
        commands=(evidence.command("topics", "describe", names=[_TOPIC]),),
        doubts="A broker that is just starting: look again in a minute.",
    )


def _refused(evidence: Evidence) -> Finding:
    assert evidence.failure_code is not None
    loading = evidence.failure_code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    return RULE.finding(
        evidence,
        "the group's coordinator reads its records and does not answer yet"
        if loading
        else "the group's coordinator does not answer: no member can commit, join or leave",
        EvidenceLine("answer", evidence.failure_code.name, "FindCoordinator, DescribeGroups"),
        EvidenceLine("brokers that answer", _there(evidence), "DescribeCluster"),
        certainty=Certainty.GUESS if evidence.failure_code in _SILENT else Certainty.LIKELY,
        advice=f"Look again in a minute: after a broker's failure another takes over within seconds, and reads "
        f"{_TOPIC} first. If it lasts, look at that topic's partitions and at the brokers' logs.",
        commands=(evidence.command("topics", "describe", names=[_TOPIC]),),
        doubts="A broker has just been restarted, or the network between here and it is cut and not for the members.",
    )


def _below_minimum(evidence: Evidence, topic: TopicFacts, number: int) -> bool:
    in_sync, least = topic.in_sync.get(number), _minimum(evidence, topic)
    return in_sync is not None and least is not None and 0 < len(in_sync) < least


def _minimum(evidence: Evidence, topic: TopicFacts) -> int | None:
    told = topic.configs.get("min.insync.replicas") or (evidence.broker_configs or {}).get(
        "min.insync.replicas"
    )
    return whole_number(told)


def _nodes(ids: tuple[int, ...] | list[int]) -> str:
    return f"broker {and_list([str(each) for each in sorted(ids)])}" if ids else "no broker"


def _there(evidence: Evidence) -> str:
    return and_list([str(node.id) for node in evidence.nodes or ()]) or "unknown"


RULE = Rule(
    id="D21",
    name="coordinator-unavailable",
    severity=Severity.WARNING,
    title="the group's coordinator is not there",
    judge=judge,
    silences=("D27",),
    lesson=Lesson(
        what="Each group has one coordinator: the broker that leads the partition of __consumer_offsets in which the "
        "group is recorded. Which partition that is follows from a hash of the group's name. It takes joins, "
        "heartbeats and commits. When it fails, a broker with another replica of that partition takes over, reads it, "
        "and goes on.",
        why="No replica is alive: __consumer_offsets was made with a replication factor of 1 (as it is when the first "
        "group comes while only one broker runs), or several brokers are down. Or too few replicas are in sync, and "
        "commits, which wait for min.insync.replicas, are refused. A coordinator that has just taken over and reads a "
        "large partition does not answer either, for seconds to minutes.",
        todo="Bring the brokers back. Members need no restart: they look for the coordinator again by themselves, and "
        "keep reading meanwhile; their commits are late, so expect repeats. Then see that __consumer_offsets has three "
        "replicas, and that compaction keeps it small.",
    ),
)
