"""One look at groups: who is in them, their commits, how far the logs reach; in as few requests as can be."""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum
from typing import TYPE_CHECKING

from rota.admin.commits import commits
from rota.admin.groups import describe_groups, list_groups
from rota.admin.offsets import At, Position, positions
from rota.admin.topics import describe_topics
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import GroupFacts, PartitionFacts, Snapshot, TopicFacts

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.admin.admin import Admin
    from rota.admin.commits import GroupCommits
    from rota.admin.talk import Talk

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

    ``configs`` name topics' settings to be asked for, whatever the depth.

    Raises:
        RotaError: nobody answers at all.
    """
    settings = configs or (SETTINGS if depth >= Depth.SETTINGS else ())
    return admin.run(
        lambda talk: _Look(talk, depth, settings).take(groups),
        f"look at the groups at {admin.bootstrap}",
    )


class _Look:
    """What one look has found so far. Whatever does not depend on each other is asked at the same time."""

    def __init__(self, talk: Talk, depth: Depth, settings: Collection[str]) -> None:
        self._talk = talk
        self._brokers = talk.brokers
        self._timeout_s = talk.timeout_s
        self._depth = depth
        self._settings = settings
        self._failures: dict[str, RotaError] = {}

    async def take(self, wanted: Collection[str] | None) -> Snapshot:
        started = time.monotonic()
        types: dict[str, str] = {}
        if wanted is None:
            listed, failure = await list_groups(self._brokers, (), (), self._timeout_s)
            types = {each.group: each.type for each in listed}
            if failure is not None:
                self._failures[""] = failure
        names = sorted(types if wanted is None else set(wanted))
        all_listed = wanted is None and not self._failures
        groups, offsets = await self._groups(names, types)
        if all_listed:
            self._talk.commits.keep_only(names)
            self._brokers.keep_only(names)
        partitions: set[TopicPartition] = set().union(*offsets.values())
        for facts in groups.values():
            partitions.update(tp for member in facts.members for tp in member.assignment)
        topics = await self._describe({tp.topic for tp in partitions})
        # Commits were read before: whoever commits meanwhile is not ahead of the ends.
        ends = await self._ends([tp for tp in partitions if tp.topic in topics], topics)
        if wanted is None and not self._failures:
            self._talk.topics.keep_only(topics)
        return Snapshot(
            at_ms=time.time_ns() // 1_000_000,
            groups=groups,
            commits=offsets,
            partitions=ends,
            topics=topics,
            failures=self._failures,
            took_ms=(time.monotonic() - started) * 1000,
        )

    async def _groups(
        self, names: list[str], types: dict[str, str]
    ) -> tuple[dict[str, GroupFacts], dict[str, GroupCommits]]:
        """The groups of which everything is known; the others are among the failures."""
        described, committed = await asyncio.gather(
            describe_groups(self._brokers, names, self._timeout_s, types),
            commits(self._brokers, names, self._timeout_s, self._talk.commits),
        )
        groups: dict[str, GroupFacts] = {}
        offsets: dict[str, GroupCommits] = {}
        for name in names:
            facts, of_group = described[name], committed[name]
            if isinstance(facts, RotaError):
                self._failures[name] = facts
            elif isinstance(of_group, RotaError):
                self._failures[name] = of_group
            else:
                groups[name] = facts
                offsets[name] = of_group
        return groups, offsets

    async def _describe(self, names: set[str]) -> dict[str, TopicFacts]:
        answers = await describe_topics(self._brokers, self._talk.topics, names, self._settings)
        return {name: each for name, each in answers.items() if isinstance(each, TopicFacts)}

    async def _ends(
        self, partitions: list[TopicPartition], topics: dict[str, TopicFacts]
    ) -> dict[TopicPartition, PartitionFacts]:
        wanted = (At.LATEST, At.EARLIEST, At.STABLE) if self._depth >= Depth.LOGS else (At.LATEST,)
        found = await asyncio.gather(
            *(positions(self._brokers, self._talk.topics, partitions, at, self._timeout_s) for at in wanted)
        )
        unknown: dict[TopicPartition, Position | RotaError] = {}
        last, first, stable = (*found, unknown, unknown)[:3]
        return {
            tp: PartitionFacts(
                start=_offset(first.get(tp)),
                end=_offset(last[tp]),
                stable=_offset(stable.get(tp)),
                leader=topics[tp.topic].partitions.get(tp.partition),
                leader_epoch=end.leader_epoch if isinstance(end := last[tp], Position) else None,
            )
            for tp in partitions
        }


def _offset(answer: Position | RotaError | None) -> int | None:
    return answer.offset if isinstance(answer, Position) else None
