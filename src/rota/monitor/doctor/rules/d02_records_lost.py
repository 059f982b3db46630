"""D02: records were deleted before the group had read them."""

from __future__ import annotations

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import partitions_text
from rota.monitor.findings import EvidenceLine, Finding, Severity
from rota.monitor.view import PartitionView

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """One finding, for all partitions with commits before the first offset that is still kept."""
    parts = _overtaken(evidence)
    if not parts:
        return []
    lost = sum(part.lost for part in parts)
    worst = max(parts, key=lambda part: part.lost)
    partitions = [part.partition for part in parts]
    topic = worst.partition.topic
    scope = ",".join(str(each.partition) for each in partitions if each.topic == topic)
    return [
        RULE.finding(
            evidence,
            f"{count_of(lost, 'record')} of {partitions_text(partitions)} {'was' if lost == 1 else 'were'} deleted "
            f"before {'it was' if lost == 1 else 'they were'} read; auto.offset.reset decides where the group goes on",
            EvidenceLine(
                f"{worst.partition}: committed",
                f"{worst.commit.offset if worst.commit else '-'}",
                "OffsetFetch",
            ),
            EvidenceLine(f"{worst.partition}: first offset kept", f"{worst.start}", "ListOffsets"),
            EvidenceLine(
                f"{worst.partition}: gone", count_of(worst.lost, "record"), "OffsetFetch, ListOffsets"
            ),
            severity=Severity.CRITICAL if evidence.facts.members else Severity.WARNING,
            partitions=partitions,
            advice="Decide where to go on before a consumer does: auto.offset.reset=latest (the default of Kafka's "
            "clients) would skip everything that is still there. The reset below goes on at the first record that is "
            "kept; stop the members first.",
            commands=(
                evidence.command(
                    *("groups", "reset-offsets", "--topic", f"{topic}:{scope}", "--to-earliest", "--dry-run"),
                    names=[evidence.group],
                ),
            ),
            doubts="Somebody deleted the records on purpose (kafka-delete-records.sh), or they were transactions' "
            "markers and holes of a compacted topic, which nobody misses.",
        )
    ]


def _overtaken(evidence: Evidence) -> list[PartitionView]:
    """Of topics that the group reads, as far as is known."""
    members = evidence.facts.members
    known = [member.subscription for member in members if member.subscription is not None]
    read = frozenset().union(*known) if known and len(known) == len(members) else None
    return [
        part
        for part in evidence.view.partitions
        if part.lost and (read is None or part.partition.topic in read or part.member is not None)
    ]


RULE = Rule(
    id="D02",
    name="records-lost",
    severity=Severity.CRITICAL,
    title="records were deleted before they were read",
    judge=judge,
    silences=("D01", "D03", "D04"),
    lesson=Lesson(
        what="The offset that the group has committed lies before the first one that the partition still has. What "
        "was in between is gone. The next fetch is answered OFFSET_OUT_OF_RANGE, and the consumer's auto.offset.reset "
        "decides: earliest goes on at the first record that is left, latest skips all of them, none is an error.",
        why="Retention (or somebody's kafka-delete-records) was faster than the group. Most often the group was not "
        "running for longer than the retention time, or one partition was stuck for so long.",
        todo="Stop the members, reset the partitions to the earliest offset (dry run first) and start them again, so "
        "that nothing more is skipped. Tell whoever owns the data how many records are missing. Then find out why the "
        "group was so late, and let the topic keep its records longer than your longest outage.",
    ),
)
