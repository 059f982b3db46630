"""A view of a group brought up to date between two looks: by an answer about its members, by what it recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rota.model import TopicPartition
from rota.monitor.facts import GroupFacts, MemberFacts
from rota.monitor.totals import latest, sum_of_known
from rota.monitor.view import GroupView, Level, MemberView, PartitionView, Rates, TimeLag, Totals

__all__ = ["still_held", "with_facts"]


def still_held(facts: GroupFacts, held: Mapping[str, tuple[TopicPartition, ...]]) -> GroupFacts:
    """Facts in which members have what they had before a rebalance that goes on, by member id.

    A classic group answers no assignment until all have joined again, though with a cooperative assignor members
    read on; and nobody else has got their partitions yet.
    """
    if facts.type == "Consumer" or not facts.is_rebalancing:
        return facts
    members = tuple(
        each if each.assignment else replace(each, assignment=held.get(each.member_id, ()))
        for each in facts.members
    )
    return replace(facts, members=members)


def with_facts(view: GroupView, facts: GroupFacts) -> GroupView:
    """The view with other members and owners; lags, rates and levels of partitions are those of the last look."""
    if facts is view.facts:
        return view
    owners = facts.owners()
    known = {part.partition for part in view.partitions}
    parts = [
        part if part.member is (owner := owners.get(part.partition)) else replace(part, member=owner)
        for part in view.partitions
    ]
    parts += [
        PartitionView(tp, None, None, None, None, None, owner)
        for tp, owner in owners.items()
        if tp not in known
    ]
    parts.sort(key=lambda part: part.partition)
    before = {each.member.member_id: each for each in view.members}
    return replace(
        view,
        facts=facts,
        partitions=tuple(parts),
        members=tuple(_member(each, before.get(each.member_id), parts) for each in facts.members),
    )


def _member(facts: MemberFacts, before: MemberView | None, parts: list[PartitionView]) -> MemberView:
    """What it holds now, from the partitions' last look; a level is judged by several looks, so it has none yet."""
    if before is not None and set(before.member.assignment) == set(facts.assignment):
        return MemberView(facts, before.totals)
    held = [part for part in parts if part.member is facts]
    known = [part for part in held if part.lag is not None]
    behind = [part for part in known if part.lag]
    uncommitted = sum(part.commit is None for part in held)
    produced = sum_of_known(part.rates.produced_per_s for part in known)
    consumed = sum_of_known(part.rates.consumed_per_s for part in known)
    totals = Totals(
        lag=sum(part.lag or 0 for part in behind),
        partitions=len(held),
        uncommitted=uncommitted,
        unknown=len(held) - len(known) - uncommitted,
        worst=max(behind, key=lambda part: part.lag or 0).partition if behind else None,
        time=latest(behind) if known else TimeLag(None),
        rates=Rates(produced, consumed, level=Level.UNKNOWN if behind or not known else Level.CAUGHT_UP),
    )
    return MemberView(facts, totals)
