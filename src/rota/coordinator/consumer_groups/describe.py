"""What administrators see of consumer groups: ConsumerGroupDescribe (key 69, versions 0-1).

Version notes: v1 tells members of the consumer protocol (1) from those of the classic one (0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.assignment import EMPTY
from rota.model import ErrorCode
from rota.wire.messages.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.assignment import Assigned
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest

__all__ = ["describe_consumer_groups"]

_CLASSIC_MEMBER, _CONSUMER_MEMBER = 0, 1
# Bits are AclOperation codes (read, delete, describe, and the group's configs); everything is allowed here.
_ALL_GROUP_OPERATIONS = sum(1 << code for code in (3, 6, 8, 10, 11))


def describe_consumer_groups(
    place: Place, request: ConsumerGroupDescribeRequest
) -> ConsumerGroupDescribeResponse:
    """Each group's epochs and members; a classic group is not found, and clients then ask with DescribeGroups."""
    described = []
    for group_id in request.group_ids:
        group = place.groups.get(group_id)
        if group is not None:
            one = _describe(place, group)
            if request.include_authorized_operations:
                one.authorized_operations = _ALL_GROUP_OPERATIONS
            described.append(one)
            continue
        code, message = ErrorCode.GROUP_ID_NOT_FOUND, place.why_not_found(group_id)
        if not group_id:
            code, message = ErrorCode.INVALID_GROUP_ID, ""
        described.append(DescribedGroup(error_code=code, error_message=message or None, group_id=group_id))
    return ConsumerGroupDescribeResponse(groups=described)


def _describe(place: Place, group: ConsumerGroup) -> DescribedGroup:
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state.value,
        group_epoch=group.epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=group.assignor(place.config.consumer_assignors[0]),
        members=[_describe_member(place, group, member) for member in group.members.values()],
    )


def _describe_member(place: Place, group: ConsumerGroup, member: ConsumerMember) -> Member:
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.member_epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.topics),
        subscribed_topic_regex=member.regex,
        assignment=_named(place, member.assigned),
        target_assignment=_named(place, group.target.get(member.member_id, EMPTY)),
        member_type=_CONSUMER_MEMBER if member.classic is None else _CLASSIC_MEMBER,
    )


def _named(place: Place, assigned: Assigned) -> Assignment:
    """By id and name; a topic that is gone has none and is left out."""
    return Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic_id, topic_name=name, partitions=sorted(partitions))
            for topic_id, partitions in assigned.items()
            if (name := place.topics.topic_name(topic_id)) is not None
        ]
    )
