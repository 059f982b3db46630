"""D30: records come, and nobody is in the group to read them."""

from __future__ import annotations

from typing import Final

from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.pace import per_s
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, day_text, partitions_text, span_text
from rota.monitor.findings import EvidenceLine, Finding, Severity
from rota.timeline.events import MemberLeft

__all__ = ["RULE"]

RECENT_MS: Final = 3_600_000
"""A group that somebody was in so lately was not abandoned on purpose, more likely."""


def judge(evidence: Evidence) -> list[Finding]:
    """A group without members whose topics are written to."""
    if evidence.facts.members or evidence.facts.is_rebalancing or evidence.failure is not None:
        return []
    parts = [part for part in evidence.view.partitions if part.lag and part.rates.produced_per_s]
    if not parts:
        return []
    lag = sum(part.lag or 0 for part in parts)
    come = sum(part.rates.produced_per_s or 0 for part in parts)
    since_ms = evidence.recorded.state_since_ms if evidence.recorded is not None else None
    away_ms = None if since_ms is None else evidence.at_ms - since_ms
    lines = [
        EvidenceLine("members", "0", "DescribeGroups"),
        EvidenceLine("records that come", per_s(come), "ListOffsets"),
        EvidenceLine(
            "lag",
            f"{lag:,} in {partitions_text(part.partition for part in parts)}",
            "OffsetFetch, ListOffsets",
        ),
    ]
    if since_ms is not None:
        lines.append(EvidenceLine("empty since", day_text(since_ms), "__consumer_offsets"))
    gone = [event.member for event in evidence.events or () if isinstance(event, MemberLeft)]
    if gone:
        lines.append(EvidenceLine("the last to leave", and_list(gone[-3:]), evidence.events_source))
    since = "" if away_ms is None else f" for {span_text(away_ms)}"
    return [
        RULE.finding(
            evidence,
            f"nobody is in the group{since}, and {per_s(come)} come: its lag of {lag:,} grows",
            *lines,
            severity=Severity.CRITICAL if away_ms is not None and away_ms <= RECENT_MS else Severity.WARNING,
            partitions=[part.partition for part in parts],
            advice="Start its consumers, and look at why they ended: a deploy that failed, a crash at start, a wrong "
            "group.id in a new release. If the group is not needed any more, delete it, so that nobody waits for it.",
            commands=(
                evidence.command("groups", "rebalances", names=[evidence.group]),
                evidence.command("groups", "list", "--state"),
            ),
            doubts="A job that runs at times, and will read everything when it does; or consumers that assign "
            "partitions to themselves and are members of nothing.",
        )
    ]


RULE = Rule(
    id="D30",
    name="nobody-reads",
    severity=Severity.WARNING,
    title="records come, and the group has no members",
    judge=judge,
    needs=(Need.LOOKS,),
    explains_lag=True,
    silences=("D04", "D05"),
    lesson=Lesson(
        what="The group has committed offsets, and its topics are written to, but it has no members: nobody reads. "
        "The lag grows as fast as records come, until retention begins to delete what was never read.",
        why="All instances are down: a release that crashes at start, a scheduler that scaled to zero, credentials "
        "that expired. Or the programs run, but under another group.id since the last deploy; then a new group begins "
        "beside this one, often at the end of the log, and what lies between is read by nobody.",
        todo="Look at what became of the last members (rota groups rebalances tells when and how each went), start "
        "them, and watch the lag fall. Look in the list of groups for one that is new. A group that nobody needs "
        "should be deleted: its offsets expire by themselves only after offsets.retention.minutes (a week unless set).",
    ),
)
