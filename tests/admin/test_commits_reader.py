"""The reader that is written by hand says what the codec says, of anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.admin.commits_reader import Remembered, read_commits
from rota.model import KafkaError, TopicPartition
from rota.monitor.facts import Commit
from rota.wire.codec import decode, encode
from rota.wire.errors import WireError
from rota.wire.messages.offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

names = st.text("abcdefghij-.ä", min_size=1, max_size=140)
epochs = st.integers(-1, 2**31 - 1)
plain = st.builds(
    OffsetFetchResponsePartitions,
    partition_index=st.integers(0, 2**31 - 1),
    committed_offset=st.integers(-1, 2**63 - 1),
    committed_leader_epoch=epochs,
    metadata=st.just(""),
)
any_partition = st.builds(
    OffsetFetchResponsePartitions,
    partition_index=st.integers(0, 2**31 - 1),
    committed_offset=st.integers(-1, 2**63 - 1),
    committed_leader_epoch=epochs,
    metadata=st.none() | st.text(max_size=300),
    error_code=st.sampled_from([0, 0, 0, 88]),
)
topics = st.builds(
    OffsetFetchResponseTopics,
    name=names,
    partitions=st.lists(plain, max_size=30) | st.lists(any_partition, max_size=5),
)
groups = st.builds(
    OffsetFetchResponseGroup,
    group_id=names,
    topics=st.lists(topics, max_size=4),
    error_code=st.sampled_from([0, 0, 0, 16]),
)
responses = st.builds(
    OffsetFetchResponse, groups=st.lists(groups, max_size=4, unique_by=lambda each: each.group_id)
)


def as_the_codec_reads(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in decode(OffsetFetchResponse, 9, data).groups:
        errors = {part.error_code for topic in group.topics for part in topic.partitions} - {0}
        if group.error_code or errors:
            found[group.group_id] = group.error_code or min(errors)
            continue
        found[group.group_id] = {
            TopicPartition(topic.name, part.partition_index): Commit(
                part.committed_offset,
                part.committed_leader_epoch if part.committed_leader_epoch >= 0 else None,
                part.metadata or "",
            )
            for topic in group.topics
            for part in topic.partitions
            if part.committed_offset >= 0
        }
    return found


def told(data: bytes, remembered: Remembered | None = None) -> dict[str, Any]:
    return {
        group: int(answer.code) if isinstance(answer, KafkaError) else answer
        for group, answer in read_commits(b"head" + data, 4, remembered).items()
    }


@ANY_SPEED
@given(responses)
def test_it_reads_what_the_codec_reads(response: OffsetFetchResponse) -> None:
    data = encode(response, 9)
    assert told(data) == as_the_codec_reads(data)


@ANY_SPEED
@given(st.lists(responses, min_size=2, max_size=4))
def test_what_is_remembered_changes_nothing(looks: list[OffsetFetchResponse]) -> None:
    remembered = Remembered()
    for response in [*looks, *looks]:
        data = encode(response, 9)
        assert told(data, remembered) == as_the_codec_reads(data)


@ANY_SPEED
@given(responses, st.data())
def test_bytes_that_were_changed_are_read_alike_or_refused(
    response: OffsetFetchResponse, choose: st.DataObject
) -> None:
    data = bytearray(encode(response, 9))
    for _ in range(choose.draw(st.integers(1, 3))):
        data[choose.draw(st.integers(0, len(data) - 1))] = choose.draw(st.integers(0, 255))
    if choose.draw(st.booleans()):
        del data[choose.draw(st.integers(0, len(data) - 1)) :]
    try:
        found = told(bytes(data))
    except WireError:
        return
    # Whatever it accepts is no more than what is there.
    assert sum(len(each) for each in found.values() if isinstance(each, dict)) <= len(data) // 20


def test_a_group_that_has_committed_nothing_since_is_the_same_object() -> None:
    def response(offset: int) -> bytes:
        parts = [OffsetFetchResponsePartitions(partition_index=n, committed_offset=offset) for n in range(3)]
        quiet = [OffsetFetchResponsePartitions(partition_index=0, committed_offset=5, metadata="x")]
        groups = [
            OffsetFetchResponseGroup(
                group_id=name, topics=[OffsetFetchResponseTopics(name="t", partitions=each)]
            )
            for name, each in (("busy", parts), ("quiet", quiet))
        ]
        return encode(OffsetFetchResponse(groups=groups), 9)

    remembered = Remembered()
    first, second = told(response(1), remembered), told(response(2), remembered)
    assert first["quiet"] is second["quiet"]
    assert first["busy"] != second["busy"]
    remembered.keep_only(["busy"])
    assert told(response(2), remembered)["quiet"] is not first["quiet"]


@pytest.mark.parametrize("count", [b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff", b"\x80"])
def test_a_claimed_count_allocates_nothing(count: bytes) -> None:
    with pytest.raises(WireError):
        read_commits(b"head" + bytes(4) + count, 4)
