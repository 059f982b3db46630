"""When what the coordinator decided could not be recorded: nobody may be told that it was.

The replies of the failed outcome become errors, and the soft state is put back where clients that try again
find it sensible. Nothing is recorded here: the log has just refused to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.answers import join_error, sync_error
from rota.coordinator.rebalance import prepare
from rota.coordinator.records import is_creation
from rota.coordinator.states import GroupState
from rota.model import ErrorCode
from rota.timeline.events import RebalanceReason
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from rota.wire.messages.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from rota.wire.messages.group_log import GroupMetadataValue
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupResponse
from rota.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from rota.wire.messages.offset_delete import OffsetDeleteResponse
from rota.wire.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from rota.coordinator.outcome import LogRecord, Outcome
    from rota.coordinator.step import Groups, Step
    from rota.wire.schema import Message

__all__ = ["fail"]


def fail(groups: Groups, outcome: Outcome, code: ErrorCode, step: Step) -> None:
    """Turn ``outcome`` into its failure."""
    for timer in outcome.timers:
        step.timers[timer.key] = timer.deadline_ms
    for reply in outcome.replies:
        step.reply(reply.token, _as_error(reply.response, code))
    for record in outcome.records:
        _undo(groups, record, code, step)


def _undo(groups: Groups, record: LogRecord, code: ErrorCode, step: Step) -> None:
    value = record.value
    group = groups.get(record.group)
    if group is None or not isinstance(value, GroupMetadataValue):
        return
    if is_creation(record):
        # The group was never recorded: whoever waits in its first rebalance must start anew.
        del groups[group.group_id]
        for member in group.members.values():
            if member.join is not None:
                step.reply(member.join.token, join_error(code, member.join.version))
            step.end_session(group, member.member_id)
        for member_id in group.pending_joins:
            step.end_session(group, member_id)
        step.cancel_timer(("join", group.group_id))
    elif not value.members:
        # It is empty all the same; the next start finds its last generation, whose sessions will expire.
        group.load(value)
    elif group.state is GroupState.COMPLETING_REBALANCE:
        detail = f"the assignment could not be recorded: {code.name}"
        prepare(group, RebalanceReason.SYNC_TIMEOUT, "", detail, step)
    else:
        # A static member's successor did not make it: its old self is still the member.
        for new in group.replacements.values():
            assert new.instance_id is not None
            old = group.members[group.static_members[new.instance_id]]
            old.armed_ms = None
            step.end_session(group, new.member_id)
            step.extend_session(group, old)
        group.replacements.clear()


def _as_error(response: Message, code: ErrorCode) -> Message:
    """The same answer, failed; errors stay what they are."""
    if isinstance(response, JoinGroupResponse):
        # The version is not known here; an empty protocol name fits all of them.
        return join_error(code, 0, response.member_id) if response.error_code == ErrorCode.NONE else response
    if isinstance(response, SyncGroupResponse):
        return sync_error(code) if response.error_code == ErrorCode.NONE else response
    if isinstance(response, LeaveGroupResponse):
        return LeaveGroupResponse(error_code=code)
    if isinstance(response, OffsetDeleteResponse):
        return OffsetDeleteResponse(error_code=code)
    if isinstance(response, OffsetCommitResponse):
        return OffsetCommitResponse(topics=[_failed_topic(topic, code) for topic in response.topics])
    if isinstance(response, DeleteGroupsResponse):
        return DeleteGroupsResponse(
            results=[
                DeletableGroupResult(group_id=result.group_id, error_code=result.error_code or code)
                for result in response.results
            ]
        )
    if isinstance(response, ConsumerGroupHeartbeatResponse):
        # The state is what it was before; a member that is not in it will be told to join anew.
        return ConsumerGroupHeartbeatResponse(error_code=response.error_code or code)
    raise AssertionError(f"{type(response).__name__} records nothing")


def _failed_topic(topic: OffsetCommitResponseTopic, code: ErrorCode) -> OffsetCommitResponseTopic:
    return OffsetCommitResponseTopic(
        name=topic.name,
        partitions=[
            OffsetCommitResponsePartition(
                partition_index=partition.partition_index, error_code=partition.error_code or code
            )
            for partition in topic.partitions
        ],
    )
