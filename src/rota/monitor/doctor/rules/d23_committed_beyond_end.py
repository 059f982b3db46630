"""D23: the group has committed offsets that the partition has not got.

Evidence: a commit beyond the end in two looks, ends asked after commits; the topic's id in several looks, and the
epochs of leaders tell whether the topic was made anew. Provoked with a consumer that commits its old position after
its topic was deleted and made again.
"""

from __future__ import annotations

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import partitions_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.monitor.view import PartitionView

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for all such partitions of a topic."""
    topics: dict[str, list[PartitionView]] = {}
    for part in evidence.view.partitions:
        if part.beyond_end > 0 and part.commit is not None:
            topics.setdefault(part.partition.topic, []).append(part)
    return [_finding(evidence, topic, parts) for topic, parts in topics.items()]


def _finding(evidence: Evidence, topic: str, parts: list[PartitionView]) -> Finding:
    worst = max(parts, key=lambda part: part.beyond_end)
    assert worst.commit is not None
    why, certainty, line = _why(evidence, topic, worst)
    partitions = [part.partition for part in parts]
    return RULE.finding(
        evidence,
        f"{worst.partition} is committed at {worst.commit.offset:,}, {count_of(worst.beyond_end, 'offset')} beyond its "
        f"end: {why}",
        EvidenceLine(f"{worst.partition}: committed", f"{worst.commit.offset:,}", "OffsetFetch"),
        EvidenceLine(f"{worst.partition}: end", f"{worst.end:,}", "ListOffsets"),
        line,
        certainty=certainty,
        partitions=partitions,
        members=sorted({part.member.member_id for part in parts if part.member is not None}),
        advice=f"Decide where the group is to go on in {partitions_text(partitions)}, and reset it there while its "
        "members are stopped: to the earliest offset if the records are new to it. Left alone, "
        "auto.offset.reset decides at the next fetch; with latest what is there now is skipped.",
        commands=(
            evidence.command(
                *("groups", "reset-offsets", "--topic", _named(topic, parts), "--to-earliest"),
                names=[evidence.group],
            ),
        ),
        doubts="An offset that somebody has set ahead on purpose, to skip records that are still to come.",
    )


def _named(topic: str, parts: list[PartitionView]) -> str:
    """These partitions, as commands want them."""
    return f"{topic}:{','.join(str(part.partition.partition) for part in parts)}"


def _why(evidence: Evidence, topic: str, part: PartitionView) -> tuple[str, Certainty, EvidenceLine]:
    """What happened, as far as it is known."""
    ids = list(dict.fromkeys(look.topics[topic].topic_id for look in evidence.looks if topic in look.topics))
    if len(ids) > 1:
        line = EvidenceLine("topic id", f"{ids[-1]}, before {ids[0]}", "Metadata")
        return "the topic was deleted and made again while it was watched", Certainty.CERTAIN, line
    now = evidence.looks[-1].partitions.get(part.partition) if evidence.looks else None
    epoch, committed = (
        (now.leader_epoch if now else None),
        (part.commit.leader_epoch if part.commit else None),
    )
    if epoch is not None and committed is not None and committed > epoch:
        line = EvidenceLine("leader epoch", f"{epoch}, the commit's is {committed}", "OffsetFetch, Metadata")
        return (
            "its leader's epoch is older than the commit's, so the topic was made again",
            Certainty.CERTAIN,
            line,
        )
    if epoch is not None and committed is not None and committed < epoch:
        line = EvidenceLine("leader epoch", f"{epoch}, the commit's is {committed}", "OffsetFetch, Metadata")
        words = "the topic was made again, or its leader changed since and records that only the old one had are lost"
        return words, Certainty.LIKELY, line
    line = EvidenceLine("topic id", ids[-1] if ids else "unknown", "Metadata")
    return "the topic was made again, or records at its end were lost", Certainty.LIKELY, line


RULE = Rule(
    id="D23",
    name="committed-beyond-end",
    severity=Severity.WARNING,
    title="committed offsets that the partition has not got",
    judge=judge,
    silences=("D19", "D24"),
    lesson=Lesson(
        what="A committed offset is the next one to read, so it is the partition's end at most. Beyond it, the group "
        "remembers a partition that was longer. A member that begins there is told OFFSET_OUT_OF_RANGE, and "
        "auto.offset.reset decides, without a word to anybody: earliest reads everything once more, latest skips what "
        "is there.",
        why="The topic was deleted and made again under the same name, and a consumer that ran on, or a restored "
        "backup of offsets, committed the old position. Or the partition lost its end: an unclean leader election "
        "(unclean.leader.election.enable=true), or brokers that lost their disks. A commit that is a little ahead for "
        "one look is nothing: commits and ends are asked one after the other.",
        todo="Stop the members, reset the partitions to where the group is to go on, start them again. Stop consumers "
        "before a topic is made anew. If the end was lost, find out which records: producers were told that they had "
        "been written.",
    ),
)
