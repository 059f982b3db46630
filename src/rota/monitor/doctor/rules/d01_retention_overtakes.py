"""D01: records will be deleted before the group has read them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.pace import per_s, share
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import partitions_text, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.monitor.view import Quality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.monitor.view import PartitionView

__all__ = ["RULE"]

LEFT: Final = 0.25
"""Less of the retention time than this is worth a finding."""
SOON: Final = 0.10
"""Less than this, or an hour, is critical."""
HOUR_S: Final = 3600.0
STEPS: Final = 2
"""So often the beginning of the log must have moved while it was watched: once may be somebody who deleted records."""


class _Threat(NamedTuple):
    part: PartitionView
    left_s: float
    lines: tuple[EvidenceLine, ...]
    certainty: Certainty
    critical: bool


def judge(evidence: Evidence) -> list[Finding]:
    """By age, against `retention.ms`; and by how fast the beginning of the log moves towards the commit."""
    found = []
    for name, topic in evidence.topics.items():
        if "delete" not in topic.configs.get("cleanup.policy", "delete"):
            continue
        threats = [
            threat
            for part in evidence.view.partitions
            if part.partition.topic == name and part.lag and not part.lost
            for threat in [_by_age(part, topic.configs), _by_start(evidence, part)]
            if threat is not None
        ]
        if threats:
            found.append(_finding(evidence, name, threats))
    return found


def _by_age(part: PartitionView, configs: Mapping[str, str]) -> _Threat | None:
    """The first record that is not consumed nears the age at which Kafka deletes."""
    retention_s = _number(configs, "retention.ms") / 1000
    if retention_s <= 0 or part.time.seconds is None or part.time.quality in (Quality.CLOCK, Quality.UNKNOWN):
        return None
    left_s = retention_s - part.time.seconds
    eta_s = part.rates.eta_s
    if left_s > LEFT * retention_s or (eta_s is not None and eta_s < left_s):
        return None
    lines = (
        EvidenceLine("age of its first unread record", span_text(1000 * part.time.seconds), "Fetch"),
        EvidenceLine(
            "retention.ms", f"{retention_s * 1000:.0f} ({span_text(1000 * retention_s)})", "DescribeConfigs"
        ),
        EvidenceLine("left of that time", share(max(left_s, 0), retention_s), "Fetch, DescribeConfigs"),
    )
    critical = left_s <= max(SOON * retention_s, min(HOUR_S, retention_s / 2))
    exact = part.time.quality is Quality.EXACT
    return _Threat(part, left_s, lines, Certainty.CERTAIN if exact else Certainty.LIKELY, critical)


def _by_start(evidence: Evidence, part: PartitionView) -> _Threat | None:
    """The log's first offset moves faster than the group's commit."""
    seen = [
        (look.at_ms, facts.start)
        for look in evidence.looks
        if (facts := look.partitions.get(part.partition)) is not None and facts.start is not None
    ]
    consumed = part.rates.consumed_per_s
    steps = sum(later > earlier for (_, earlier), (_, later) in pairwise(seen))
    if steps < STEPS or consumed is None or part.commit is None:
        return None
    start_per_s = 1000 * (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
    margin = part.commit.offset - seen[-1][1]
    if start_per_s <= consumed:
        return None
    left_s = margin / (start_per_s - consumed)
    if left_s > HOUR_S:
        return None
    lines = (
        EvidenceLine("kept before the commit", count_of(margin, "record"), "OffsetFetch, ListOffsets"),
        EvidenceLine("beginning of the log moves", per_s(start_per_s), "ListOffsets"),
        EvidenceLine("the commit moves", per_s(consumed), "OffsetFetch"),
    )
    return _Threat(part, left_s, lines, Certainty.LIKELY, critical=True)


def _number(configs: Mapping[str, str], name: str) -> float:
    try:
        return float(configs.get(name, "-1"))
    except ValueError:
        return -1


def _finding(evidence: Evidence, topic: str, threats: list[_Threat]) -> Finding:
    first = min(threats, key=lambda threat: threat.left_s)
    partitions = sorted({threat.part.partition for threat in threats})
    waiting = sum(
        each.lag or 0 for each in {threat.part.partition: threat.part for threat in threats}.values()
    )
    when = f"in about {span_text(1000 * first.left_s)}" if first.left_s > 0 else "any moment now"
    name = first.part.partition
    retention_ms = max(_number(evidence.topics[topic].configs, "retention.ms"), HOUR_S * 1000)
    return RULE.finding(
        evidence,
        f"{partitions_text(partitions)} will lose records before they are read: the first go {when}, "
        f"{waiting:,} wait to be read",
        *(EvidenceLine(f"{name}: {line.what}", line.value, line.source) for line in first.lines),
        severity=Severity.CRITICAL if any(threat.critical for threat in threats) else Severity.WARNING,
        certainty=first.certainty,
        partitions=partitions,
        advice="First win time: let the topic keep its records longer. Then find out why the group is behind (see the "
        "other findings), or start members if nobody reads. Skip records only if nobody needs them.",
        commands=(
            evidence.command(
                *("--alter", "--entity-type", "topics", "--entity-name", topic),
                *("--add-config", f"retention.ms={2 * retention_ms:.0f}"),
                tool="kafka-configs.sh",
            ),
        ),
        doubts="Kafka deletes whole segments, and never the one being written, so records live somewhat longer. "
        "If the group catches up before, nothing is lost.",
    )


RULE = Rule(
    id="D01",
    name="retention-overtakes",
    severity=Severity.CRITICAL,
    title="records will be deleted before they are read",
    judge=judge,
    needs=(Need.TOPICS,),
    lesson=Lesson(
        what="Kafka keeps records for a time (retention.ms) or up to a size (retention.bytes), whether somebody has "
        "read them or not. A group whose first unread record is nearly that old is about to lose it, and then one "
        "segment after another.",
        why="The group is too slow, stuck or not running, and has been for most of the retention time; or somebody "
        "shortened the retention; or a burst filled a log that is limited by size. Lag counted in records does not "
        "show it: a small lag that is six days old is worse than a large one of a minute.",
        todo="Raise retention.ms or retention.bytes of the topic at once: it takes effect without a restart, and "
        "costs disk only. Deleted records do not come back. Then mend the group, and set the old value again when the "
        "lag is gone. To skip on purpose, stop the members and reset the group to the latest offsets.",
    ),
)
