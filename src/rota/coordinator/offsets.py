"""Committed offsets: OffsetCommit (key 8, v2-9), OffsetDelete (key 47, v0), and their expiry.

What is stored is what is recorded: the ``OffsetCommitValue`` of each group, topic and partition. Version
notes: a commit's retention time is honoured as far as clients can still send it (v2-4), as an expiry of its
own; v9 answers GROUP_ID_NOT_FOUND for an unknown group instead of ILLEGAL_GENERATION.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups import offsets as consumer_offsets
from rota.coordinator.outcome import LogRecord
from rota.coordinator.pending_offsets import PendingOffsets
from rota.coordinator.records import group_tombstone, offset_tombstone
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError
from rota.timeline.events import OffsetCommitted
from rota.wire.messages.group_log import OffsetCommitKey, OffsetCommitValue
from rota.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from rota.wire.messages.offset_delete import (
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rota.coordinator.consumer_groups.group import ConsumerGroups
    from rota.coordinator.group import Group
    from rota.coordinator.outcome import Context, TopicView
    from rota.coordinator.step import Groups, Step
    from rota.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition
    from rota.wire.messages.offset_delete import OffsetDeleteRequest

__all__ = ["CommittedOffsets", "handle_commit", "handle_delete", "maybe_expire", "utf16_length"]

_EMPTY = GroupState.EMPTY
_PREPARING = GroupState.PREPARING_REBALANCE
_COMPLETING = GroupState.COMPLETING_REBALANCE
_STABLE = GroupState.STABLE

# Fields in their order: every commit makes these, and keywords would take as long again.
_value: Callable[..., OffsetCommitValue] = OffsetCommitValue
_key: Callable[..., OffsetCommitKey] = OffsetCommitKey
_answer: Callable[..., OffsetCommitResponsePartition] = OffsetCommitResponsePartition

_GROUP_ID_NOT_FOUND_VERSION = 9
_NO_TIME = -1
_END_OF_TIME = 2**63 - 1


class CommittedOffsets:
    """The committed offsets of all groups, and what open transactions have committed (``pending``)."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, dict[int, OffsetCommitValue]]] = {}
        self.pending = PendingOffsets()

    def put(self, key: OffsetCommitKey, value: OffsetCommitValue, order: int | None = None) -> None:
        """Replay a commit; ``order``: one that was pending since then."""
        self.pending.supersede(key, order)
        self._groups.setdefault(key.group, {}).setdefault(key.topic, {})[key.partition] = value

    def remove(self, key: OffsetCommitKey) -> None:
        """Replay a tombstone."""
        self.pending.remove(key)
        topics = self._groups.get(key.group)
        if topics is None or key.topic not in topics:
            return
        topics[key.topic].pop(key.partition, None)
        if not topics[key.topic]:
            del topics[key.topic]
            if not topics:
                del self._groups[key.group]

    def has(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether an offset was committed, even if a transaction is yet to decide whether it counts."""
        return (
            self.get(group_id, topic, partition) is not None or (group_id, topic, partition) in self.pending
        )

    def get(self, group_id: str, topic: str, partition: int) -> OffsetCommitValue | None:
        """One committed offset."""
        return self._groups.get(group_id, {}).get(topic, {}).get(partition)

    def of_group(self, group_id: str) -> dict[str, dict[int, OffsetCommitValue]]:
        """Everything that a group has committed: topic, partition, value. Not to be changed."""
        return self._groups.get(group_id, {})

    def of_topic(self, topic: str) -> Iterator[tuple[str, int]]:
        """Who has committed which partition of ``topic``."""
        for group_id, topics in self._groups.items():
            for partition in topics.get(topic, ()):
                yield group_id, partition
        for group_id, partition in self.pending.of_topic(topic):
            if self.get(group_id, topic, partition) is None:
                yield group_id, partition


# --- commit -------------------------------------------------------------------------------------------------


def handle_commit(
    groups: Groups,
    consumer_groups: ConsumerGroups,
    topics: TopicView,
    request: OffsetCommitRequest,
    context: Context,
    step: Step,
) -> None:
    """Record what may be recorded; each partition has an error code of its own.

    Partitions that do not exist are sorted out first: if nothing remains, not even the group is looked at.
    """
    unknown: dict[str, list[int]] = {}
    known: list[tuple[str, list[OffsetCommitRequestPartition]]] = []
    for topic in request.topics:
        count = topics.partitions(topic.name) or 0
        there = topic.partitions
        for partition in there:
            if not 0 <= partition.partition_index < count:
                there = [p for p in topic.partitions if 0 <= p.partition_index < count]
                break
        if there is not topic.partitions or not there:
            missing = [p.partition_index for p in topic.partitions if not 0 <= p.partition_index < count]
            unknown.setdefault(topic.name, []).extend(missing)
        if there:
            known.append((topic.name, there))
    code = ErrorCode.NONE
    if known:
        code = _commit_error(groups, consumer_groups, request, context, step)
    response = OffsetCommitResponse(
        topics=[_unknown_topic(name, indexes) for name, indexes in unknown.items()] if unknown else []
    )
    answered = {topic.name: topic for topic in response.topics}
    for name, partitions in known:
        answers = _commit_topic(request, name, partitions, code, step)
        if name in answered:
            answered[name].partitions += answers
        else:
            answered[name] = OffsetCommitResponseTopic(name=name, partitions=answers)
            response.topics.append(answered[name])
    step.reply(context.token, response)


def _unknown_topic(name: str, indexes: list[int]) -> OffsetCommitResponseTopic:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return OffsetCommitResponseTopic(
        name=name,
        partitions=[
            OffsetCommitResponsePartition(partition_index=index, error_code=code) for index in indexes
        ],
    )


def _commit_error(
    groups: Groups,
    consumer_groups: ConsumerGroups,
    request: OffsetCommitRequest,
    context: Context,
    step: Step,
) -> ErrorCode:
    """Whether the group accepts this commit; in a classic group, it is a sign of life like a heartbeat."""
    consumer_group = consumer_groups.get(request.group_id)
    if consumer_group is not None:
        try:
            consumer_offsets.check_commit(
                consumer_group, request.member_id, request.generation_id_or_member_epoch, context.version
            )
        except GroupError as error:
            return error.code
        return ErrorCode.NONE
    group = groups.get(request.group_id)
    if group is None:
        if request.generation_id_or_member_epoch < 0:
            # A consumer without a group's management, or an administrator: the record makes a simple group.
            return ErrorCode.NONE
        if context.version >= _GROUP_ID_NOT_FOUND_VERSION:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.ILLEGAL_GENERATION
    try:
        check_commit(
            group, request.member_id, request.group_instance_id, request.generation_id_or_member_epoch
        )
    except GroupError as error:
        return error.code
    if group.state is _STABLE or group.state is _PREPARING:
        step.extend_session(group, group.members[request.member_id])
    return ErrorCode.NONE


def check_commit(group: Group, member_id: str, instance_id: str | None, generation: int) -> None:
    """Whether a commit speaks for the current generation, or for nobody in a group without members.

    Raises:
        GroupError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    """
    if generation < 0 and group.state is _EMPTY:
        return
    if generation < 0 and not member_id and instance_id is None:
        raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
    group.check_member(member_id, instance_id)
    if generation != group.generation:
        raise GroupError(ErrorCode.ILLEGAL_GENERATION)
    if group.state is _COMPLETING:
        raise GroupError(ErrorCode.REBALANCE_IN_PROGRESS)


def _commit_topic(
    request: OffsetCommitRequest,
    name: str,
    partitions: list[OffsetCommitRequestPartition],
    code: ErrorCode,
    step: Step,
) -> list[OffsetCommitResponsePartition]:
    limit = step.config.offset_metadata_max_bytes
    retention_ms = request.retention_time_ms
    expires_ms = _NO_TIME if retention_ms == _NO_TIME else min(step.now_ms + retention_ms, _END_OF_TIME)
    answers = []
    for partition in partitions:
        index, offset, metadata = (
            partition.partition_index,
            partition.committed_offset,
            partition.committed_metadata or "",
        )
        own_code = code
        if code == ErrorCode.NONE:
            if metadata and utf16_length(metadata) > limit:
                own_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                value = _value(offset, partition.committed_leader_epoch, metadata, step.now_ms, expires_ms)
                key = _key(request.group_id, name, index)
                step.records.append(LogRecord(key, value))
                if step.config.tells_commits:
                    step.events.append(
                        OffsetCommitted(step.now_ms, request.group_id, request.member_id, name, index, offset)
                    )
        answers.append(_answer(index, own_code))
    return answers


def utf16_length(text: str) -> int:
    """The length as Java counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


# --- deletion -----------------------------------------------------------------------------------------------


def handle_delete(
    groups: Groups,
    consumer_groups: ConsumerGroups,
    offsets: CommittedOffsets,
    topics: TopicView,
    request: OffsetDeleteRequest,
    context: Context,
    step: Step,
) -> None:
    """Forget committed offsets, except of topics that the group reads at this time."""
    try:
        is_subscribed = _subscription(groups, consumer_groups, request.group_id)
    except GroupError as error:
        step.reply(context.token, OffsetDeleteResponse(error_code=error.code))
        return
    answers = []
    for topic in request.topics:
        count = topics.partitions(topic.name) or 0
        partitions = []
        for partition in topic.partitions:
            index = partition.partition_index
            code = ErrorCode.NONE
            if not 0 <= index < count:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif is_subscribed(topic.name):
                code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            elif offsets.has(request.group_id, topic.name, index):
                step.records.append(offset_tombstone(request.group_id, topic.name, index))
            partitions.append(OffsetDeleteResponsePartition(partition_index=index, error_code=code))
        answers.append(OffsetDeleteResponseTopic(name=topic.name, partitions=partitions))
    step.reply(context.token, OffsetDeleteResponse(topics=answers))


def _subscription(groups: Groups, consumer_groups: ConsumerGroups, group_id: str) -> Callable[[str], bool]:
    """Tells which topics the group reads, whose offsets are not to be deleted."""
    if not group_id:
        raise GroupError(ErrorCode.INVALID_GROUP_ID)
    consumer_group = consumer_groups.get(group_id)
    if consumer_group is not None:
        return consumer_group.subscribed().__contains__
    group = groups.existing(group_id)
    if group.state is not _EMPTY and not group.uses_consumer_protocol:
        raise GroupError(ErrorCode.NON_EMPTY_GROUP)
    return group.is_subscribed


# --- expiry -------------------------------------------------------------------------------------------------


def maybe_expire(group: Group, offsets: CommittedOffsets, step: Step) -> None:
    """Forget what was not used for ``offsets.retention.minutes``; then the group too, if nobody is in it.

    The time runs from when the group became empty; for simple groups, and for topics that a stable group no
    longer subscribes to, from each commit.
    """
    all_expired = True
    for topic, partitions in offsets.of_group(group.group_id).items():
        for partition, value in partitions.items():
            is_pending = (group.group_id, topic, partition) in offsets.pending
            if not is_pending and _is_expired(group, topic, value, step):
                step.records.append(offset_tombstone(group.group_id, topic, partition))
            else:
                all_expired = False
    if all_expired and group.state is _EMPTY and not offsets.pending.of_group(group.group_id):
        step.records.append(group_tombstone(group.group_id))


def _is_expired(group: Group, topic: str, value: OffsetCommitValue, step: Step) -> bool:
    if group.is_subscribed(topic):
        return False
    since_ms = value.commit_timestamp
    if group.protocol_type is not None:
        if group.state is _EMPTY:
            since_ms = value.commit_timestamp if group.state_since_ms == _NO_TIME else group.state_since_ms
        elif not (group.state is _STABLE and group.uses_consumer_protocol and group.subscribed is not None):
            return False
    if value.expire_timestamp != _NO_TIME:
        return step.now_ms >= value.expire_timestamp
    return step.now_ms - since_ms >= step.config.offsets_retention_ms
