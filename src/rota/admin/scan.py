"""One look at groups: who is in them, their commits, how far the logs reach; in as few requests as can be."""

from __future__ import annotations

import time
from enum import IntEnum
from typing import TYPE_CHECKING

from rota.admin.offsets import At, Position
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import GroupFacts, PartitionFacts, Snapshot, TopicFacts

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.admin.admin import Admin
    from rota.monitor.facts import Commit

__all__ = ["Depth", "scan"]


class Depth(IntEnum):
    """How much a look asks for."""

    LAG = 1
    """Groups, members, commits, and the ends of their partitions."""
    LOGS = 2
    """Also where logs begin, and their last stable offsets."""
    SETTINGS = 3
    """Also the topics' settings that lag is judged by."""


SETTINGS = (
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "message.timestamp.type",
    "min.insync.replicas",
)


def scan(
    admin: Admin,
    groups: Collection[str] | None = None,
    *,
    depth: Depth = Depth.LOGS,
    configs: Collection[str] = (),
) -> Snapshot:
    """Look at these groups, or at all (None). A group that cannot be read is in ``failures``.

    Raises:
        RotaError: nobody answers at all.
    """
    started = time.monotonic()
    failures: dict[str, RotaError] = {}
    types: dict[str, str] = {}
    described: dict[str, GroupFacts | RotaError] = {}
    if groups is None:
        listed, failure = admin.list_groups()
        if failure is not None:
            failures[""] = failure
        types = {each.group: each.type for each in listed}
        names = [each.group for each in listed]
    else:
        names = sorted(set(groups))
    described = admin.describe_groups(names, types)
    committed = admin.commits(names)
    found: dict[str, GroupFacts] = {}
    commits: dict[str, dict[TopicPartition, Commit]] = {}
    for name in names:
        facts, offsets = described[name], committed[name]
        if isinstance(facts, RotaError):
            failures[name] = facts
        elif isinstance(offsets, RotaError):
            failures[name] = offsets
        else:
            found[name] = facts
            commits[name] = offsets
    wanted = set().union(*commits.values(), *(facts.owners() for facts in found.values()))
    asked = configs or (SETTINGS if depth >= Depth.SETTINGS else ())
    answers = admin.topics(sorted({tp.topic for tp in wanted}), asked)
    topics = {name: each for name, each in answers.items() if isinstance(each, TopicFacts)}
    # Commits were read before: whoever commits meanwhile is not ahead of the ends.
    partitions = _partitions(admin, wanted, topics, depth)
    return Snapshot(
        at_ms=time.time_ns() // 1_000_000,
        groups=found,
        commits=commits,
        partitions=partitions,
        topics=topics,
        failures=failures,
        took_ms=(time.monotonic() - started) * 1000,
    )


def _partitions(
    admin: Admin, wanted: Collection[TopicPartition], topics: dict[str, TopicFacts], depth: Depth
) -> dict[TopicPartition, PartitionFacts]:
    there = [tp for tp in wanted if tp.topic in topics]
    ends = admin.positions(there, At.LATEST)
    starts = admin.offsets(there, At.EARLIEST) if depth >= Depth.LOGS else {}
    stable = admin.offsets(there, At.STABLE) if depth >= Depth.LOGS else {}
    found = {}
    for tp in there:
        end, start, lso = ends[tp], starts.get(tp), stable.get(tp)
        last = Position(None) if isinstance(end, RotaError) else end
        found[tp] = PartitionFacts(
            start=start if isinstance(start, int) else None,
            end=last.offset,
            stable=lso if isinstance(lso, int) else None,
            leader=topics[tp.topic].partitions.get(tp.partition),
            leader_epoch=last.leader_epoch,
        )
    return found
