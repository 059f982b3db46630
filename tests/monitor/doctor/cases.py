"""Evidence from a few lines of text, for the unit tests of rules.

    group orders Stable range             # name, state, assignor; 'consumer/uniform' for the type of KIP-848
    member a@10.2.1.4 orders-0 orders-1   # id and client id, host, what it holds; static=… subscribes=a,b target=…
    orders-0  45000/50000  45100/50200    # committed/end in each look; '-' for no commit, 120..500 for start..end
    orders-1  10/90/100                   # committed/stable/end, in the last look or in each

A partition that has fewer looks than others keeps its last values. ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rota.model import TopicPartition
from rota.monitor.doctor import Evidence
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, PartitionFacts, Snapshot, TopicFacts
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

__all__ = ["NOW_MS", "evidence", "tp"]

NOW_MS = 1_790_000_000_000
"""When the newest look is."""


def tp(text: str) -> TopicPartition:
    """``orders-0``."""
    topic, _, number = text.rpartition("-")
    return TopicPartition(topic, int(number))


def evidence(
    text: str,
    *,
    every_s: float = 10,
    late: Mapping[str, float] | None = None,
    configs: Mapping[str, Mapping[str, str]] | None = None,
    **rest: Any,
) -> Evidence:
    """The evidence that the text tells; ``late`` gives lags in seconds, ``configs`` settings of topics.

    The first group's name is the group; everything else in ``rest`` is a field of `Evidence`.
    """
    looks = snapshots(text, every_s=every_s, configs=configs or {})
    facts = next(iter(looks[-1].groups.values()))
    return replace(Evidence(_view(facts, looks, late or {}), looks), **rest)


def snapshots(text: str, *, every_s: float, configs: Mapping[str, Mapping[str, str]]) -> tuple[Snapshot, ...]:
    """One look for each column of values, oldest first, `every_s` apart, the newest at NOW_MS."""
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    group, courses = GroupFacts("", "Classic", "Stable"), {}
    members: list[MemberFacts] = []
    for words in filter(None, lines):
        match words:
            case ["group", name, state, *assignor]:
                kind, _, strategy = "".join(assignor).rpartition("/")
                group = GroupFacts(name, kind.capitalize() or "Classic", state, strategy)
            case ["member", name, *more]:
                members.append(_member(name, more))
            case [partition, *values]:
                courses[tp(partition)] = [_values(value) for value in values]
    group = replace(group, members=tuple(sorted(members, key=lambda each: -len(each.assignment))))
    names = sorted({each.topic for each in courses} | {each.topic for m in members for each in m.assignment})
    topics = {name: _topic(name, courses, configs.get(name, {})) for name in names}
    number = max((len(course) for course in courses.values()), default=1)
    found = []
    for index in range(number):
        now = {each: course[min(index, len(course) - 1)] for each, course in courses.items()}
        found.append(
            Snapshot(
                at_ms=NOW_MS - round(1000 * every_s * (number - 1 - index)),
                groups={group.group: group},
                commits={
                    group.group: {
                        each: Commit(value[0]) for each, value in now.items() if value[0] is not None
                    }
                },
                partitions={
                    each: PartitionFacts(start, end, stable, leader=1)
                    for each, (_, start, stable, end) in now.items()
                },
                topics=topics,
            )
        )
    return tuple(found)


def _topic(name: str, courses: Mapping[TopicPartition, Any], configs: Mapping[str, str]) -> TopicFacts:
    numbers = [each.partition for each in courses if each.topic == name]
    return TopicFacts(name, f"id-{name}", dict.fromkeys(sorted(numbers), 1), configs=configs)


def _member(name: str, more: list[str]) -> MemberFacts:
    client, _, host = name.partition("@")
    options = dict(word.split("=", 1) for word in more if "=" in word)
    held = tuple(tp(word) for word in more if "=" not in word)
    topics = (
        options.get("subscribes", "").split(",") if "subscribes" in options else {each.topic for each in held}
    )
    return MemberFacts(
        member_id=options.get("id", client),
        client_id=options.get("client", client),
        host=f"/{host or '10.0.0.1'}",
        instance_id=options.get("static"),
        rack=options.get("rack"),
        subscription=frozenset(topics) if topics else None,
        assignment=held,
        target=tuple(tp(word) for word in options["target"].split(",") if word)
        if "target" in options
        else None,
        epoch=int(options["epoch"]) if "epoch" in options else None,
        target_epoch=int(options["target-epoch"]) if "target-epoch" in options else None,
    )


def _values(text: str) -> tuple[int | None, int | None, int | None, int | None]:
    """Committed, start, stable, end."""
    parts = re.fullmatch(r"(-|\d+)/(?:(\d+)/)?(?:(\d+)\.\.)?(\d+|\?)", text)
    assert parts is not None, text
    commit, stable, start, end = parts.groups()
    reached = None if end == "?" else int(end)
    return (
        None if commit == "-" else int(commit),
        0 if start is None else int(start),
        reached if stable is None else int(stable),
        reached,
    )


def _view(facts: GroupFacts, looks: tuple[Snapshot, ...], late: Mapping[str, float]) -> GroupView:
    """The newest look with plain differences as rates."""
    first, last = looks[0], looks[-1]
    took_s = (last.at_ms - first.at_ms) / 1000
    owners = facts.owners()
    parts = []
    for each, now in last.partitions.items():
        commit, before = last.commits[facts.group].get(each), first.commits[facts.group].get(each)
        parts.append(_partition(each, commit, now, owners.get(each), late.get(str(each))))
        if took_s:
            parts[-1] = replace(
                parts[-1], rates=_rates(commit, before, now, first.partitions[each], parts[-1].lag, took_s)
            )
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
    return PartitionView(
        each,
        commit,
        now.start,
        end,
        stable,
        lag,
        member,
        time=TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT)
        if lag == 0
        else TimeLag(late_s, None, Method.RECORD, Quality.EXACT)
        if late_s is not None
        else TimeLag(None),
        lost=0 if commit is None else max(0, start - commit.offset),
        blocked_by_transaction=0
        if stable is None or end is None or commit is None
        else max(0, end - max(stable, commit.offset)),
        beyond_end=0 if commit is None or end is None else max(0, commit.offset - end),
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
    level = (
        Level.CAUGHT_UP
        if lag == 0
        else Level.FALLING
        if gain > 0
        else Level.GROWING
        if gain < 0
        else Level.STABLE
    )
    return Rates(produced, consumed, 0.0 if lag == 0 else lag / gain if gain > 0 else None, level)


def _totals(parts: list[PartitionView]) -> Totals:
    lags = [part.lag for part in parts if part.lag is not None]
    return Totals(
        lag=sum(lags),
        partitions=len(parts),
        uncommitted=sum(part.commit is None for part in parts),
        rates=Rates(),
    )
