"""The records that say what became of a group; ``Group.load`` reads them, ``log_format`` has their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rota.coordinator.outcome import LogRecord
from rota.wire.messages.group_log import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.coordinator.group import Group
    from rota.coordinator.members import Member

__all__ = [
    "group_record",
    "group_tombstone",
    "is_creation",
    "new_group_record",
    "offset_tombstone",
    "replacement_record",
]


# Fields in their order: a rebalance makes one for every member, and keywords would take as long again.
_entry: Callable[..., MemberMetadata] = MemberMetadata


def new_group_record(group: Group) -> LogRecord:
    """The group exists and has no generation yet."""
    value = GroupMetadataValue(
        protocol_type="", protocol=None, leader=None, current_state_timestamp=group.state_since_ms
    )
    return LogRecord(GroupMetadataKey(group=group.group_id), value)


def is_creation(record: LogRecord) -> bool:
    """Whether this is what ``new_group_record`` made."""
    value = record.value
    return isinstance(value, GroupMetadataValue) and value.generation == 0 and not value.members


def group_record(
    group: Group,
    now_ms: int,
    *,
    emptied: bool = False,
    assignments: Mapping[str, bytes] | None = None,
) -> LogRecord:
    """A generation, its members and their ``assignments``; or, ``emptied``, the next one without members."""
    if emptied:
        value = GroupMetadataValue(
            protocol_type=group.protocol_type or "",
            generation=group.generation + 1,
            protocol=None,
            leader=None,
            current_state_timestamp=now_ms,
        )
    else:
        assert assignments is not None
        value = _value(group, list(group.members.values()), group.leader, assignments)
    return LogRecord(GroupMetadataKey(group=group.group_id), value)


def replacement_record(group: Group, old_id: str, new: Member) -> LogRecord:
    """The same generation with ``new`` in the place of ``old_id``: a static member came back."""
    members = [new if member.member_id == old_id else member for member in group.members.values()]
    assignments = {member.member_id: member.assignment for member in members}
    leader = new.member_id if group.leader == old_id else group.leader
    return LogRecord(GroupMetadataKey(group=group.group_id), _value(group, members, leader, assignments))


def _value(
    group: Group, members: list[Member], leader: str | None, assignments: Mapping[str, bytes]
) -> GroupMetadataValue:
    return GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=group.generation,
        protocol=group.protocol,
        leader=leader,
        current_state_timestamp=group.state_since_ms,
        members=[
            _entry(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.rebalance_timeout_ms,
                member.session_timeout_ms,
                member.metadata(group.protocol),
                assignments.get(member.member_id, b""),
            )
            for member in members
        ],
    )


def group_tombstone(group_id: str) -> LogRecord:
    """The group is gone."""
    return LogRecord(GroupMetadataKey(group=group_id), None)


def offset_tombstone(group_id: str, topic: str, partition: int) -> LogRecord:
    """The committed offset is forgotten."""
    return LogRecord(OffsetCommitKey(group=group_id, topic=topic, partition=partition), None)
