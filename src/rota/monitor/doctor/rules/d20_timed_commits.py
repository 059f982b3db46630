"""D20: commits come by the clock, as those of enable.auto.commit do: how much a crash would repeat.

Evidence: the times of commits in `__consumer_offsets`: gaps of one length, or of a multiple of it (without records
there is nothing to commit), of a second or more, for numbers of records that differ. Provoked with
librdkafka's auto-commit; its look-alike commits after each batch of work.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import gaps, instants, middle, shares, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

__all__ = ["RULE"]

_ENOUGH = 6
"""Gaps that must be seen before a clock is believed."""
_REGULAR = 0.8
"""This part of them must fit."""
_JITTER = 0.15
"""A gap fits that is no further from the period, or a multiple of it, than this part of the period."""
_SHORTEST_MS = 1_000
"""What comes oftener is the rhythm of the work, such as a commit after each record."""
_NEARLY = 0.9
"""A clock of a second may be read as a little less."""
_DEFAULT_MS = 5_000
"""``auto.commit.interval.ms`` unless it is set."""
_LATEST = 60
"""Commits that count: the newest."""


class _Clock(NamedTuple):
    period_ms: float
    gaps: int
    fitting: int
    records_per_s: float


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for the group: the member with the most to repeat."""
    clocks = []
    for member, held in shares(evidence):
        clock = _clock(evidence, instants(evidence, held)[-_LATEST:], held)
        if clock is not None:
            clocks.append((clock.period_ms * clock.records_per_s, member, clock))
    if not clocks:
        return []
    _, member, clock = max(clocks, key=lambda each: each[0])
    repeats = round(clock.period_ms / 1000 * clock.records_per_s)
    default = abs(clock.period_ms - _DEFAULT_MS) < _JITTER * _DEFAULT_MS
    names = evidence.names([] if member is None else [member.member_id])
    who = names[0] if names else "a member"
    return [
        RULE.finding(
            evidence,
            f"{who} commits by the clock, every {span_text(clock.period_ms)}"
            f"{' (the default of auto-commit)' if default else ''}: a crash repeats up to "
            f"{count_of(repeats, 'record')}, or loses those that were handed out and not done",
            EvidenceLine(
                "commits", f"{clock.fitting} of {clock.gaps} gaps fit the period", "__consumer_offsets"
            ),
            EvidenceLine("period", span_text(clock.period_ms), "__consumer_offsets"),
            EvidenceLine("committed", f"{clock.records_per_s:.1f} records/s", "__consumer_offsets"),
            certainty=Certainty.LIKELY if default else Certainty.GUESS,
            members=[] if member is None else [member.member_id],
            advice="Commit what is done, after it is done, and synchronously when partitions are revoked "
            "(enable.auto.commit=false). Where records are worked on outside the poll loop, auto-commit also "
            "commits what is not done yet: that loses records in a crash.",
            commands=(evidence.command("groups", "offsets-log", names=[evidence.group]),),
            doubts="A program that commits what is done from a timer of its own looks the same, and loses nothing. If "
            "repeats do no harm, and all work is done between two polls, auto-commit is right.",
        )
    ]


def _clock(evidence: Evidence, times: list[int], held: tuple[object, ...]) -> _Clock | None:
    """The period of the commits, if they have one."""
    between = gaps(times)
    if len(between) < _ENOUGH:
        return None
    period_ms = middle(sorted(between)[: max(len(between) * 3 // 4, 1)])  # the longest may be multiples
    if period_ms < _NEARLY * _SHORTEST_MS or _same_work(evidence, times[0], held):
        return None
    fitting = [gap for gap in between if _fits(gap, period_ms)]
    if len(fitting) < _REGULAR * len(between):
        return None
    period_ms = sum(fitting) / sum(round(gap / period_ms) for gap in fitting)
    return _Clock(period_ms, len(between), len(fitting), _rate(evidence, times, held))


def _same_work(evidence: Evidence, since_ms: int, held: tuple[object, ...]) -> bool:
    """Whether each commit is for the same number of records, such as one: then the work sets the rhythm."""
    sizes = {
        later.offset - earlier.offset
        for each, steps in (evidence.commits or {}).items()
        if each in held
        for earlier, later in pairwise(step for step in steps if step.at_ms >= since_ms)
    }
    return len(sizes - {0}) == 1


def _fits(gap_ms: float, period_ms: float) -> bool:
    return (
        gap_ms > period_ms / 2 and abs(gap_ms - period_ms * round(gap_ms / period_ms)) <= _JITTER * period_ms
    )


def _rate(evidence: Evidence, times: list[int], held: tuple[object, ...]) -> float:
    """Records a second that these commits tell of."""
    records = 0
    for each, steps in (evidence.commits or {}).items():
        if each in held:
            offsets = [step.offset for step in steps if step.at_ms >= times[0]]
            records += offsets[-1] - offsets[0] if offsets else 0
    return max(records, 0) / ((times[-1] - times[0]) / 1000)


RULE = Rule(
    id="D20",
    name="timed-commits",
    severity=Severity.INFO,
    title="commits come by the clock",
    judge=judge,
    needs=(Need.OFFSETS_TOPIC,),
    lesson=Lesson(
        what="With enable.auto.commit=true (the default) the client commits every auto.commit.interval.ms, 5 seconds "
        "by default, what it has handed to the program before the last poll. Between two such commits everything that "
        "was done is unknown to the group.",
        why="After a crash or kill -9 the next owner begins at the last commit: everything since is done again, up to "
        "the interval times the rate. That is harmless where work may be repeated. It is not where records are handed "
        "to threads or tasks: then a commit covers records that are not done yet, and a crash loses them.",
        todo="If repeats or losses matter: enable.auto.commit=false, commit after the work, synchronously on revoke "
        "and at the end, and make the effects idempotent, for some repeats always remain. A shorter "
        "auto.commit.interval.ms lowers the number of repeats, and does nothing about losses.",
    ),
)
