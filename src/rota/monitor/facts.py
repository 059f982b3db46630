"""What one look at a cluster has found: groups, commits and the ends of partitions, as Kafka says them.

A look asks for commits before ends, so that a group that commits meanwhile is never ahead of its log. Whatever could
not be learnt is None, never a number that means something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.model import RotaError, TopicPartition

__all__ = [
    "REBALANCING",
    "BatchFacts",
    "Commit",
    "GroupFacts",
    "GroupListing",
    "MemberFacts",
    "Node",
    "PartitionFacts",
    "ProducerFacts",
    "Snapshot",
    "TopicFacts",
    "TransactionFacts",
]

REBALANCING = frozenset({"PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"})
"""The states in which partitions are changing hands, classic and consumer (KIP-848)."""


class Node(NamedTuple):
    """One broker: its id, the address it advertises, and its rack."""

    id: int
    host: str
    port: int
    rack: str | None = None


class Commit(NamedTuple):
    """Where a group goes on reading in one partition.

    ``leader_epoch`` is None when the committer did not know it. ``at_ms`` is when it was committed, in milliseconds
    since 1970; only `__consumer_offsets` tells it, so it is None where that is not read.
    """

    offset: int
    leader_epoch: int | None = None
    metadata: str = ""
    at_ms: int | None = None


class GroupListing(NamedTuple):
    """One line of the list of groups: ``type`` and ``state`` as Kafka's tools spell them (``Classic``, ``Stable``).

    What an older broker does not tell is ``Unknown``: one before 2.6 no state.
    """

    group: str
    type: str
    state: str
    protocol_type: str = "consumer"


class PartitionFacts(NamedTuple):
    """How far one partition's log reaches. Offsets are of the next record; None is what nobody could say.

    ``start`` is the first offset that is still kept, ``end`` the high watermark, ``stable`` the last stable offset:
    how far readers of committed records (``isolation.level=read_committed``) come.
    """

    start: int | None
    end: int | None
    stable: int | None = None
    leader: int | None = None
    leader_epoch: int | None = None


class BatchFacts(NamedTuple):
    """The header of the first record batch at or behind an offset (record batch format, version 2).

    ``base_offset`` may be beyond the offset that was asked for where compaction or retention took records away.
    Timestamps are milliseconds since 1970, by the clock of the producer (``log_append`` false) or of the broker.
    """

    base_offset: int
    last_offset: int
    base_timestamp_ms: int
    max_timestamp_ms: int
    log_append: bool
    control: bool
    records: int
    size: int


class ProducerFacts(NamedTuple):
    """A producer that has written to a partition, idempotently or in transactions (DescribeProducers).

    ``transaction_start`` is the offset where its open transaction begins in this partition, None without one;
    ``last_timestamp_ms`` that of the last batch it wrote here.
    """

    producer_id: int
    producer_epoch: int
    transaction_start: int | None
    last_timestamp_ms: int | None
    last_sequence: int | None
    coordinator_epoch: int | None


class TransactionFacts(NamedTuple):
    """A transactional id as its coordinator knows it: ``state`` as Kafka spells it (``Ongoing``, ``CompleteCommit``).

    ``since_ms`` is when the open transaction began, in milliseconds since 1970, None without one; ``partitions`` are
    those that it has written to.
    """

    transactional_id: str
    state: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    since_ms: int | None
    partitions: tuple[TopicPartition, ...]
    coordinator: int | None = None


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One member of a group.

    ``target`` is what it is meant to hold, ``epoch`` and ``target_epoch`` how far it has come (KIP-848; None for
    classic groups). ``subscription`` is None where nobody could read it. ``session_timeout_ms``,
    ``rebalance_timeout_ms`` (of Java's and librdkafka's clients ``max.poll.interval.ms``) and ``protocols`` (the
    assignors that a classic member supports) are known from `__consumer_offsets` alone.
    """

    member_id: str
    client_id: str
    host: str
    instance_id: str | None = None
    rack: str | None = None
    subscription: frozenset[str] | None = None
    regex: str | None = None
    assignment: tuple[TopicPartition, ...] = ()
    target: tuple[TopicPartition, ...] | None = None
    epoch: int | None = None
    target_epoch: int | None = None
    upgraded: bool | None = None
    """In a consumer group: whether this member speaks the consumer protocol; None where it is no question."""
    session_timeout_ms: int | None = None
    rebalance_timeout_ms: int | None = None
    protocols: tuple[str, ...] = ()
    revoking: tuple[TopicPartition, ...] = ()
    """What it was asked to give up and still holds; from `__consumer_offsets` (KIP-848)."""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group: ``type`` and ``state`` as Kafka's tools spell them (``Classic``, ``Stable``).

    ``epoch`` is the group epoch (KIP-848) or, where `__consumer_offsets` was read, the generation of a classic group;
    ``target_epoch`` the epoch of the target assignment. ``members``: those with the most partitions first.
    """

    group: str
    type: str
    state: str
    assignor: str = ""
    protocol_type: str = "consumer"
    coordinator: Node | None = None
    epoch: int | None = None
    target_epoch: int | None = None
    members: tuple[MemberFacts, ...] = ()
    state_since_ms: int | None = None
    """When it came into this state; from `__consumer_offsets`."""

    @property
    def exists(self) -> bool:
        """False for the answer that a coordinator gives about a group it has never heard of."""
        return self.state != "Dead"

    @property
    def is_rebalancing(self) -> bool:
        """Whether its partitions are changing hands now."""
        return self.state in REBALANCING

    def owners(self) -> dict[TopicPartition, MemberFacts]:
        """Who holds each assigned partition."""
        return {tp: member for member in self.members for tp in member.assignment}


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One topic: the leader of each partition (None: nobody), and the settings that were asked for."""

    name: str
    topic_id: str
    partitions: Mapping[int, int | None]
    replicas: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    in_sync: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False

    @property
    def is_compacted(self) -> bool:
        """Whether compaction may leave holes between offsets (``cleanup.policy``)."""
        return "compact" in self.configs.get("cleanup.policy", "")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one look has found, of some groups or of all.

    ``at_ms`` is when the ends were known, in milliseconds since 1970. A group that did not answer is in ``failures``
    (by group; "" for what concerns the list of groups itself) and nowhere else.
    """

    at_ms: int
    groups: Mapping[str, GroupFacts]
    commits: Mapping[str, Mapping[TopicPartition, Commit]]
    partitions: Mapping[TopicPartition, PartitionFacts]
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    failures: Mapping[str, RotaError] = field(default_factory=dict)
    took_ms: float = 0.0
