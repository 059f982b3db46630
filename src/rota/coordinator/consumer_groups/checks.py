"""What a ConsumerGroupHeartbeat must be like, and whose it may be."""

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
        message = "a member needs an id"
    elif not request.group_id:
        message = "the group has no name"
    elif request.instance_id == "":
        message = "an instance id must not be empty"
    elif request.rack_id == "":
        message = "a rack id must not be empty"
    elif epoch == JOIN_EPOCH:
        message = _check_join(request)
    elif epoch == STATIC_LEAVE_EPOCH and request.instance_id is None:
        message = "only a member with an instance id leaves for a while (epoch -2)"
    elif epoch < STATIC_LEAVE_EPOCH:
        message = f"no member is in epoch {epoch}"
    if message is not None:
        raise GroupError(ErrorCode.INVALID_REQUEST, message)
    if request.server_assignor is not None and request.server_assignor not in config.consumer_assignors:
        raise GroupError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"there is no assignor {request.server_assignor} here, but {', '.join(config.consumer_assignors)}",
        )


def _check_join(request: ConsumerGroupHeartbeatRequest) -> str | None:
    if request.rebalance_timeout_ms == -1:
        return "who joins says its rebalance timeout"
    if request.topic_partitions is None or request.topic_partitions:
        return "who joins holds no partitions"
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        return "who joins says what it subscribes to, by names or by pattern"
    return None


def check_room(group: ConsumerGroup, member_id: str, max_size: int) -> None:
    """Whether there is a place for the member, if it is none yet.

    Raises:
        GroupError: GROUP_MAX_SIZE_REACHED
    """
    if len(group.members) >= max_size and member_id not in group.members:
        raise GroupError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"group {group.group_id} is full: {max_size} members",
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
        f"member {member.member_id} is in epoch {member.member_epoch}, not {epoch}:"
        " let go of all partitions and join again",
    )


def check_instance(member: ConsumerMember | None, instance_id: str, member_id: str) -> ConsumerMember:
    """The static member that has the instance id, if it is the one that speaks.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID
    """
    if member is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID, f"no member has the instance id {instance_id}")
    if member.member_id != member_id:
        raise GroupError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"instance id {instance_id} now belongs to {member.member_id}, not to {member_id}",
        )
    return member


def check_released(member: ConsumerMember, instance_id: str, member_id: str) -> None:
    """Whether the one who has the instance id has gone and left it to others.

    Raises:
        GroupError: UNRELEASED_INSTANCE_ID
    """
    if not member.is_away:
        raise GroupError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"instance id {instance_id} still belongs to {member.member_id}: {member_id} cannot have it",
        )
