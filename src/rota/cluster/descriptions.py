"""What a cluster answers: frozen dataclasses, free of any client library's types.

States and types are spelled as Kafka's tools print them (``Stable``, ``PreparingRebalance``, ``Classic``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.model import TopicPartition

__all__ = [
    "BrokerNode",
    "CommittedOffset",
    "ConfigValue",
    "GroupDescription",
    "MemberDescription",
    "PartitionDescription",
    "TopicDescription",
]


@dataclass(frozen=True, slots=True)
class BrokerNode:
    """One broker: its id and the address it advertises."""

    id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """One setting of a topic; ``is_default`` is false for what somebody chose, here or for the cluster."""

    name: str
    value: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """Where one partition lives. ``leader`` is None while it has none."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """One topic, its partitions in order and all its settings."""

    name: str
    topic_id: str
    is_internal: bool
    partitions: tuple[PartitionDescription, ...]
    configs: tuple[ConfigValue, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberDescription:
    """One member of a group. ``target`` is None for classic groups, which have no target assignment."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: tuple[TopicPartition, ...]
    target: tuple[TopicPartition, ...] | None = None


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """One group with its members, those with the most partitions first."""

    group: str
    type: str
    state: str
    assignor: str
    coordinator: BrokerNode | None
    members: tuple[MemberDescription, ...]

    @property
    def exists(self) -> bool:
        """False for the answer that a coordinator gives about a group it has never heard of."""
        return self.state != "Dead"

    def owners(self) -> dict[TopicPartition, MemberDescription]:
        """Who holds each assigned partition."""
        return {tp: member for member in self.members for tp in member.assignment}


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """Where a group goes on reading; ``leader_epoch`` is None when the committer did not know it."""

    offset: int
    leader_epoch: int | None = None
    metadata: str = ""
