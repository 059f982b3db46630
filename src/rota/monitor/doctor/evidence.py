"""Everything that a doctor may look at: one value, gathered by whoever can ask a cluster.

Nothing in it is a guess. What could not be learnt is None or missing, and `Evidence.lacks` says why in words; a rule
that needs it is then not judged, which is told apart from a rule that found nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from rota.model import ErrorCode, TopicPartition
from rota.monitor.facts import Commit, GroupFacts, Node, Snapshot, TopicFacts
from rota.monitor.view import GroupView, PartitionView
from rota.shell import shell_line
from rota.timeline.events import Event, MemberJoined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CommitStep", "Evidence", "Need", "OpenTransaction", "RecordFacts"]

REST_S: Final = 60
"""So long after a rebalance rates are those of the new shares."""


class Need(StrEnum):
    """What a rule may need beside a first look at the group; the value is what a person calls it."""

    LOOKS = "several looks"
    """At least two snapshots in which the group is described."""
    TOPICS = "the topics' settings"
    EVENTS = "the group's rebalances"
    """From `__consumer_offsets`, or from differences between looks."""
    OFFSETS_TOPIC = "what the group recorded in __consumer_offsets"
    """Members' timeouts and assignors, times of commits."""
    BROKER_CONFIGS = "the brokers' settings"
    NODES = "the list of brokers"
    PRODUCERS = "the producers of its partitions"


class RecordFacts(NamedTuple):
    """One record, without its value: what a person needs to find it.

    ``key`` is text for people, None for a record without one; ``value_size`` is in bytes, None for a tombstone.
    """

    offset: int
    timestamp_ms: int
    key: str | None
    value_size: int | None
    headers: tuple[str, ...] = ()
    """The headers' names."""


class CommitStep(NamedTuple):
    """A commit in one partition that was seen in `__consumer_offsets`; ``at_ms`` is when the coordinator wrote it."""

    at_ms: int
    offset: int


