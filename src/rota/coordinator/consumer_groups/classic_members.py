"""SyncGroup and Heartbeat of members that use the classic protocol, in a consumer group (KIP-848).

A member's epoch is its generation. SyncGroup gives it what it may consume; Heartbeat asks it to join again when there
is something new for it: a higher epoch, partitions to give up, or such as have become free for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.answers import sync_error
from rota.coordinator.consumer_groups.assignment import EMPTY, each, minus
from rota.coordinator.consumer_groups.checks import check_instance
from rota.coordinator.consumer_groups.classic_metadata import ClassicMetadata, assignment_bytes
from rota.coordinator.consumer_groups.member import MemberState
from rota.coordinator.consumer_groups.sessions import SYNC
from rota.coordinator.group import CONSUMER_PROTOCOL
from rota.coordinator.sync import check_names, differ
from rota.model import ErrorCode, GroupError
from rota.wire.messages.heartbeat import HeartbeatResponse
from rota.wire.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Step
    from rota.wire.messages.heartbeat import HeartbeatRequest
    from rota.wire.messages.sync_group import SyncGroupRequest

__all__ = ["heartbeat_in_consumer_group", "sync_in_consumer_group"]


def sync_in_consumer_group(
    place: Place, group: ConsumerGroup, request: SyncGroupRequest, context: Context, step: Step
) -> None:
    """Answer a SyncGroup: there is nobody to wait for."""
    group_id = group.group_id
    try:
        check_names(request, context.version)
        member, classic = _check(group, request)
        kind, name = request.protocol_type, request.protocol_name
        if differ(kind, CONSUMER_PROTOCOL) or differ(name, classic.protocol):
            raise GroupError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group.epoch > member.member_epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
            place.sessions.await_join(group_id, member, step)
            raise GroupError(ErrorCode.REBALANCE_IN_PROGRESS)
    except GroupError as error:
        step.reply(context.token, sync_error(error.code))
        return
    place.sessions.came(SYNC, group_id, member.member_id, step)
    place.sessions.extend(group_id, member.member_id, classic.session_timeout_ms, step)
    assignment = assignment_bytes(place.named(member.assigned), classic.metadata)
    step.reply(
        context.token, SyncGroupResponse(protocol_type=kind, protocol_name=name, assignment=assignment)
    )


def heartbeat_in_consumer_group(
    place: Place, group: ConsumerGroup, request: HeartbeatRequest, context: Context, step: Step
) -> None:
    """Answer a Heartbeat: REBALANCE_IN_PROGRESS if the member is to join again."""
    try:
        member, classic = _check(group, request)
    except GroupError as error:
        step.reply(context.token, HeartbeatResponse(error_code=error.code))
        return
    place.sessions.extend(group.group_id, member.member_id, classic.session_timeout_ms, step)
    code = ErrorCode.NONE
    if _is_to_join(group, member):
        code = ErrorCode.REBALANCE_IN_PROGRESS
        place.sessions.await_join(group.group_id, member, step)
    step.reply(context.token, HeartbeatResponse(error_code=code))


def _check(
    group: ConsumerGroup, request: SyncGroupRequest | HeartbeatRequest
) -> tuple[ConsumerMember, ClassicMetadata]:
    """Who speaks, if it is a classic member in its current generation.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION
    """
    instance_id = request.group_instance_id
    if instance_id is None:
        member = group.member(request.member_id)
    else:
        member = check_instance(group.static_member(instance_id), instance_id, request.member_id)
    if member.classic is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
    if request.generation_id != member.member_epoch:
        raise GroupError(ErrorCode.ILLEGAL_GENERATION)
    return member, member.classic


def _is_to_join(group: ConsumerGroup, member: ConsumerMember) -> bool:
    if member.member_epoch < group.epoch or member.state is MemberState.UNREVOKED_PARTITIONS:
        return True
    if member.state is not MemberState.UNRELEASED_PARTITIONS:
        return False
    missing = minus(group.target.get(member.member_id, EMPTY), member.assigned)
    return all(group.is_free(topic_id, partition) for topic_id, partition in each(missing))
