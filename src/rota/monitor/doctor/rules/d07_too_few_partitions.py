"""D07: every partition has a member of its own, and the group still falls behind."""

from __future__ import annotations

from math import ceil
from typing import Final

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.pace import falling_behind, pace_of, per_s, surely
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.findings import EvidenceLine, Finding, Severity
from rota.monitor.view import PartitionView

__all__ = ["RULE"]

ALIKE: Final = 2
"""Members are equally busy where none handles so many times as much as another."""


def judge(evidence: Evidence) -> list[Finding]:
    """One partition a member, most of them falling behind, all about equally fast."""
    group = evidence.facts
    busy = [member for member in group.members if member.assignment]
    behind = falling_behind(evidence)
    if not evidence.settled or not busy or any(len(member.assignment) > 1 for member in busy):
        return []
    parts = [part for part in evidence.view.partitions if part.member is not None]
    paces = [pace for part in behind if (pace := pace_of([part])) is not None]
    if len(behind) < max(1, 2 * len(parts) / 3):
        return []
    speeds = [pace.consumed_per_s for pace in paces]
    if max(speeds) > ALIKE * min(speeds):
        return []
    whole = pace_of(parts)
    assert whole is not None
    needed = ceil(whole.produced_per_s / (whole.consumed_per_s / len(parts)))
    topics = sorted({part.partition.topic for part in parts})
    return [
        RULE.finding(
            evidence,
            f"each of the {count_of(len(parts), 'partition')} has its own member and the lag of {whole.lag:,} still "
            f"grows: more members would get nothing to do",
            EvidenceLine(
                "members with a partition", f"{len(busy)} of {len(group.members)}", "DescribeGroups"
            ),
            EvidenceLine("partitions", str(len(parts)), "DescribeGroups"),
            EvidenceLine("records handled", per_s(whole.consumed_per_s), "OffsetFetch"),
            EvidenceLine("records that come", per_s(whole.produced_per_s), "ListOffsets"),
            certainty=surely(behind),
            partitions=[part.partition for part in behind],
            members=[member.member_id for member in busy],
            advice=f"Handle several keys at a time in each member (rota.consumer keeps the order of each), make the "
            f"handler faster, or have {count_of(needed, 'partition')}; adding partitions sends keys elsewhere, so the "
            "order of a key is lost once, between its old and its new partition.",
            commands=(
                evidence.command("topics", "describe", names=topics[:1]),
                evidence.command(
                    *("topics", "add-partitions", "--to", str(_total(topics[0], parts, needed))),
                    names=topics[:1],
                ),
            ),
            doubts="A burst that ends soon, or handlers that wait for the same slow database: then more of anything "
            "would only wait with them.",
        )
    ]


def _total(topic: str, parts: list[PartitionView], needed: int) -> int:
    """How many partitions the topic would have, if it takes all that are missing."""
    own = sum(part.partition.topic == topic for part in parts)
    return own + max(needed - len(parts), 1)


RULE = Rule(
    id="D07",
    name="too-few-partitions",
    severity=Severity.WARNING,
    title="a member for each partition, and still too slow",
    judge=judge,
    needs=(Need.LOOKS,),
    explains_lag=True,
    silences=("D04",),
    lesson=Lesson(
        what="The number of partitions is the most members of a group that can work at the same time. Here each "
        "partition has its own member, all are about equally fast, and records come faster than all of them together "
        "handle. Scaling out has come to its end.",
        why="The topic was made for less traffic, or the handler became slower. One record after the other, a handler "
        "of 20 ms gets through 50 records a second; six partitions are 300 a second, however many machines there are.",
        todo="First make each member do more: several keys at the same time, batches, fewer round trips. Only then "
        "add partitions: it cannot be undone, and from then on keys go to other partitions than before, so that "
        "records of one key may be handled out of order around the change. "
        "Choose a number with many divisors, such as 12 or 24.",
    ),
)