class OpenTransaction(NamedTuple):
    """A transaction that is open in one partition, and what its coordinator says of it; None is unknown.

    ``start_offset`` is where it begins in the partition, ``written_ms`` when the producer last wrote there (both from
    DescribeProducers). ``state`` is the coordinator's (DescribeTransactions): ``Ongoing``, another one, or "" where
    no coordinator knows a transaction of this producer. ``since_ms`` is when it began.
    """

    partition: TopicPartition
    producer_id: int
    producer_epoch: int
    start_offset: int
    coordinator_epoch: int | None = None
    written_ms: int | None = None
    transactional_id: str | None = None
    state: str | None = None
    since_ms: int | None = None
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one group; times are in milliseconds since 1970.

    ``view`` is the newest look with its lags and rates; ``looks`` are the snapshots of the window, oldest first (the
    group may be missing in some). ``events`` are the group's life since ``events_since_ms``, oldest first, as far as
    it is known: ``events_source`` is ``__consumer_offsets``, or ``differences between looks``.
    """

    view: GroupView
    looks: tuple[Snapshot, ...] = ()
    connection: tuple[str, ...] = ("--bootstrap-server", "127.0.0.1:9092")
    """What a command line needs to reach the cluster, for `command`."""
    events: tuple[Event, ...] | None = None
    events_since_ms: int | None = None
    events_source: str = "__consumer_offsets"
    commits: Mapping[TopicPartition, tuple[CommitStep, ...]] | None = None
    """Commits since ``events_since_ms``, oldest first; None where `__consumer_offsets` was not read."""
    recorded: GroupFacts | None = None
    """The group as `__consumer_offsets` records it: members' timeouts and assignors, since when it is in its state."""
    broker_configs: Mapping[str, str] | None = None
    """Of the group's coordinator."""
    group_configs: Mapping[str, str] | None = None
    """The group's own settings (KIP-848), such as ``consumer.heartbeat.interval.ms``."""
    nodes: tuple[Node, ...] | None = None
    offsets_topic: TopicFacts | None = None
    """``__consumer_offsets`` itself: who leads the partition in which the group is recorded."""
    failure: str | None = None
    """Why the group could not be described; ``view`` then has no members and no partitions."""
    failure_code: ErrorCode | None = None
    """The same as Kafka's error code, where a broker gave one."""
    unseen: str | None = None
    """What the newest look did not see of the group, where it saw some of it or the look before did; None: nothing."""
    transactions: tuple[OpenTransaction, ...] | None = None
    """Those that keep readers of committed records waiting in the group's partitions."""
    records: Mapping[TopicPartition, RecordFacts] = field(default_factory=dict)
    """The first record that is not consumed, of partitions that look stuck."""
    missing: Mapping[Need, str] = field(default_factory=dict)
    """Why something could not be learnt: ``not allowed to read __consumer_offsets``."""

    # what most rules ask first

    @property
    def group(self) -> str:
        """The group's name."""
        return self.view.facts.group

    @property
    def at_ms(self) -> int:
        """When the newest look was."""
        return self.view.at_ms

    @property
    def facts(self) -> GroupFacts:
        """The group in the newest look."""
        return self.view.facts

    @property
    def topics(self) -> Mapping[str, TopicFacts]:
        """The topics, as the newest look that has them tells."""
        return next((look.topics for look in reversed(self.looks) if look.topics), {})

    @property
    def span_s(self) -> float:
        """How long the group was watched, in seconds: 0 after one look."""
        times = [look.at_ms for look in self.looks if self.group in look.groups]
        return (times[-1] - times[0]) / 1000 if times else 0.0

    @property
    def at_rest(self) -> tuple[Snapshot, ...]:
        """The newest looks in which the same members held the same partitions, oldest first; none in a rebalance."""
        found: list[Snapshot] = []
        now = _shares(self.facts)
        for look in reversed(self.looks):
            seen = look.groups.get(self.group)
            if seen is None or seen.is_rebalancing or _shares(seen) != now:
                break
            found.append(look)
        return tuple(reversed(found))

    @property
    def rest_s(self) -> float:
        """How long the newest looks show the same shares, in seconds: 0 in a rebalance, or after one look."""
        rest = self.at_rest
        return (rest[-1].at_ms - rest[0].at_ms) / 1000 if rest else 0.0

    @property
    def settled(self) -> bool:
        """Whether no partition has changed hands for a minute, or for half of the time in which it was watched."""
        rest = self.at_rest
        if self.facts.is_rebalancing or not rest:
            return False
        return rest[-1].at_ms - rest[0].at_ms >= 1000 * min(REST_S, self.span_s / 2)

    def lacks(self, need: Need) -> str | None:
        """Why this need is not met, in words; None where it is."""
        if need in self.missing:
            return self.missing[need]
        met = {
            Need.LOOKS: self.span_s > 0,
            Need.TOPICS: any(topic.configs for topic in self.topics.values()),
            Need.EVENTS: self.events is not None,
            Need.OFFSETS_TOPIC: self.commits is not None or self.recorded is not None,
            Need.BROKER_CONFIGS: self.broker_configs is not None,
            Need.NODES: self.nodes is not None,
            Need.PRODUCERS: self.transactions is not None,
        }[need]
        return None if met else f"nobody could say: {need.value}"

    def partition(self, wanted: TopicPartition) -> PartitionView | None:
        """One partition of the newest look."""
        return next((each for each in self.view.partitions if each.partition == wanted), None)

    def course(
        self, partition: TopicPartition, looks: Iterable[Snapshot] | None = None
    ) -> list[tuple[int, Commit]]:
        """When each look (all, unless told) was, and what was committed then; looks without a commit are left out."""
        return [
            (look.at_ms, commit)
            for look in (self.looks if looks is None else looks)
            if (commit := look.commits.get(self.group, {}).get(partition)) is not None
        ]

    # what most findings say

    def command(self, *words: str, names: Sequence[str] = (), tool: str = "rota") -> str:
        """A command line that works as it is printed, against the cluster that was asked. ``names`` are groups or
        topics that a command of Rota's is about: they follow its two verbs.
        """
        given = [
            "--consumer.config" if each == "--command-config" and "console-consumer" in tool else each
            for each in self.connection
        ]
        if any(name.startswith("-") for name in names):  # not to be taken for options
            return shell_line([tool, *words, *given, "--", *names])
        return shell_line([tool, *words[:2], *names, *words[2:], *given])

    def names(self, member_ids: Iterable[str]) -> list[str]:
        """Members as people know them: instance id or client id, with the host where that is not enough; of those that
        are gone the instance id or client id alone.
        """
        members = {member.member_id: member for member in self.facts.members}
        former = {
            event.member: event.instance_id or event.client_id
            for event in self.events or ()
            if isinstance(event, MemberJoined)
        }
        stems = [member.instance_id or member.client_id for member in members.values()]
        named = []
        for member_id in member_ids:
            member = members.get(member_id)
            if member is None:
                named.append(former.get(member_id) or member_id)
                continue
            stem = member.instance_id or member.client_id
            if stem and stems.count(stem) == 1:
                named.append(stem)
                continue
            same = [each for each in members.values() if (each.instance_id or each.client_id) == stem]
            apart = len({each.host for each in same}) == len(same)
            named.append(f"{stem} on {member.host.lstrip('/')}" if stem and apart else member_id)
        return named


def _shares(facts: GroupFacts) -> dict[str, frozenset[TopicPartition]]:
    return {member.member_id: frozenset(member.assignment) for member in facts.members}
