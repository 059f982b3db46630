"""The records that say what became of a consumer group; ``ConsumerGroup.replay`` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.outcome import LogRecord
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    TopicPartition,
    TopicPartitions,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rota.coordinator.consumer_groups.assignment import Assigned
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember

__all__ = [
    "current_record",
    "epoch_record",
    "group_tombstones",
    "member_record",
    "member_tombstones",
    "regex_record",
    "target_epoch_record",
    "target_record",
]


def epoch_record(group_id: str, epoch: int, metadata_hash: int) -> LogRecord:
    """The group is in ``epoch``."""
    return LogRecord(
        ConsumerGroupMetadataKey(group_id=group_id),
        ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
    )


def member_record(group_id: str, member: ConsumerMember) -> LogRecord:
    """Who the member is and what it wants."""
    value = ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.topics),
        subscribed_topic_regex=member.regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.assignor,
        classic_member_metadata=None if member.classic is None else member.classic.to_record(),
    )
    return LogRecord(ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id), value)


def target_record(group_id: str, member_id: str, assigned: Assigned) -> LogRecord:
    """What a member is meant to hold."""
    value = ConsumerGroupTargetAssignmentMemberValue(
        topic_partitions=[
            TopicPartition(topic_id=topic_id, partitions=sorted(partitions))
            for topic_id, partitions in sorted(assigned.items())
        ]
    )
    return LogRecord(ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id), value)


def target_epoch_record(group_id: str, epoch: int) -> LogRecord:
    """The target assignment is that of ``epoch``."""
    return LogRecord(
        ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id),
        ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch),
    )


def current_record(group_id: str, member: ConsumerMember) -> LogRecord:
    """What the member holds and has to give up, and in which epoch and state it is."""
    value = ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=member.member_epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=_listed(member.assigned),
        partitions_pending_revocation=_listed(member.revoking),
    )
    key = ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id)
    return LogRecord(key, value)


def _listed(assigned: Assigned) -> list[TopicPartitions]:
    return [
        TopicPartitions(topic_id=topic_id, partitions=sorted(partitions))
        for topic_id, partitions in sorted(assigned.items())
    ]


def regex_record(
    group_id: str, regex: str, topics: Iterable[str] | None, version: int, now_ms: int
) -> LogRecord:
    """Which topics a regular expression matches; None: nobody uses it any more."""
    value = None
    if topics is not None:
        value = ConsumerGroupRegularExpressionValue(topics=sorted(topics), version=version, timestamp=now_ms)
    return LogRecord(ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex), value)


def member_tombstones(group_id: str, member_id: str) -> Iterator[LogRecord]:
    """Nothing is left of a member. Who it was goes last: a reader may stop anywhere."""
    yield LogRecord(ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id), None)
    yield LogRecord(ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id), None)
    yield LogRecord(ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id), None)


def group_tombstones(group: ConsumerGroup) -> Iterator[LogRecord]:
    """Nothing is left of a group."""
    group_id = group.group_id
    for member_id in group.members:
        yield from member_tombstones(group_id, member_id)
    for regex in group.regexes:
        yield regex_record(group_id, regex, None, 0, 0)
    yield LogRecord(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), None)
    yield LogRecord(ConsumerGroupMetadataKey(group_id=group_id), None)
