"""D22: nobody is in the group, and its offsets will be deleted.

Evidence: the state Empty, since when (the group's record in `__consumer_offsets`, or its latest commit), and
`offsets.retention.minutes` (DescribeConfigs). A classic group's offsets expire that long after it became empty; those
of a group that never had members (assigned by hand), and of a consumer group (KIP-848), that long after each commit.
"""

from __future__ import annotations

from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import day_text, span_text, whole_number
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

__all__ = ["RULE"]

_DAY_MS = 86_400_000
_LATE = 0.1
"""The last part of the retention, in which it is a warning."""
_SOON = 0.1
"""The first part of it, in which an empty group is nothing to speak of."""
_DEFAULT_MINUTES = 7 * 24 * 60


def judge(evidence: Evidence) -> list[Finding]:
    """One finding, for the first offsets that will go."""
    group = evidence.facts
    committed = [part for part in evidence.view.partitions if part.commit is not None]
    if group.state != "Empty" or not committed:
        return []
    told = (evidence.broker_configs or {}).get("offsets.retention.minutes")
    minutes = whole_number(told)
    keep_ms = (_DEFAULT_MINUTES if minutes is None else minutes) * 60_000
    since_ms, what = _since(evidence)
    if since_ms is None:
        return [_unknown(evidence, keep_ms)]
    gone_ms = since_ms + keep_ms
    left_ms = gone_ms - evidence.at_ms
    if left_ms > (1 - _SOON) * keep_ms and left_ms > _DAY_MS:
        return []
    when = (
        f"on {day_text(gone_ms)}, in {span_text(left_ms)}"
        if left_ms > 0
        else "at the next check for expired ones"
    )
    late = left_ms < max(_DAY_MS, _LATE * keep_ms)
    lag = evidence.view.totals.lag
    return [
        RULE.finding(
            evidence,
            f"nobody is in the group, and its offsets will be deleted {when}; then auto.offset.reset decides where "
            "it begins",
            EvidenceLine(what, day_text(since_ms), "__consumer_offsets"),
            EvidenceLine(
                "offsets.retention.minutes",
                str(keep_ms // 60_000),
                "DescribeConfigs" if minutes is not None else "default",
            ),
            EvidenceLine("records not read", f"{lag:,}", "OffsetFetch, ListOffsets"),
            severity=Severity.WARNING if late else Severity.INFO,
            certainty=Certainty.CERTAIN if minutes is not None else Certainty.LIKELY,
            partitions=[part.partition for part in committed],
            advice=_advice(evidence),
            commands=_commands(evidence),
            doubts="The group is used once in a while on purpose, and begins where auto.offset.reset says.",
        )
    ]


def _since(evidence: Evidence) -> tuple[int | None, str]:
    """From when its time counts, and what that is."""
    recorded = evidence.recorded
    if (
        recorded is not None
        and recorded.type == "Classic"
        and recorded.state_since_ms
        and recorded.protocol_type
    ):
        return recorded.state_since_ms, "empty since"
    times = [part.commit.at_ms for part in evidence.view.partitions if part.commit and part.commit.at_ms]
    times += [steps[-1].at_ms for steps in (evidence.commits or {}).values() if steps]
    if times and evidence.facts.type == "Consumer":
        return min(times), "oldest commit"
    return (max(times), "latest commit") if times else (None, "")


def _unknown(evidence: Evidence, keep_ms: int) -> Finding:
    return RULE.finding(
        evidence,
        f"nobody is in the group; its offsets are kept for {span_text(keep_ms)} after the last member left, and nobody "
        "could say when that was",
        EvidenceLine("state", "Empty", "DescribeGroups"),
        EvidenceLine("offsets.retention.minutes", str(keep_ms // 60_000), "DescribeConfigs"),
        severity=Severity.INFO,
        certainty=Certainty.GUESS,
        partitions=[part.partition for part in evidence.view.partitions if part.commit is not None],
        advice="Start a member, or save the offsets. Who may read __consumer_offsets is told how long it has been so.",
        commands=_commands(evidence),
        doubts="It may have been empty for a minute only.",
    )


def _commands(evidence: Evidence) -> tuple[str, ...]:
    same, names = ("groups", "reset-offsets", "--all-topics", "--to-current"), [evidence.group]
    saved = evidence.command(*same, "--export", names=names)
    return (saved, evidence.command(*same, names=names)) if evidence.facts.type == "Consumer" else (saved,)


def _advice(evidence: Evidence) -> str:
    save = "save the offsets now (the command prints them) and set them again later with --from-file"
    again = ""
    if evidence.facts.type == "Consumer":
        again = " What is committed again, with the second command and --execute, lives as long again."
    return f"Start a member, or {save}.{again} If nobody needs the group any more, let it go, or delete it."


RULE = Rule(
    id="D22",
    name="offsets-will-expire",
    severity=Severity.WARNING,
    title="the group is empty, and its offsets will expire",
    judge=judge,
    needs=(Need.BROKER_CONFIGS,),
    lesson=Lesson(
        what="Offsets are kept while a group has members. After the last one has left they are kept for "
        "offsets.retention.minutes more, 7 days by default, and then deleted, with the group. In a group that is alive "
        "the same happens to topics to which nobody subscribes any more.",
        why="A consumer that is switched off over a long holiday, a monthly job, an environment that sleeps. When it "
        "comes back without offsets, auto.offset.reset decides: latest (the default) skips everything that was "
        "written meanwhile, earliest reads everything that is left once more. Neither says a word.",
        todo="Start a member before that day, and let it commit: then the time begins anew. Or export the "
        "offsets, and reset the group to them when it is needed. Raise offsets.retention.minutes on the brokers above "
        "the longest pause that you have (it should not be shorter than the topics' retention).",
    ),
)
