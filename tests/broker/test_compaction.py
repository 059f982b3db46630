"""Compaction while the broker serves: by itself, on disk and in memory; and ``__consumer_offsets`` stays small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.broker.like_kafka_records import fetch, records
from tests.broker.raw import RawClient
from tests.broker.test_persistence import create_topic
from tests.kafka.ports import PATIENCE_S

from rota.broker.node import Node
from rota.coordinator import partition_for
from rota.model import ErrorCode, TopicPartition
from rota.storage.cleanable import Cleanable
from rota.testing import Broker
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from rota.wire.messages.fetch import FetchResponse
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse
from rota.wire.messages.produce import ProduceResponse
from rota.wire.records import build_batch, iter_batches, iter_records

_CONFIG = {"log.cleaner.backoff.ms": "20"}


@pytest.fixture(params=["disk", "memory"])
def data_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "data" if request.param == "disk" else None


@pytest.fixture
def broker(data_dir: Path | None) -> Iterator[Broker]:
    with Broker(_CONFIG, data_dir=data_dir) as started:
        yield started


def until(found: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < ends_at, "it does not come to that"
        time.sleep(0.02)


def create_small(client: RawClient, name: str) -> int:
    return create_topic(client, name, cleanup_policy="compact", internal_segment_bytes="5000")


def put(client: RawClient, topic: str, key: bytes | None, value: bytes | None) -> int:
    batch = build_batch([(key, value, int(time.time() * 1000), ())])
    answer = client.call(records(topic, bytes(batch)), 9, ProduceResponse)
    return answer.responses[0].partition_responses[0].error_code


def read(client: RawClient, topic: str) -> dict[int, tuple[bytes | None, bytes | None]]:
    """Offset, key and value of everything that is left."""
    found: dict[int, tuple[bytes | None, bytes | None]] = {}
    offset = 0
    while True:
        answer = client.call(fetch(topic, bytes(16), offset=offset), 12, FetchResponse)
        partition = answer.responses[0].partitions[0]
        assert partition.error_code == 0
        data = bytes(partition.records or b"")
        if not data:
            return found
        for position, header in iter_batches(data):
            found |= {each.offset: (each.key, each.value) for each in iter_records(data, position)}
            offset = header.next_offset


def test_a_topic_is_compacted_while_it_is_written_to(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        assert create_small(client, "c") == 0
        for number in range(600):
            assert put(client, "c", b"k%d" % (number % 10), b"%d" % number) == 0
        until(lambda: len(read(client, "c")) < 150)
        left = read(client, "c")
        latest = {key: value for _, (key, value) in sorted(left.items())}
        assert latest == {b"k%d" % (number % 10): b"%d" % number for number in range(590, 600)}
        assert all(value == b"%d" % offset for offset, (_, value) in left.items())
        assert put(client, "c", b"k", b"next") == 0
        assert max(read(client, "c")) == 600


def test_an_open_transaction_does_not_keep_the_cleaner_busy() -> None:
    settings = {"log.cleaner.backoff.ms": "20", "log.cleaner.min.cleanable.ratio": "0.01"}
    looks: list[None] = []
    begun: list[Cleanable] = []

    def watch(node: Node) -> None:
        cleaner = node.broker._cleaner
        assert cleaner is not None
        look, begin = cleaner.look, cleaner._begin

        def watched_look() -> None:
            looks.append(None)
            look()

        def watched_begin(tp: TopicPartition, what: Cleanable) -> None:
            begun.append(what)
            begin(tp, what)

        cleaner.look = watched_look  # type: ignore[method-assign]
        cleaner._begin = watched_begin  # type: ignore[method-assign]

    def open_transaction(node: Node) -> None:
        batch = build_batch(
            [(b"t", b"v", int(time.time() * 1000), ())],
            producer_id=1,
            producer_epoch=0,
            base_sequence=0,
            transactional=True,
        )
        node.broker.topics.log(TopicPartition("c", 0)).append(batch, int(time.time() * 1000))

    with Broker(settings) as broker, RawClient(broker.bootstrap_servers) as client:
        assert create_small(client, "c") == 0
        for number in range(150):
            assert put(client, "c", b"k%d" % (number % 10), b"%d" % number) == 0
        broker._steered().call(open_transaction)
        for number in range(150):
            assert put(client, "c", b"k%d" % (number % 10), b"%d" % number) == 0
        until(lambda: len(read(client, "c")) < 250)
        broker._steered().call(watch)
        until(lambda: len(looks) > 5)
        assert len(begun) <= 1


def test_a_record_without_a_key_is_refused(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        assert create_small(client, "c") == 0
        assert put(client, "c", None, b"v") == ErrorCode.INVALID_RECORD
        assert put(client, "c", b"", b"v") == 0


def test_a_topic_that_is_deleted_while_it_is_compacted(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        for number in range(20):
            name = f"c{number}"
            assert create_small(client, name) == 0
            for each in range(120):
                assert put(client, name, b"k", b"%d" % each) == 0
            gone = client.call(
                DeleteTopicsRequest(topic_names=[name], timeout_ms=1_000), 4, DeleteTopicsResponse
            )
            assert gone.responses[0].error_code == 0
        assert create_small(client, "after") == 0
        for each in range(300):
            assert put(client, "after", b"k", b"%d" % each) == 0
        until(lambda: len(read(client, "after")) < 100)


def test_a_damaged_log_does_not_keep_others_from_being_compacted(tmp_path: Path) -> None:
    settings = {"log.cleaner.backoff.ms": "300"}
    with Broker(settings, data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        for name in ("damaged", "sound"):
            assert create_small(client, name) == 0
            for number in range(200):
                assert put(client, name, b"k", b"%d" % number) == 0
            if name == "damaged":
                path = tmp_path / "damaged-0" / "00000000000000000000.log"
                data = bytearray(path.read_bytes())
                data[-2] ^= 1
                path.write_bytes(data)
        until(lambda: len(read(client, "sound")) < 100)
        assert path.read_bytes() == data
        assert len(read(client, "damaged")) == 200
        assert put(client, "damaged", b"k", b"next") == 0


def test_what_was_compacted_is_there_after_a_restart(tmp_path: Path) -> None:
    with Broker(_CONFIG, data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert create_small(client, "c") == 0
        for number in range(600):
            assert put(client, "c", b"k%d" % (number % 10), b"%d" % number) == 0
        until((tmp_path / "cleaner-offset-checkpoint").exists)
    lines = (tmp_path / "cleaner-offset-checkpoint").read_text().splitlines()
    assert lines[:2] == ["0", "1"]
    assert lines[2].startswith("c 0 ")
    assert not [
        each for each in (tmp_path / "c-0").iterdir() if each.suffix in {".cleaned", ".swap", ".deleted"}
    ]
    with Broker(_CONFIG, data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        left = read(client, "c")
        assert {key: value for _, (key, value) in sorted(left.items())} == {
            b"k%d" % (number % 10): b"%d" % number for number in range(590, 600)
        }
        assert put(client, "c", b"k", b"next") == 0
        assert max(read(client, "c")) == 600


def log_size(broker: Broker, tp: TopicPartition) -> int:
    return broker._steered().call(lambda node: node.broker.topics.log(tp).size)


def commit(client: RawClient, group: str, offset: int) -> None:
    request = OffsetCommitRequest(
        group_id=group,
        topics=[
            OffsetCommitRequestTopic(
                name="t",
                partitions=[
                    OffsetCommitRequestPartition(partition_index=index, committed_offset=offset + index)
                    for index in range(10)
                ],
            )
        ],
    )
    answer = client.call(request, 7, OffsetCommitResponse)
    assert {each.error_code for each in answer.topics[0].partitions} == {0}


def committed(client: RawClient, group: str) -> list[int]:
    request = OffsetFetchRequest(
        group_id=group, topics=[OffsetFetchRequestTopic(name="t", partition_indexes=list(range(10)))]
    )
    answer = client.call(request, 7, OffsetFetchResponse)
    return [each.committed_offset for each in answer.topics[0].partitions]


def test_the_offsets_topic_stays_small_and_right(data_dir: Path | None) -> None:
    """20,000 offsets of 110 bytes, in segments of 100 kB: what is live is 1 kB."""
    settings = _CONFIG | {"offsets.topic.segment.bytes": "100000", "offsets.topic.num.partitions": "2"}
    tp = TopicPartition("__consumer_offsets", partition_for("busy", 2))
    with Broker(settings, data_dir=data_dir) as broker, RawClient(broker.bootstrap_servers) as client:
        create_topic(client, "t", 10)
        client.call(FindCoordinatorRequest(coordinator_keys=["busy"]), 4, FindCoordinatorResponse)
        largest = 0
        for number in range(2_000):
            commit(client, "busy", number)
            if not number % 50:
                largest = max(largest, log_size(broker, tp))
        until(lambda: log_size(broker, tp) < 120_000)
        assert largest < 1_100_000  # half of what was written, even where the broker hardly gets a turn
        assert committed(client, "busy") == list(range(1_999, 2_009))
    if data_dir is not None:
        with Broker(settings, data_dir=data_dir) as broker, RawClient(broker.bootstrap_servers) as client:
            assert committed(client, "busy") == list(range(1_999, 2_009))
            assert log_size(broker, tp) < 120_000
