"""librdkafka's answers turned into this package's dataclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupState, ConsumerGroupType
from confluent_kafka import TopicPartition as ClientPartition

from rota.cluster.descriptions import (
    BrokerNode,
    CommittedOffset,
    ConfigValue,
    GroupDescription,
    MemberDescription,
    PartitionDescription,
    TopicDescription,
)
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "committed",
    "committed_offsets",
    "group_description",
    "node",
    "topic_description",
]

STATES: dict[object, str] = {
    ConsumerGroupState.PREPARING_REBALANCING: "PreparingRebalance",
    ConsumerGroupState.COMPLETING_REBALANCING: "CompletingRebalance",
    ConsumerGroupState.STABLE: "Stable",
    ConsumerGroupState.DEAD: "Dead",
    ConsumerGroupState.EMPTY: "Empty",
}
TYPES: dict[object, str] = {ConsumerGroupType.CONSUMER: "Consumer", ConsumerGroupType.CLASSIC: "Classic"}


def node(found: Any) -> BrokerNode | None:
    """A broker, or None where there is none."""
    return None if found is None or found.id < 0 else BrokerNode(found.id, found.host, found.port)


def topic_description(topic: Any, configs: Iterable[Any] = ()) -> TopicDescription:
    """One topic with its partitions in order."""
    partitions = tuple(
        PartitionDescription(
            partition=part.id,
            leader=part.leader.id if part.leader is not None and part.leader.id >= 0 else None,
            replicas=tuple(replica.id for replica in part.replicas),
            isr=tuple(replica.id for replica in part.isr),
        )
        for part in sorted(topic.partitions, key=lambda part: part.id)
    )
    values = tuple(
        ConfigValue(entry.name, "" if entry.value is None else str(entry.value), bool(entry.is_default))
        for entry in configs
    )
    # librdkafka writes ids in plain base64, Kafka and its tools in the form that is safe in URLs.
    topic_id = str(topic.topic_id).replace("+", "-").replace("/", "_")
    return TopicDescription(topic.name, topic_id, bool(topic.is_internal), partitions, values)


def group_description(group: Any) -> GroupDescription:
    """One group, its members with the most partitions first."""
    members = [_member(member) for member in group.members]
    members.sort(key=lambda member: (-len(member.assignment), member.client_id, member.member_id))
    kind = TYPES.get(getattr(group, "type", None), "Unknown")
    state = STATES.get(getattr(group, "state", None), "Unknown")
    if state == "Unknown" and kind == "Consumer":
        state = _consumer_state(members)
    return GroupDescription(
        group=group.group_id,
        type=kind,
        state=state,
        assignor=group.partition_assignor or "",
        coordinator=node(group.coordinator),
        members=tuple(members),
    )


def committed(partition: ClientPartition) -> CommittedOffset | None:
    """A committed offset, or None for a partition without one."""
    if partition.offset < 0:
        return None
    return CommittedOffset(partition.offset, partition.leader_epoch, partition.metadata or "")


def committed_offsets(answer: Any) -> dict[TopicPartition, CommittedOffset]:
    """All that a group has committed, by partition."""
    found = {TopicPartition(tp.topic, tp.partition): committed(tp) for tp in answer.topic_partitions}
    return {tp: offset for tp, offset in sorted(found.items()) if offset is not None}


def _member(member: Any) -> MemberDescription:
    target = getattr(member, "target_assignment", None)
    return MemberDescription(
        member_id=member.member_id,
        instance_id=member.group_instance_id,
        client_id=member.client_id,
        host=member.host,
        assignment=_partitions(member.assignment),
        target=None if target is None else _partitions(target),
    )


def _partitions(assignment: Any) -> tuple[TopicPartition, ...]:
    return tuple(sorted(TopicPartition(tp.topic, tp.partition) for tp in assignment.topic_partitions))


def _consumer_state(members: Iterable[MemberDescription]) -> str:
    """Which of KIP-848's two states between, for which librdkafka has no names: the assignments tell."""
    moving = any(member.target is not None and member.target != member.assignment for member in members)
    return "Reconciling" if moving else "Assigning"
