"""What the classic protocol's requests do to a consumer group whoever sends them.

Members are removed with LeaveGroup whatever their protocol, which is how administrators do it. JoinGroup turns an empty
consumer group into a classic one. What members of the classic protocol do in a consumer group is in `classic_join` and
`classic_members`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator import reasons
from rota.coordinator.consumer_groups.checks import check_instance
from rota.coordinator.consumer_groups.leave import Departure, remove_members
from rota.coordinator.consumer_groups.records import group_tombstones
from rota.model import ErrorCode, GroupError
from rota.wire.messages.leave_group import LeaveGroupResponse, MemberIdentity, MemberResponse

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Step
    from rota.wire.messages.join_group import JoinGroupRequest
    from rota.wire.messages.leave_group import LeaveGroupRequest

__all__ = ["make_way", "remove_by_request"]

_BATCH_VERSION = 3


def make_way(group: ConsumerGroup, request: JoinGroupRequest, step: Step) -> None:
    """A JoinGroup for the id of a consumer group that nobody is in: it becomes a classic group."""
    if not request.member_id:
        step.records += group_tombstones(group)


def remove_by_request(
    place: Place, group: ConsumerGroup, request: LeaveGroupRequest, context: Context, step: Step
) -> None:
    """LeaveGroup: each member that is named has an error of its own."""
    identities = request.members
    if context.version < _BATCH_VERSION:
        identities = [MemberIdentity(member_id=request.member_id)]
    gone: dict[str, Departure] = {}
    answers = []
    for identity in identities:
        code = ErrorCode.NONE
        try:
            member = _find(group, identity)
            reason = reasons.of_leave(identity.reason, by_instance=not identity.member_id)
            gone[member.member_id] = Departure(member, reason, identity.reason or "")
        except GroupError as error:
            code = error.code
        answers.append(
            MemberResponse(
                member_id=identity.member_id, group_instance_id=identity.group_instance_id, error_code=code
            )
        )
    if gone:
        remove_members(place, group, list(gone.values()), step)
    if context.version < _BATCH_VERSION:
        step.reply(context.token, LeaveGroupResponse(error_code=answers[0].error_code))
    else:
        step.reply(context.token, LeaveGroupResponse(members=answers))


def _find(group: ConsumerGroup, identity: MemberIdentity) -> ConsumerMember:
    """By member id; a static member also by its instance id alone."""
    instance_id = identity.group_instance_id
    if instance_id is None:
        return group.member(identity.member_id)
    member = group.static_member(instance_id)
    if member is not None and not identity.member_id:
        return member
    return check_instance(member, instance_id, identity.member_id)
