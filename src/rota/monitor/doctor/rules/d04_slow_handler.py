"""D04: members work, but slower than records come."""

from __future__ import annotations

from math import ceil

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.pace import Pace, falling_behind, pace_of, per_s, surely
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list
from rota.monitor.findings import EvidenceLine, Finding, Severity
from rota.monitor.view import PartitionView

__all__ = ["RULE"]


def judge(evidence: Evidence) -> list[Finding]:
    """Members all of whose partitions together come faster than they are worked off."""
    behind = falling_behind(evidence)
    if not evidence.settled or not behind:
        return []
    held: dict[str, list[PartitionView]] = {}
    for part in evidence.view.partitions:
        if part.member is not None:
            held.setdefault(part.member.member_id, []).append(part)
    paces = {member: pace for member, parts in held.items() if (pace := pace_of(parts)) is not None}
    slow = {member: pace for member, pace in paces.items() if pace.too_slow}
    if not slow:
        return []
    names = evidence.names(slow)
    parts = [part for part in behind if part.member is not None and part.member.member_id in slow]
    lines = [
        EvidenceLine(
            name,
            f"handles {per_s(pace.consumed_per_s)}, {per_s(pace.produced_per_s)} come, lag {pace.lag:,}"
            f" (about {1000 / pace.consumed_per_s:.0f} ms a record, if it handles one after the other)",
            "OffsetFetch, ListOffsets",
        )
        for name, pace in list(zip(names, slow.values(), strict=True))[:5]
    ]
    return [
        RULE.finding(
            evidence,
            _words(names, slow, len(held)),
            *lines,
            certainty=surely(parts),
            partitions=[part.partition for part in parts],
            members=slow,
            advice=_advice(evidence, slow, paces, len(held)),
            commands=(evidence.command("groups", "describe", "--members", names=[evidence.group]),),
            doubts="A burst of records that ends soon: then the lag falls by itself. Rates come from commits, so a "
            "member that commits seldom looks slower than it is.",
        )
    ]


def _words(names: list[str], slow: dict[str, Pace], members: int) -> str:
    handled = sum(pace.consumed_per_s for pace in slow.values())
    come = sum(pace.produced_per_s for pace in slow.values())
    lag = f"lag of {sum(pace.lag for pace in slow.values()):,} grows"
    if len(slow) == 1:
        rest = "" if members == 1 else " (the other members keep up)"
        return f"{names[0]} is too slow: it handles {per_s(handled)} and {per_s(come)} come{rest}; its {lag}"
    who = f"all {members} members" if len(slow) == members else and_list(names)
    return f"{who} are too slow: together they handle {per_s(handled)} and {per_s(come)} come; their {lag}"


def _advice(evidence: Evidence, slow: dict[str, Pace], paces: dict[str, Pace], members: int) -> str:
    if len(slow) < members:
        return (
            "The others keep up, so look at what is different: that member's host and log, and whether its partitions "
            "get more or larger records."
        )
    partitions = sum(part.member is not None for part in evidence.view.partitions)
    each = sum(pace.consumed_per_s for pace in paces.values()) / members
    needed = ceil(sum(pace.produced_per_s for pace in paces.values()) / each)
    if needed <= partitions:
        return (
            f"Run {count_of(needed, 'member')} (now {members}) or more to keep up, up to one for each of the "
            f"{partitions} partitions; or make the handler faster: batches, fewer waits for others."
        )
    more = "" if members >= partitions else f"Run {partitions}, one for each partition, and besides: h"
    return (
        f"{more or 'H'}andle several keys at a time within a member, make the handler faster, or add partitions: "
        f"at this pace {count_of(needed, 'member')} would be needed, and only {partitions} can work."
    )


RULE = Rule(
    id="D04",
    name="slow-handler",
    severity=Severity.WARNING,
    title="records come faster than members handle them",
    judge=judge,
    needs=(Need.LOOKS,),
    explains_lag=True,
    lesson=Lesson(
        what="The members poll, handle and commit, but fewer records a second than come in. The lag grows steadily, "
        "on all partitions of the member, and never comes down by itself unless traffic does.",
        why="Most handlers wait: for a database, an HTTP call, a disk. A wait of 50 ms allows 20 records a second, "
        "whatever the machine. If it is so slow that one poll's records take longer than max.poll.interval.ms, the "
        "member is thrown out as well, and the group begins to rebalance (D11).",
        todo="If there are more partitions than members, add members. Otherwise handle several records at a time in "
        "each member (keeping the order of each key), write in batches, or give waits a time-out. Lower "
        "max.poll.records if a poll's work comes near max.poll.interval.ms. The evidence says how many ms a record "
        "takes: that is the number to bring down.",
    ),
)
