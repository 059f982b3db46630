"""Descriptions of groups as they come from a coordinator, made into facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import TopicPartition
from rota.monitor.facts import GroupFacts, MemberFacts
from rota.wire.codec import decode_versioned
from rota.wire.errors import WireError
from rota.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.monitor.facts import Node
    from rota.wire.messages.consumer_group_describe import Assignment, Member
    from rota.wire.messages.consumer_group_describe import DescribedGroup as ConsumerGroup
    from rota.wire.messages.describe_groups import DescribedGroup as ClassicGroup
    from rota.wire.messages.describe_groups import DescribedGroupMember

__all__ = ["classic_group", "consumer_group"]

_CONSUMER = "consumer"
_UPGRADED = {0: False, 1: True}
"""Kinds of members in a consumer group: of the classic protocol, of the consumer protocol."""


def classic_group(each: ClassicGroup, coordinator: Node | None) -> GroupFacts:
    """A group of the classic protocol; what its members tell each other can be read where they are consumers."""
    readable = each.protocol_type in {_CONSUMER, ""}
    return GroupFacts(
        group=each.group_id,
        type="Classic",
        state=each.group_state,
        assignor=each.protocol_data,
        protocol_type=each.protocol_type,
        coordinator=coordinator,
        members=_sorted(_classic_member(member, readable=readable) for member in each.members),
    )


def consumer_group(each: ConsumerGroup, coordinator: Node | None) -> GroupFacts:
    """A group of the consumer protocol (KIP-848)."""
    return GroupFacts(
        group=each.group_id,
        type="Consumer",
        state=each.group_state,
        assignor=each.assignor_name,
        coordinator=coordinator,
        epoch=each.group_epoch,
        target_epoch=each.assignment_epoch,
        members=_sorted(_consumer_member(member, each) for member in each.members),
    )


def _sorted(members: Iterable[MemberFacts]) -> tuple[MemberFacts, ...]:
    """Those with the most partitions first."""
    return tuple(sorted(members, key=lambda m: (-len(m.assignment), m.client_id, m.member_id)))


def _classic_member(each: DescribedGroupMember, *, readable: bool) -> MemberFacts:
    subscription, rack = _subscription(each.member_metadata) if readable else (None, None)
    return MemberFacts(
        member_id=each.member_id,
        client_id=each.client_id,
        host=each.client_host,
        instance_id=each.group_instance_id,
        rack=rack,
        subscription=subscription,
        assignment=_classic_assignment(each.member_assignment) if readable else (),
    )


def _subscription(metadata: bytes) -> tuple[frozenset[str] | None, str | None]:
    """The topics and the rack that a member has told; None where it is no subscription (or a later Kafka's)."""
    try:
        found = decode_versioned(ConsumerProtocolSubscription, metadata)
    except WireError:
        return None, None
    return frozenset(found.topics), found.rack_id or None


def _classic_assignment(data: bytes) -> tuple[TopicPartition, ...]:
    try:
        found = decode_versioned(ConsumerProtocolAssignment, data)
    except WireError:
        return ()
    return tuple(
        sorted(
            TopicPartition(each.topic, number)
            for each in found.assigned_partitions
            for number in each.partitions
        )
    )


def _consumer_member(each: Member, group: ConsumerGroup) -> MemberFacts:
    return MemberFacts(
        member_id=each.member_id,
        client_id=each.client_id,
        host=each.client_host,
        instance_id=each.instance_id,
        rack=each.rack_id or None,
        subscription=frozenset(each.subscribed_topic_names),
        regex=each.subscribed_topic_regex or None,
        assignment=_partitions(each.assignment),
        target=_partitions(each.target_assignment),
        epoch=each.member_epoch,
        target_epoch=group.assignment_epoch,
        upgraded=_UPGRADED.get(each.member_type),
    )


def _partitions(assignment: Assignment) -> tuple[TopicPartition, ...]:
    return tuple(
        sorted(
            TopicPartition(each.topic_name, number)
            for each in assignment.topic_partitions
            for number in each.partitions
        )
    )
