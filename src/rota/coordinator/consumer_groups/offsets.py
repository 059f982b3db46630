"""Who may commit, fetch and delete a consumer group's offsets, and when they are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.records import group_tombstones
from rota.coordinator.records import offset_tombstone
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.offsets import CommittedOffsets
    from rota.coordinator.step import Step

__all__ = ["check_commit", "check_fetch", "maybe_expire"]

_MEMBER_EPOCHS_VERSION = 9
_NO_TIME = -1


def check_commit(group: ConsumerGroup, member_id: str, epoch: int, version: int) -> None:
    """Whether a commit speaks for a member in its current epoch, or for nobody in a group without members.

    A member that uses the classic protocol knows its epoch as its generation.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION
    """
    if epoch < 0 and not group.members:
        return
    member = group.member(member_id)
    if member.classic is None and version < _MEMBER_EPOCHS_VERSION:
        raise GroupError(ErrorCode.UNSUPPORTED_VERSION)
    _check_epoch(member, epoch)


def check_fetch(group: ConsumerGroup, member_id: str | None, epoch: int) -> None:
    """Whether who asks for offsets is a member in its current epoch, or does not claim to be a member.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION
    """
    if member_id is None and epoch < 0:
        return
    _check_epoch(group.member(member_id or ""), epoch)


def _check_epoch(member: ConsumerMember, epoch: int) -> None:
    if epoch != member.member_epoch:
        raise GroupError(
            ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION
        )


def maybe_expire(group: ConsumerGroup, offsets: CommittedOffsets, step: Step) -> None:
    """Forget what nobody subscribes to and was committed long ago; then the group too, if nobody is in it."""
    subscribed = group.subscribed()
    all_expired = True
    for topic, partitions in offsets.of_group(group.group_id).items():
        for partition, value in partitions.items():
            expires_ms = value.expire_timestamp
            if expires_ms == _NO_TIME:
                expires_ms = value.commit_timestamp + step.config.offsets_retention_ms
            is_needed = topic in subscribed or (group.group_id, topic, partition) in offsets.pending
            if not is_needed and step.now_ms >= expires_ms:
                step.records.append(offset_tombstone(group.group_id, topic, partition))
            else:
                all_expired = False
    if all_expired and not group.members and not offsets.pending.of_group(group.group_id):
        step.records += group_tombstones(group)
