"""What administrators ask: DescribeGroups (15, v0-6), ListGroups (16, v0-5) and DeleteGroups (42, v0-2).

Version notes: DescribeGroups v6 says that a group does not exist; before, such a group is "Dead". ListGroups
v4 adds the states, v5 the types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.records import group_tombstones
from rota.coordinator.group import CONSUMER_PROTOCOL
from rota.coordinator.records import group_tombstone, offset_tombstone
from rota.coordinator.repeats import named_too_often
from rota.coordinator.states import GroupState
from rota.coordinator.step import no_group, wrong_kind
from rota.model import ErrorCode
from rota.wire.messages.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from rota.wire.messages.describe_groups import DescribedGroup, DescribedGroupMember, DescribeGroupsResponse
from rota.wire.messages.list_groups import ListedGroup, ListGroupsResponse

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroups
    from rota.coordinator.group import Group
    from rota.coordinator.offsets import CommittedOffsets
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Groups, Step
    from rota.wire.messages.delete_groups import DeleteGroupsRequest
    from rota.wire.messages.describe_groups import DescribeGroupsRequest
    from rota.wire.messages.list_groups import ListGroupsRequest

__all__ = ["delete_groups", "describe_groups", "list_groups"]

_GROUP_ID_NOT_FOUND_VERSION = 6
_CLASSIC, _CONSUMER = "classic", "consumer"
# Bits are AclOperation codes (read, delete, describe, and the group's configs); everything is allowed here.
_ALL_GROUP_OPERATIONS = sum(1 << code for code in (3, 6, 8, 10, 11))


def describe_groups(
    groups: Groups, consumer_groups: ConsumerGroups, request: DescribeGroupsRequest, version: int
) -> DescribeGroupsResponse:
    """Each classic group's state and members; metadata only where it is valid, in Stable."""
    described = []
    for group_id, is_refused in zip(request.groups, named_too_often(request.groups), strict=True):
        group = groups.get(group_id)
        if is_refused:
            described.append(DescribedGroup(error_code=ErrorCode.INVALID_REQUEST, group_id=group_id))
        elif group is not None:
            described.append(_describe(group))
        elif version >= _GROUP_ID_NOT_FOUND_VERSION:
            described.append(
                DescribedGroup(
                    error_code=ErrorCode.GROUP_ID_NOT_FOUND,
                    error_message=wrong_kind(group_id, "consumer")
                    if group_id in consumer_groups
                    else no_group(group_id),
                    group_id=group_id,
                    group_state=GroupState.DEAD.value,
                )
            )
        else:
            described.append(DescribedGroup(group_id=group_id, group_state=GroupState.DEAD.value))
    if request.include_authorized_operations:
        for each in described:
            if each.error_code == ErrorCode.NONE:
                each.authorized_operations = _ALL_GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=described)


def _describe(group: Group) -> DescribedGroup:
    is_stable = group.state is GroupState.STABLE
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=(group.protocol or "") if is_stable else "",
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata(group.protocol) if is_stable else b"",
                member_assignment=member.assignment,
            )
            for member in group.members.values()
        ],
    )


def list_groups(
    groups: Groups, consumer_groups: ConsumerGroups, request: ListGroupsRequest
) -> ListGroupsResponse:
    """The groups in any of the given states and of any of the given types; case does not matter."""
    states = {state.strip().lower() for state in request.states_filter}
    types = {kind.lower() for kind in request.types_filter}
    listed = [
        ListedGroup(
            group_id=group.group_id,
            protocol_type=group.protocol_type or "",
            group_state=group.state.value,
            group_type=_CLASSIC,
        )
        for group in groups.values()
    ]
    listed += [
        ListedGroup(
            group_id=group.group_id,
            protocol_type=CONSUMER_PROTOCOL,
            group_state=group.state.value,
            group_type=_CONSUMER,
        )
        for group in consumer_groups.values()
    ]
    return ListGroupsResponse(
        groups=[
            each
            for each in listed
            if (not types or each.group_type in types) and (not states or each.group_state.lower() in states)
        ]
    )


def delete_groups(
    groups: Groups,
    consumer_groups: ConsumerGroups,
    offsets: CommittedOffsets,
    request: DeleteGroupsRequest,
    context: Context,
    step: Step,
) -> None:
    """Forget groups without members, together with what they committed."""
    results = []
    for group_id in dict.fromkeys(request.groups_names):
        group, consumer_group = groups.get(group_id), consumer_groups.get(group_id)
        code = ErrorCode.NONE
        if group is None and consumer_group is None:
            code = ErrorCode.GROUP_ID_NOT_FOUND
        elif (group is not None and group.state is not GroupState.EMPTY) or (
            consumer_group is not None and consumer_group.members
        ):
            code = ErrorCode.NON_EMPTY_GROUP
        else:
            for topic, partitions in offsets.of_group(group_id).items():
                step.records += [offset_tombstone(group_id, topic, partition) for partition in partitions]
            for topic, partition in offsets.pending.of_group(group_id):
                if offsets.get(group_id, topic, partition) is None:
                    step.records.append(offset_tombstone(group_id, topic, partition))
            if consumer_group is not None:
                step.records += group_tombstones(consumer_group)
            else:
                step.records.append(group_tombstone(group_id))
        results.append(DeletableGroupResult(group_id=group_id, error_code=code))
    step.reply(context.token, DeleteGroupsResponse(results=results))
