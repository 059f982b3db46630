"""OffsetFetch (key 9, versions 1-9): what a group has committed; -1 where it has not.

Version notes: v2 lets topics be null, for everything the group has committed; up to v7 one group and a
top-level error, from v8 several groups. With ``require_stable`` (v7) a partition whose offset an open
transaction is about to decide is answered with UNSTABLE_OFFSET_COMMIT: the client asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.offsets import check_fetch
from rota.coordinator.repeats import named_too_often
from rota.model import ErrorCode, GroupError
from rota.wire.messages.offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rota.coordinator.consumer_groups.group import ConsumerGroups
    from rota.coordinator.offsets import CommittedOffsets
    from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup

__all__ = ["fetch_offsets"]

_GROUPS_VERSION = 8

_Entry = tuple[int, int, int, str, ErrorCode]
"""Partition, offset, leader epoch, metadata, error code."""


def fetch_offsets(
    consumer_groups: ConsumerGroups, offsets: CommittedOffsets, request: OffsetFetchRequest, version: int
) -> OffsetFetchResponse:
    """The answer in the shape of ``version``. An unknown group has committed nothing: that is no error."""
    if version >= _GROUPS_VERSION:
        groups = []
        repeats = named_too_often([group.group_id for group in request.groups])
        for group, is_refused in zip(request.groups, repeats, strict=True):
            code = ErrorCode.INVALID_REQUEST if is_refused else _check(consumer_groups, group)
            if code != ErrorCode.NONE:
                groups.append(OffsetFetchResponseGroup(group_id=group.group_id, error_code=code))
                continue
            wanted = None if group.topics is None else [(t.name, t.partition_indexes) for t in group.topics]
            found = _find(offsets, group.group_id, wanted, stable=request.require_stable)
            topics = [_topic_of_group(name, entries) for name, entries in found]
            groups.append(OffsetFetchResponseGroup(group_id=group.group_id, topics=topics))
        return OffsetFetchResponse(groups=groups)
    wanted = None if request.topics is None else [(t.name, t.partition_indexes) for t in request.topics]
    found = _find(offsets, request.group_id, wanted, stable=request.require_stable)
    return OffsetFetchResponse(topics=[_topic(name, entries) for name, entries in found])


def _check(consumer_groups: ConsumerGroups, asked: OffsetFetchRequestGroup) -> ErrorCode:
    """Members of consumer groups say in which epoch they are (v9)."""
    group = consumer_groups.get(asked.group_id)
    if group is not None:
        try:
            check_fetch(group, asked.member_id, asked.member_epoch)
        except GroupError as error:
            return error.code
    return ErrorCode.NONE


def _find(
    offsets: CommittedOffsets,
    group_id: str,
    wanted: Iterable[tuple[str, list[int]]] | None,
    *,
    stable: bool,
) -> Iterator[tuple[str, list[_Entry]]]:
    committed = offsets.of_group(group_id)
    if wanted is None:
        wanted = [(topic, list(partitions)) for topic, partitions in committed.items()]
    told: set[tuple[str, int]] = set()
    for topic, indexes in wanted:
        values = committed.get(topic, {})
        entries: list[_Entry] = []
        for index in indexes:
            if (topic, index) in told:  # a few bytes each time, for a metadata of thousands
                continue
            told.add((topic, index))
            value = values.get(index)
            if stable and (group_id, topic, index) in offsets.pending:
                entries.append((index, -1, -1, "", ErrorCode.UNSTABLE_OFFSET_COMMIT))
            elif value is None:
                entries.append((index, -1, -1, "", ErrorCode.NONE))
            else:
                entries.append((index, value.offset, value.leader_epoch, value.metadata, ErrorCode.NONE))
        yield topic, entries


def _topic(name: str, entries: list[_Entry]) -> OffsetFetchResponseTopic:
    return OffsetFetchResponseTopic(
        name=name,
        partitions=[
            OffsetFetchResponsePartition(
                partition_index=index,
                committed_offset=offset,
                committed_leader_epoch=epoch,
                metadata=metadata,
                error_code=code,
            )
            for index, offset, epoch, metadata, code in entries
        ],
    )


def _topic_of_group(name: str, entries: list[_Entry]) -> OffsetFetchResponseTopics:
    return OffsetFetchResponseTopics(
        name=name,
        partitions=[
            OffsetFetchResponsePartitions(
                partition_index=index,
                committed_offset=offset,
                committed_leader_epoch=epoch,
                metadata=metadata,
                error_code=code,
            )
            for index, offset, epoch, metadata, code in entries
        ],
    )
