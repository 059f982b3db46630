"""OffsetFetch (key 9, versions 1-9): what a group has committed; -1 where it has not.

Version notes: v2 lets topics be null, for everything the group has committed; up to v7 one group and a
top-level error, from v8 several groups. With ``require_stable`` (v7) a partition whose offset an open
transaction is about to decide is answered with UNSTABLE_OFFSET_COMMIT: the client asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rota.coordinator.collector import collector_paused
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

# Fields in their order: whoever watches all groups has one made for every partition of each, and keywords would take
# as long again.
_part: Callable[..., OffsetFetchResponsePartition] = OffsetFetchResponsePartition
_part_of_group: Callable[..., OffsetFetchResponsePartitions] = OffsetFetchResponsePartitions

_T = TypeVar("_T")

_GROUPS_VERSION = 8


@collector_paused
def fetch_offsets(
    consumer_groups: ConsumerGroups, offsets: CommittedOffsets, request: OffsetFetchRequest, version: int
) -> OffsetFetchResponse:
    """The answer in the shape of ``version``. An unknown group has committed nothing: that is no error."""
    stable = request.require_stable
    if version >= _GROUPS_VERSION:
        groups = []
        repeats = named_too_often([group.group_id for group in request.groups])
        for group, is_refused in zip(request.groups, repeats, strict=True):
            code = ErrorCode.INVALID_REQUEST if is_refused else _check(consumer_groups, group)
            if code != ErrorCode.NONE:
                groups.append(OffsetFetchResponseGroup(group_id=group.group_id, error_code=code))
                continue
            wanted = None if group.topics is None else [(t.name, t.partition_indexes) for t in group.topics]
            found = _find(offsets, group.group_id, wanted, _part_of_group, stable=stable)
            topics = [OffsetFetchResponseTopics(name=name, partitions=parts) for name, parts in found]
            groups.append(OffsetFetchResponseGroup(group_id=group.group_id, topics=topics))
        return OffsetFetchResponse(groups=groups)
    wanted = None if request.topics is None else [(t.name, t.partition_indexes) for t in request.topics]
    found_of_one = _find(offsets, request.group_id, wanted, _part, stable=stable)
    return OffsetFetchResponse(
        topics=[OffsetFetchResponseTopic(name=name, partitions=parts) for name, parts in found_of_one]
    )


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
    make: Callable[..., _T],
    *,
    stable: bool,
) -> Iterator[tuple[str, list[_T]]]:
    """By topic what ``make`` makes of each partition: its number, offset, leader epoch, metadata and error code."""
    committed = offsets.of_group(group_id)
    none = ErrorCode.NONE
    if wanted is None:
        if not (stable and offsets.pending):
            for topic, there in committed.items():
                yield (
                    topic,
                    [
                        make(index, value.offset, value.leader_epoch, value.metadata, none)
                        for index, value in there.items()
                    ],
                )
            return
        wanted = [(topic, list(partitions)) for topic, partitions in committed.items()]
    told: set[tuple[str, int]] = set()
    for topic, indexes in wanted:
        values = committed.get(topic, {})
        entries: list[_T] = []
        for index in indexes:
            if (topic, index) in told:  # a few bytes each time, for a metadata of thousands
                continue
            told.add((topic, index))
            value = values.get(index)
            if stable and (group_id, topic, index) in offsets.pending:
                entries.append(make(index, -1, -1, "", ErrorCode.UNSTABLE_OFFSET_COMMIT))
            elif value is None:
                entries.append(make(index, -1, -1, "", none))
            else:
                entries.append(make(index, value.offset, value.leader_epoch, value.metadata, none))
        yield topic, entries
