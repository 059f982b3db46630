"""D05: one partition gets most of the traffic, and its member cannot keep up."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.pace import WORK_S, pace_of, per_s, readable_lag, share
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import partitions_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.monitor.view import Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.monitor.view import PartitionView

__all__ = ["RULE"]

TIMES: Final = 3
"""Hot is what gets more than so many times as much as the middle one of the others."""
LEAST: Final = 20
"""Of fewer records nothing can be said."""


def judge(evidence: Evidence) -> list[Finding]:
    """By topic: partitions that get far more than the others, and lag far more."""
    found = []
    topics: dict[str, list[PartitionView]] = {}
    for part in evidence.view.partitions:
        if part.lag is not None and not part.lost:
            topics.setdefault(part.partition.topic, []).append(part)
    for parts in topics.values():
        if len(parts) < 2:
            continue
        traffic, seen = _traffic(parts, evidence.span_s)
        whole, lags = sorted(traffic.values()), sorted(map(readable_lag, parts))
        hot = [
            part
            for part in parts
            if traffic[part] > TIMES * _middle_without(traffic[part], whole) and _is_behind(part, lags)
        ]
        if hot and len(hot) <= len(parts) / 2:
            found.append(_finding(evidence, hot, parts, traffic, rates=seen))
    return found


def _traffic(parts: list[PartitionView], span_s: float) -> tuple[Mapping[PartitionView, float], bool]:
    """Records of each partition: of a second if that many came while it was watched, else those that are kept."""
    rates = {part: part.rates.produced_per_s for part in parts}
    known = {part: rate for part, rate in rates.items() if rate is not None}
    if len(known) == len(parts) and sum(known.values()) * span_s >= LEAST:
        return known, True
    return {part: float((part.end or 0) - (part.start or 0)) for part in parts}, False


def _middle_without(value: float, ranked: Sequence[float]) -> float:
    """The lower median of the others; ``ranked`` are all values, the smallest first."""
    place, middle = bisect_left(ranked, value), (len(ranked) - 2) // 2
    return ranked[middle if middle < place else middle + 1]


def _is_behind(part: PartitionView, lags: Sequence[int]) -> bool:
    """Whether the traffic harms: it lags far more than the others, and is not catching up."""
    lag = readable_lag(part)
    pace = pace_of([part])
    waits = part.rates.produced_per_s is None if pace is None else pace.work_s >= WORK_S
    large = lag > LEAST and lag > TIMES * _middle_without(lag, lags)
    return large and waits and part.rates.level is not Level.FALLING


def _finding(
    evidence: Evidence,
    hot: list[PartitionView],
    parts: list[PartitionView],
    traffic: Mapping[PartitionView, float],
    *,
    rates: bool,
) -> Finding:
    whole = sum(traffic.values())
    part = share(sum(traffic[each] for each in hot), whole)
    others = [each for each in parts if each not in hot]
    busiest = sorted(parts, key=lambda each: -traffic[each])[:6]
    one = len(hot) == 1
    name = partitions_text(each.partition for each in hot)
    return RULE.finding(
        evidence,
        f"{name} {'gets' if one else 'get'} {part} of the topic's records and {'lags' if one else 'lag'} "
        f"{sum(readable_lag(each) for each in hot):,} behind, the other {len(others)} together "
        f"{sum(readable_lag(each) for each in others):,}: adding members will not help",
        *(_line(each, traffic[each], rates=rates) for each in busiest),
        certainty=Certainty.LIKELY if rates else Certainty.GUESS,
        partitions=[each.partition for each in hot],
        members=dict.fromkeys(each.member.member_id for each in hot if each.member is not None),
        advice="Find the key that most of its records have, and spread it: a finer key, or one with a suffix where "
        "its order does not matter. Until then let the member handle several keys of the partition at a time.",
        commands=(
            evidence.command(
                *("--topic", hot[0].partition.topic, "--partition", str(hot[0].partition.partition)),
                *("--offset", "latest", "--max-messages", "100", "--property", "print.key=true"),
                *("--property", "print.value=false"),
                tool="kafka-console-consumer.sh",
            ),
        ),
        doubts="A burst for one key that ends soon, or a producer that writes to a partition by number."
        if rates
        else "The records that are kept may be of an older time: watch the group longer, while records come.",
    )


def _line(part: PartitionView, traffic: float, *, rates: bool) -> EvidenceLine:
    come = f"{per_s(traffic)} come" if rates else f"{traffic:,.0f} records kept"
    return EvidenceLine(str(part.partition), f"{come}, lag {part.lag:,}", "ListOffsets, OffsetFetch")


RULE = Rule(
    id="D05",
    name="hot-partition",
    severity=Severity.WARNING,
    title="one partition gets most of the records",
    judge=judge,
    explains_lag=True,
    silences=("D04", "D07"),
    lesson=Lesson(
        what="Records with a key go to the partition that the key's hash names. If one key, or a few, make up most of "
        "the traffic, one partition gets most of the records, and the one member that holds it does most of the work.",
        why="Keys are skewed: one large customer, an empty or default key, a country code. Or somebody produces to a "
        "fixed partition. A partition cannot be shared, so more members only stand beside the one that is busy.",
        todo="Print the keys of the partition (the command) and count them. Choose a key that spreads, such as order "
        "instead of customer, or add a suffix to the hot key where its order does not matter. If order per key must "
        "stay, handle different keys of the partition at the same time in the member. More partitions spread many "
        "keys, never one.",
    ),
)
