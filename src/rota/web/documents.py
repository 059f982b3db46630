"""What a browser is sent about a group: plain values for JSON, made of a `GroupView`.

Times are milliseconds since 1970, rates records a second, lags in time seconds; null is what nobody knows. Names are
sent as they are: whoever shows them must take them for text.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from rota.monitor.findings import worst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rota.monitor.findings import Finding
    from rota.monitor.view import GroupView, MemberView, PartitionView, Rates, TimeLag, Totals

__all__ = ["finding_documents", "head", "history", "member_documents", "partition_documents", "row"]

TREND_POINTS: Final = 32
"""How many points a small chart has."""

MOST_PATHS: Final = 600
"""How many points of its history a group's page gets: more than a screen has pixels to tell apart is not worth it."""


def row(view: GroupView) -> dict[str, Any]:
    """One group as a line of the list."""
    facts, totals = view.facts, view.totals
    found = worst(view.findings)
    return {
        "name": facts.group,
        "type": facts.type,
        "state": facts.state,
        "rebalancing": facts.is_rebalancing,
        "members": len(facts.members),
        **_totals(totals),
        "trend": _thinned([point[1] for point in view.history], TREND_POINTS),
        "finding": None if found is None else _short(found, len(view.findings)),
    }


def head(view: GroupView) -> dict[str, Any]:
    """What stands above everything else about one group."""
    facts, now = view.facts, view.rebalance
    node = facts.coordinator
    return {
        "name": facts.group,
        "at_ms": view.at_ms,
        "type": facts.type,
        "state": facts.state,
        "state_since_ms": facts.state_since_ms,
        "rebalancing": facts.is_rebalancing,
        "assignor": facts.assignor,
        "epoch": facts.epoch,
        "target_epoch": facts.target_epoch,
        "coordinator": None if node is None else f"{node.host}:{node.port} (id {node.id})",
        "members": len(facts.members),
        "idle": sum(1 for member in facts.members if not member.assignment),
        **_totals(view.totals),
        "topics": [{"name": name, **_totals(totals)} for name, totals in sorted(view.topics.items())],
        "rebalance": None
        if now is None
        else {
            "started_ms": now.started_ms,
            "words": now.words,
            "waiting_for": list(now.waiting_for),
            "paused": len(now.paused),
        },
    }


def partition_documents(view: GroupView, name_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Every partition: how far it is read, by whom, and what is odd about it."""
    return [_partition(part, name_of) for part in view.partitions]


def member_documents(view: GroupView, name_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Every member with the lag of what it holds."""
    return [_member(item, name_of) for item in view.members]


def history(view: GroupView) -> list[list[float | int | None]]:
    """``[at_ms, lag, produced/s, consumed/s]`` of the looks of late, oldest first."""
    points = view.history
    if len(points) > MOST_PATHS:
        step = -(-len(points) // MOST_PATHS)
        points = (*points[:-1:step], points[-1])
    return [[at, lag, _number(made), _number(read)] for at, lag, made, read in points]


def finding_documents(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The doctor's findings, the worst first."""
    return [
        {
            "rule": item.rule,
            "name": item.name,
            "severity": item.severity.value,
            "certainty": item.certainty.value,
            "words": item.words,
            "advice": item.advice,
            "doubts": item.doubts,
            "commands": list(item.commands),
            "evidence": [[line.what, line.value, line.source] for line in item.evidence],
            "partitions": [str(part) for part in item.partitions],
            "members": list(item.members),
        }
        for item in sorted(findings, key=lambda item: item.severity.rank)
    ]


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "lag": totals.lag,
        "partitions": totals.partitions,
        "uncommitted": totals.uncommitted,
        "unknown": totals.unknown,
        "worst": None if totals.worst is None else str(totals.worst),
        "time": _time(totals.time),
        "rates": _rates(totals.rates),
    }


def _time(time: TimeLag) -> dict[str, Any]:
    return {
        "s": _number(time.seconds),
        "event_delay_s": _number(time.event_delay_s),
        "method": time.method.value,
        "quality": time.quality.value,
    }


def _rates(rates: Rates) -> dict[str, Any]:
    return {
        "in": _number(rates.produced_per_s),
        "out": _number(rates.consumed_per_s),
        "eta_s": _number(rates.eta_s),
        "level": rates.level.value,
    }


def _short(finding: Finding, count: int) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "words": finding.words,
        "count": count,
    }


def _partition(part: PartitionView, name_of: Callable[[str], str]) -> dict[str, Any]:
    commit = part.commit
    return {
        "topic": part.partition.topic,
        "partition": part.partition.partition,
        "owner": None if part.member is None else name_of(part.member.member_id),
        "committed": None if commit is None else commit.offset,
        "committed_at_ms": None if commit is None else commit.at_ms,
        "start": part.start,
        "end": part.end,
        "stable": part.stable,
        "lag": part.lag,
        "time": _time(part.time),
        "rates": _rates(part.rates),
        "notes": list(_notes(part)),
    }


def _notes(part: PartitionView) -> list[str]:
    """What is odd about a partition, in words."""
    found: Mapping[str, object] = {
        "no broker leads it": part.leaderless,
        f"{part.lost:,} records were deleted before they were read": part.lost,
        f"{part.blocked_by_transaction:,} records wait for an open transaction": part.blocked_by_transaction,
        f"its commit is {part.beyond_end:,} beyond the end": part.beyond_end,
        "nothing committed yet": part.commit is None,
        "at most: there may be fewer records than offsets": part.at_most,
    }
    return [words for words, here in found.items() if here]


def _member(item: MemberView, name_of: Callable[[str], str]) -> dict[str, Any]:
    member = item.member
    held = frozenset(member.assignment)
    target = None if member.target is None else frozenset(member.target)
    return {
        "name": name_of(member.member_id),
        "id": member.member_id,
        "client": member.client_id,
        "host": member.host.removeprefix("/"),
        "instance": member.instance_id,
        "rack": member.rack,
        "epoch": member.epoch,
        "held": [str(part) for part in sorted(held)],
        "taking": 0 if target is None else len(target - held),
        "giving": 0 if target is None else len(held - target),
        **_totals(item.totals),
    }


def _number(value: float | None) -> float | None:
    """Three digits behind the point; what JSON cannot say is unknown."""
    return None if value is None or not math.isfinite(value) else round(value, 3)


def _thinned(values: Sequence[int | None], most: int) -> list[int | None]:
    """Evenly chosen, the last always among them."""
    if len(values) <= most:
        return list(values)
    last = len(values) - 1
    return [values[round(index * last / (most - 1))] for index in range(most)]
