"""Evidence from a few lines of text, for the unit tests of rules.

    group orders classic Stable range
      a @10.2.1.4: orders-0 orders-1
      b: orders-2
      orders-0  45000/50000  45100/50200    # one column for each look, the last for the looks that are left
      orders-1  10/100 start=0,20           # so have options, with commas
    topic orders retention.ms=60000

The lines are those of `tests.monitor.snapshots`, but for the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.monitor.snapshots import START_MS, look, tp

from rota.model import TopicPartition
from rota.monitor.doctor import Evidence
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, PartitionFacts, Snapshot
from rota.monitor.view import (
    GroupView,
    Level,
    MemberView,
    Method,
    PartitionView,
    Quality,
    Rates,
    TimeLag,
    Totals,
)

__all__ = ["START_MS", "evidence", "tp"]


def evidence(
    text: str, *, every_s: float = 10, late: Mapping[str, float] | None = None, **rest: Any
) -> Evidence:
    """The evidence that the text tells: its first look is at START_MS, the others `every_s` apart.

    ``late`` gives lags in seconds (`orders-0`); the first group that is named is the group; everything in ``rest`` is
    a field of `Evidence`.
    """
    looks = _looks(text, every_s)
    facts = next(iter(looks[-1].groups.values()))
    return replace(Evidence(_view(facts, looks, late or {}), looks), **rest)


def _looks(text: str, every_s: float) -> tuple[Snapshot, ...]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    number = max((_columns(line) for line in lines), default=1)
    return tuple(
        look("\n".join(_at(line, index) for line in lines), START_MS + round(1000 * every_s * index))
        for index in range(number)
    )


def _columns(line: str) -> int:
    """How many looks this line tells of."""
    return max(1, len([word for word in line.split()[1:] if "/" in word])) if _is_partition(line) else 1


def _at(line: str, index: int) -> str:
    """The line as one look has it."""
    if not _is_partition(line):
        return line
    name, *words = line.split()
    values = [word for word in words if "/" in word]
    options = [word.partition("=") for word in words if "/" not in word]
    told = [
        f"{key}{equals}{(steps := value.split(','))[min(index, len(steps) - 1)]}"
        for key, equals, value in options
    ]
    return " ".join([name, values[min(index, len(values) - 1)], *told])


def _is_partition(line: str) -> bool:
    return bool(line) and ":" not in line and line.split(maxsplit=1)[0] not in ("group", "topic", "fail")


def _view(facts: GroupFacts, looks: tuple[Snapshot, ...], late: Mapping[str, float]) -> GroupView:
    """The newest look with plain differences as rates."""
    first, last = looks[0], looks[-1]
    took_s = (last.at_ms - first.at_ms) / 1000
    owners = facts.owners()
    parts = []
    for each, now in last.partitions.items():
        commit, before = last.commits[facts.group].get(each), first.commits[facts.group].get(each)
        part = _partition(each, commit, now, owners.get(each), late.get(str(each)))
        if took_s:
            then = first.partitions[each]
            part = replace(part, rates=_rates(commit, before, now, then, part.lag, took_s))
        parts.append(part)
    return GroupView(
        at_ms=last.at_ms,
        facts=facts,
        partitions=tuple(sorted(parts, key=lambda part: part.partition)),
        members=tuple(
            MemberView(each, _totals([part for part in parts if part.member == each]))
            for each in facts.members
        ),
        topics={name: _totals([p for p in parts if p.partition.topic == name]) for name in last.topics},
        totals=_totals(parts),
    )


def _partition(
    each: TopicPartition,
    commit: Commit | None,
    now: PartitionFacts,
    member: MemberFacts | None,
    late_s: float | None,
) -> PartitionView:
    start, end, stable = now.start or 0, now.end, now.stable
    lag = None if commit is None or end is None else max(0, end - commit.offset)
    time = TimeLag(None) if late_s is None else TimeLag(late_s, None, Method.RECORD, Quality.EXACT)
    if lag == 0:
        time = TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT)
    blocked = 0 if None in (stable, end, commit) else (end or 0) - max(stable or 0, commit.offset)  # type: ignore[union-attr]
    return PartitionView(
        each,
        commit,
        now.start,
        end,
        stable,
        lag,
        member,
        time=time,
        lost=0 if commit is None else max(0, start - commit.offset),
        blocked_by_transaction=max(0, blocked),
        beyond_end=0 if commit is None or end is None else max(0, commit.offset - end),
        leaderless=now.leader is None,
    )


def _rates(
    commit: Commit | None,
    before: Commit | None,
    now: PartitionFacts,
    then: PartitionFacts,
    lag: int | None,
    took_s: float,
) -> Rates:
    produced = None if now.end is None or then.end is None else (now.end - then.end) / took_s
    consumed = None if commit is None or before is None else (commit.offset - before.offset) / took_s
    if lag is None or produced is None or consumed is None:
        return Rates(produced, consumed)
    gain = consumed - produced
    level = Level.FALLING if gain > 0 else Level.GROWING if gain < 0 else Level.STABLE
    if lag == 0:
        return Rates(produced, consumed, 0.0, Level.CAUGHT_UP)
    return Rates(produced, consumed, lag / gain if gain > 0 else None, level)


def _totals(parts: list[PartitionView]) -> Totals:
    lags = [part.lag for part in parts if part.lag is not None]
    return Totals(
        lag=sum(lags), partitions=len(parts), uncommitted=sum(part.commit is None for part in parts)
    )
