"""A byte that has flipped on the disk: a broker starts, serves the rest, and says where."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.broker.raw import RawClient
from tests.broker.test_persistence import bounds, create_topic, produce

from rota.testing import Broker
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)
from rota.wire.records import iter_batches

SMALL = {
    "offsets.topic.num.partitions": "1",
    "offsets.topic.segment.bytes": "400",
    "log.cleaner.enable": "false",
}


def _batches(path: Path) -> list[int]:
    return [position for position, _ in iter_batches(path.read_bytes())]


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x41
    path.write_bytes(data)


def _fetched(client: RawClient, offset: int) -> int:
    """The first offset that a fetch from ``offset`` brings."""
    wanted = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1)
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=1_000_000,
        topics=[FetchTopic(topic="orders", partitions=[wanted])],
    )
    answer = client.call(request, 11, FetchResponse).responses[0].partitions[0]
    assert answer.error_code == 0
    assert answer.records is not None
    return next(header.base_offset for _, header in iter_batches(bytes(answer.records)))


def _commit(client: RawClient, group: str, offset: int) -> None:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    topics = [OffsetCommitRequestTopic(name="orders", partitions=[partition])]
    answer = client.call(OffsetCommitRequest(group_id=group, topics=topics), 8, OffsetCommitResponse)
    assert answer.topics[0].partitions[0].error_code == 0


def _committed(client: RawClient, group: str) -> int:
    topics = [OffsetFetchRequestTopic(name="orders", partition_indexes=[0])]
    answer = client.call(OffsetFetchRequest(group_id=group, topics=topics), 7, OffsetFetchResponse)
    return answer.topics[0].partitions[0].committed_offset


def test_what_is_behind_the_damage_is_fetched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Broker(data_dir=tmp_path) as broker:
        with RawClient(broker.bootstrap_servers) as client:
            assert create_topic(client, "orders", internal_segment_bytes="3000") == 0
            for _ in range(10):
                assert produce(client, "orders", 900)[0] == 0
        broker.stop()
        path = tmp_path / "orders-0" / f"{0:020d}.log"
        damaged = _batches(path)[1]
        _flip(path, damaged + 8)
        broker.start()
        with RawClient(broker.bootstrap_servers) as client:
            assert bounds(client, "orders") == (0, 10)
            assert [_fetched(client, offset) for offset in range(10)] == [0, 2, 2, 3, 4, 5, 6, 7, 8, 9]
            assert produce(client, "orders") == (0, 10)
    assert caplog.text.count(f"{path} is damaged at byte {damaged}") == 1


@pytest.mark.parametrize("at", [8, 16, 66], ids=["length", "magic", "record"])
def test_a_damaged_commit_costs_no_other_group(
    tmp_path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A flipped bit in a committed offset would be another offset: what has a wrong checksum is not replayed."""
    with Broker(SMALL, data_dir=tmp_path) as broker:
        with RawClient(broker.bootstrap_servers) as client:
            assert create_topic(client, "orders") == 0
            for number in range(12):
                _commit(client, f"g{number}", 100 + number)
        broker.stop()
        path = tmp_path / "__consumer_offsets-0" / f"{0:020d}.log"
        damaged = _batches(path)[1]
        _flip(path, damaged + at)
        broker.start()
        with RawClient(broker.bootstrap_servers) as client:
            found = [_committed(client, f"g{number}") for number in range(12)]
            assert found == [100, -1, *range(102, 112)]
            _commit(client, "g1", 7)
            assert _committed(client, "g1") == 7
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 1
    assert str(path.parent) in errors[0]
