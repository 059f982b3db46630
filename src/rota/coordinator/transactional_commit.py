"""TxnOffsetCommit (key 28, versions 0-5): offsets that count if, and only if, a transaction is committed.

Version notes: v2 leader epochs; v3 the member and its generation, so that a consumer that has lost its partitions is
fenced (KIP-447); v5 makes the group's partition of ``__consumer_offsets`` part of the transaction (KIP-890). Whether
the transaction is open was looked at before. Unlike an ordinary commit this one is welcome during a rebalance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.offsets import utf16_length
from rota.coordinator.outcome import LogRecord
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError
from rota.wire.messages.group_log import OffsetCommitKey, OffsetCommitValue
from rota.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.group import ConsumerGroup, ConsumerGroups
    from rota.coordinator.group import Group
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Groups, Step

__all__ = ["handle_transactional_commit", "transactional_commit_error"]

_NO_TIME = -1


def handle_transactional_commit(
    groups: Groups,
    consumer_groups: ConsumerGroups,
    request: TxnOffsetCommitRequest,
    context: Context,
    step: Step,
) -> None:
    """Record the offsets, if the group accepts them; they are pending until the transaction ends."""
    code = _commit_error(groups, consumer_groups, request)
    if code != ErrorCode.NONE:
        step.reply(context.token, transactional_commit_error(request, code))
        return
    response = TxnOffsetCommitResponse()
    for topic in request.topics:
        answers = []
        for partition in topic.partitions:
            metadata = partition.committed_metadata or ""
            own_code = ErrorCode.NONE
            if utf16_length(metadata) > step.config.offset_metadata_max_bytes:
                own_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                value = OffsetCommitValue(
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp=step.now_ms,
                    expire_timestamp=_NO_TIME,
                )
                key = OffsetCommitKey(
                    group=request.group_id, topic=topic.name, partition=partition.partition_index
                )
                step.records.append(LogRecord(key, value))
            answers.append(
                TxnOffsetCommitResponsePartition(
                    partition_index=partition.partition_index, error_code=own_code
                )
            )
        response.topics.append(TxnOffsetCommitResponseTopic(name=topic.name, partitions=answers))
    step.reply(context.token, response)


def transactional_commit_error(request: TxnOffsetCommitRequest, code: ErrorCode) -> TxnOffsetCommitResponse:
    """Nothing was committed, and why."""
    return TxnOffsetCommitResponse(
        topics=[
            TxnOffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    TxnOffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=code
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _commit_error(
    groups: Groups, consumer_groups: ConsumerGroups, request: TxnOffsetCommitRequest
) -> ErrorCode:
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    try:
        if request.group_id in consumer_groups:
            _check_consumer(consumer_groups[request.group_id], request)
        elif request.group_id in groups:
            _check_classic(groups[request.group_id], request)
        elif request.generation_id >= 0:
            return ErrorCode.ILLEGAL_GENERATION
    except GroupError as error:
        return error.code
    return ErrorCode.NONE


def _check_classic(group: Group, request: TxnOffsetCommitRequest) -> None:
    if request.generation_id < 0 and group.state is GroupState.EMPTY:
        return
    if request.generation_id >= 0 or request.member_id or request.group_instance_id is not None:
        group.check_member(request.member_id, request.group_instance_id)
        if request.generation_id != group.generation:
            raise GroupError(ErrorCode.ILLEGAL_GENERATION)


def _check_consumer(group: ConsumerGroup, request: TxnOffsetCommitRequest) -> None:
    if request.generation_id < 0 and not group.members:
        return
    if request.generation_id < 0 and not request.member_id and request.group_instance_id is None:
        return
    if group.member(request.member_id).member_epoch != request.generation_id:
        raise GroupError(ErrorCode.ILLEGAL_GENERATION)
