"""What a ConsumerGroupHeartbeat must be like, and whose it may be. What is said is worded as by Apache Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.assignment import Assigned, minus
from rota.coordinator.consumer_groups.member import JOIN_EPOCH, STATIC_LEAVE_EPOCH, ConsumerMember
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from rota.coordinator.config import GroupConfig
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

__all__ = ["check_epoch", "check_instance", "check_released", "check_request", "check_room"]

_CLIENTS_MAKE_IDS_VERSION = 1
_MAY_LACK_ID = {JOIN_EPOCH, STATIC_LEAVE_EPOCH}


def check_request(request: ConsumerGroupHeartbeatRequest, version: int, config: GroupConfig) -> None:
    """Whether the fields go together.

    Raises:
        GroupError: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR
    """
    epoch = request.member_epoch
    message = None
    if not request.member_id and (version >= _CLIENTS_MAKE_IDS_VERSION or epoch not in _MAY_LACK_ID):
        message = "MemberId can't be empty."
    elif not request.group_id:
        message = "GroupId can't be empty."
    elif request.instance_id == "":
        message = "InstanceId can't be empty."
    elif request.rack_id == "":
        message = "RackId can't be empty."
    elif epoch == JOIN_EPOCH:
        message = _check_join(request)
    elif epoch == STATIC_LEAVE_EPOCH and request.instance_id is None:
        message = "InstanceId can't be null."
    elif epoch < STATIC_LEAVE_EPOCH:
        message = "MemberEpoch is invalid."
    if message is not None:
        raise GroupError(ErrorCode.INVALID_REQUEST, message)
    if request.server_assignor is not None and request.server_assignor not in config.consumer_assignors:
        raise GroupError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.server_assignor} is not supported."
            f" Supported assignors: {', '.join(config.consumer_assignors)}.",
        )


def _check_join(request: ConsumerGroupHeartbeatRequest) -> str | None:
    if request.rebalance_timeout_ms == -1:
        return "RebalanceTimeoutMs must be provided in first request."
    if request.topic_partitions is None or request.topic_partitions:
        return "TopicPartitions must be empty when (re-)joining."
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
    return None


def check_room(group: ConsumerGroup, member_id: str, max_size: int) -> None:
    """Whether there is a place for the member, if it is none yet.

    Raises:
        GroupError: GROUP_MAX_SIZE_REACHED
    """
    if len(group.members) >= max_size and member_id not in group.members:
        raise GroupError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The consumer group has reached its maximum capacity of {max_size} members.",
        )


def check_epoch(member: ConsumerMember, epoch: int, owned: Assigned | None) -> None:
    """Whether the member is where the coordinator left it.

    One epoch back is all right if it holds nothing else than it may: the answer that moved it on may have got lost.

    Raises:
        GroupError: FENCED_MEMBER_EPOCH
    """
    if epoch == member.member_epoch:
        return
    is_ahead = epoch > member.member_epoch
    if (
        not is_ahead
        and epoch == member.previous_epoch
        and owned is not None
        and not minus(owned, member.assigned)
    ):
        return
    raise GroupError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {'greater' if is_ahead else 'smaller'} member epoch ({epoch}) than the one"
        f" known by the group coordinator ({member.member_epoch})."
        " The member must abandon all its partitions and rejoin.",
    )


def check_instance(member: ConsumerMember | None, instance_id: str, member_id: str) -> ConsumerMember:
    """The static member that has the instance id, if it is the one that speaks.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID
    """
    if member is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if member.member_id != member_id:
        raise GroupError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member {member.member_id}.",
        )
    return member


def check_released(member: ConsumerMember, instance_id: str, member_id: str) -> None:
    """Whether the one who has the instance id has gone and left it to others.

    Raises:
        GroupError: UNRELEASED_INSTANCE_ID
    """
    if member.member_epoch != STATIC_LEAVE_EPOCH:
        raise GroupError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} cannot join the group because the instance id"
            f" is owned by {member.member_id} member.",
        )
