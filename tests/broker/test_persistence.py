"""What a broker keeps: segments roll and expire, changes outlive a restart, a full disk loses nothing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from rota.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from rota.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
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
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch

TOPIC, BROKER, GROUP = 2, 4, 32
HOUR_MS = 3_600_000


def create_topic(client: RawClient, name: str, partitions: int = 1, **configs: str) -> int:
    given = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
    wanted = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, configs=given)
    answer = client.call(CreateTopicsRequest(topics=[wanted]), 5, CreateTopicsResponse)
    return answer.topics[0].error_code


def produce(client: RawClient, topic: str, size: int = 1000, timestamp: int | None = None) -> tuple[int, int]:
    """One record; error code and offset."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    batch = bytes(build_batch([(b"k", os.urandom(size), now, [])]))
    data = [TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])]
    answer = client.call(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=data), 9, ProduceResponse)
    found = answer.responses[0].partition_responses[0]
    return found.error_code, found.base_offset


def bounds(client: RawClient, topic: str) -> tuple[int, int]:
    """Where partition 0 begins and ends; the error code as a negative number if it is not there."""
    found = []
    for timestamp in (-2, -1):
        partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
        request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=topic, partitions=[partition])])
        answer = client.call(request, 7, ListOffsetsResponse).topics[0].partitions[0]
        found.append(-answer.error_code if answer.error_code else answer.offset)
    return found[0], found[1]


def set_config(client: RawClient, kind: int, name: str, config: str, value: str) -> int:
    steps = [AlterableConfig(name=config, config_operation=0, value=value)]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=steps)
    request = IncrementalAlterConfigsRequest(resources=[resource])
    return client.call(request, 1, IncrementalAlterConfigsResponse).responses[0].error_code


def config(client: RawClient, kind: int, name: str, key: str) -> tuple[str | None, int]:
    """Value and source."""
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=[key])
    answer = client.call(DescribeConfigsRequest(resources=[resource]), 4, DescribeConfigsResponse)
    (found,) = answer.results[0].configs
    return found.value, found.config_source


def delete_records(client: RawClient, topic: str, offset: int) -> int:
    partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=topic, partitions=[partition])])
    return client.call(request, 2, DeleteRecordsResponse).topics[0].partitions[0].error_code


# --- rolling and retention ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["disk", "memory"])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    where = tmp_path_factory.mktemp("data") if request.param == "disk" else None
    with Broker(data_dir=where) as started:
        yield started


def test_old_segments_go_by_time(broker: Broker, client: RawClient) -> None:
    """Whole segments, once their newest record is older than retention.ms; the offsets go on."""
    create_topic(client, "by-time", internal_segment_bytes="3000", retention_ms=str(HOUR_MS))
    for _ in range(7):
        assert produce(client, "by-time")[0] == 0
    broker.advance_clock(HOUR_MS // 2)
    assert bounds(client, "by-time") == (0, 7)
    broker.advance_clock(HOUR_MS)
    assert bounds(client, "by-time") == (7, 7)
    assert produce(client, "by-time") == (0, 7)


def test_old_segments_go_by_size(broker: Broker, client: RawClient) -> None:
    """From the start, as long as retention.bytes remain."""
    create_topic(client, "by-size", internal_segment_bytes="3000", retention_bytes="5000")
    for _ in range(10):
        assert produce(client, "by-size")[0] == 0
    broker.advance_clock(HOUR_MS // 2)
    start, end = bounds(client, "by-size")
    assert (start, end) == (4, 10)
    assert set_config(client, TOPIC, "by-size", "retention.bytes", "0") == 0
    broker.advance_clock(HOUR_MS // 2)
    assert bounds(client, "by-size")[0] >= 8


def test_a_segment_rolls_by_its_age(broker: Broker, client: RawClient) -> None:
    """segment.ms: the last segment is closed though it is not full, and can go when it is old."""
    create_topic(client, "aging", segment_ms="60000", retention_ms="120000")
    assert produce(client, "aging") == (0, 0)
    broker.advance_clock(HOUR_MS)
    assert bounds(client, "aging") == (1, 1)


def test_compacted_topics_keep_everything(broker: Broker, client: RawClient) -> None:
    """There is no compaction yet: cleanup.policy=compact means that retention does not apply."""
    create_topic(client, "kept", cleanup_policy="compact", retention_ms="1", internal_segment_bytes="2000")
    for _ in range(3):
        produce(client, "kept")
    broker.advance_clock(HOUR_MS)
    assert bounds(client, "kept") == (0, 3)
    assert delete_records(client, "kept", 1) == ErrorCode.POLICY_VIOLATION


# --- what a restart keeps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_was_changed_is_there_after_a_restart(tmp_path: Path, how: str) -> None:
    """Deleted records and topics, added partitions, settings of topics, the broker, the cluster and groups."""
    with Broker(mode="process", data_dir=tmp_path / "data") as broker:
        with RawClient(broker.bootstrap_servers) as client:
            for name in ("cut", "gone", "again"):
                assert create_topic(client, name, 1) == 0
                for _ in range(4):
                    produce(client, name)
            assert delete_records(client, "cut", 3) == 0
            answer = client.call(DeleteTopicsRequest(topic_names=["gone", "again"]), 3, DeleteTopicsResponse)
            assert [each.error_code for each in answer.responses] == [0, 0]
            assert create_topic(client, "again", 2) == 0
            assert set_config(client, TOPIC, "cut", "retention.ms", "77777") == 0
            assert set_config(client, BROKER, "1", "log.retention.ms", "88888") == 0
            assert set_config(client, BROKER, "", "log.segment.bytes", "2000000") == 0
            assert set_config(client, GROUP, "g", "consumer.session.timeout.ms", "50000") == 0
        if how == "kill":
            broker.kill()
            broker.start()
        else:
            broker.restart()
        with RawClient(broker.bootstrap_servers) as client:
            assert bounds(client, "cut") == (3, 4)
            assert bounds(client, "gone") == (-3, -3)
            assert bounds(client, "again") == (0, 0)
            assert config(client, TOPIC, "cut", "retention.ms") == ("77777", 1)
            assert config(client, TOPIC, "again", "retention.ms") == ("88888", 2)
            assert config(client, TOPIC, "again", "segment.bytes") == ("2000000", 3)
            assert config(client, BROKER, "1", "log.retention.ms") == ("88888", 2)
            assert config(client, GROUP, "g", "consumer.session.timeout.ms") == ("50000", 8)
        assert not [each for each in (tmp_path / "data").iterdir() if each.name.startswith("gone")]


# --- a full disk ----------------------------------------------------------------------------------------------


def _without_mount(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def small_disk(where: Path, size: str) -> Iterator[Path]:
    """A file system of its own in memory, of that size; skips where that is not allowed."""
    where.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        _without_mount("only root can mount a file system")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)], capture_output=True, check=False
    )
    if made.returncode:
        _without_mount(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def commit(client: RawClient, topic: str, offset: int) -> int:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    wanted = OffsetCommitRequestTopic(name=topic, partitions=[partition])
    request = OffsetCommitRequest(group_id="g", topics=[wanted])
    return client.call(request, 8, OffsetCommitResponse).topics[0].partitions[0].error_code


def committed(client: RawClient, topic: str) -> int:
    wanted = OffsetFetchRequestTopic(name=topic, partition_indexes=[0])
    request = OffsetFetchRequest(group_id="g", topics=[wanted])
    return client.call(request, 7, OffsetFetchResponse).topics[0].partitions[0].committed_offset


def fill(where: Path) -> Path:
    """Take all the room there is."""
    path = where / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return path


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """Everything that needs room is answered with an error; with room again, all goes on, on the same process."""
    with small_disk(tmp_path / "disk", "4m") as disk:
        configs = {"offsets.topic.num.partitions": "1"}
        with Broker(configs, mode="process", data_dir=disk / "data") as broker:
            with RawClient(broker.bootstrap_servers) as client:
                assert create_topic(client, "orders", internal_segment_bytes="100000") == 0
                assert commit(client, "orders", 1) == 0
                acked = [produce(client, "orders", 20_000) for _ in range(20)]
                assert acked == [(0, each) for each in range(20)]
                filler = fill(disk)
                refused = [produce(client, "orders", 20_000)[0] for _ in range(10)]
                assert set(refused) == {ErrorCode.KAFKA_STORAGE_ERROR}
                while commit(client, "orders", 2) == 0:
                    pass
                _check_refusals(client)
                # Everything is still read, and the end has not moved.
                assert bounds(client, "orders") == (0, 20)
                filler.unlink()
                assert produce(client, "orders", 20_000) == (0, 20)
                assert commit(client, "orders", 3) == 0
                assert create_topic(client, "later") == 0
                assert create_topic(client, "now", 3) == 0
                assert produce(client, "now") == (0, 0)
            broker.kill()
            broker.start()
            with RawClient(broker.bootstrap_servers) as client:
                assert bounds(client, "orders") == (0, 21)
                assert bounds(client, "now") == (0, 1)
                assert committed(client, "orders") == 3
                assert produce(client, "orders") == (0, 21)


def _check_refusals(client: RawClient) -> None:
    """Administration needs room as well; the connection stays open, and the topics stay as they are."""
    assert create_topic(client, "later") == ErrorCode.KAFKA_STORAGE_ERROR
    assert create_topic(client, "now", 3) == ErrorCode.KAFKA_STORAGE_ERROR
    assert set_config(client, TOPIC, "orders", "retention.ms", "1000") == ErrorCode.KAFKA_STORAGE_ERROR
    assert config(client, TOPIC, "orders", "retention.ms")[1] == 5
    assert set_config(client, BROKER, "", "log.retention.ms", "1000") == ErrorCode.KAFKA_STORAGE_ERROR
    assert config(client, BROKER, "1", "log.retention.ms")[1] == 5
    added = CreatePartitionsTopic(name="orders", count=3, assignments=None)
    grown = client.call(CreatePartitionsRequest(topics=[added]), 3, CreatePartitionsResponse)
    assert grown.results[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
    asked = MetadataRequest(topics=[MetadataRequestTopic(name="orders"), MetadataRequestTopic(name="auto")])
    found = client.call(asked, 9, MetadataResponse).topics
    assert [(each.error_code, len(each.partitions)) for each in found] == [
        (0, 1),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0),
    ]
    producer = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
    given = client.call(producer, 4, InitProducerIdResponse)
    assert given.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    group = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
    assert client.call(group, 4, FindCoordinatorResponse).coordinators[0].error_code == 0


def test_sigterm_on_a_full_disk_ends_the_broker(tmp_path: Path) -> None:
    """It cannot leave the mark of a clean shutdown, but it ends, and the next start finds everything."""
    with (
        small_disk(tmp_path / "disk", "2m") as disk,
        Broker(mode="process", data_dir=disk / "data") as broker,
    ):
        with RawClient(broker.bootstrap_servers) as client:
            assert create_topic(client, "orders") == 0
            assert produce(client, "orders", 20_000) == (0, 0)
        filler = fill(disk)
        os.kill(broker.pid, signal.SIGTERM)
        broker.stop()
        filler.unlink()
        broker.start()
        with RawClient(broker.bootstrap_servers) as client:
            assert bounds(client, "orders") == (0, 1)


def delete_topic(client: RawClient, name: str) -> int:
    answer = client.call(DeleteTopicsRequest(topic_names=[name]), 5, DeleteTopicsResponse)
    return answer.responses[0].error_code


def test_a_topic_can_be_deleted_on_a_full_disk(tmp_path: Path) -> None:
    """That is how room is made. It stays deleted after kill -9, also of a name that was used again, and others stay."""
    with (
        small_disk(tmp_path / "disk", "2m") as disk,
        Broker(mode="process", data_dir=disk / "data") as broker,
    ):
        with RawClient(broker.bootstrap_servers) as client:
            for name in ("empty", "kept", "large"):
                assert create_topic(client, name) == 0
            assert commit(client, "kept", 1) == 0
            assert produce(client, "kept", 1_000) == (0, 0)
            while produce(client, "large", 50_000)[0] == 0:
                pass
            fill(disk)
            assert produce(client, "kept", 10_000)[0] == ErrorCode.KAFKA_STORAGE_ERROR
            assert delete_topic(client, "empty") == 0  # without a record: no room is made by that
            assert produce(client, "kept", 10_000)[0] == ErrorCode.KAFKA_STORAGE_ERROR
        broker.kill()
        broker.start()
        with RawClient(broker.bootstrap_servers) as client:
            assert bounds(client, "empty") == (-3, -3)
            assert delete_topic(client, "large") == 0
            assert produce(client, "kept", 10_000) == (0, 1)
            assert commit(client, "kept", 2) == 0
            assert create_topic(client, "empty") == 0
            assert produce(client, "empty") == (0, 0)
        broker.kill()
        broker.start()
        with RawClient(broker.bootstrap_servers) as client:
            assert bounds(client, "large") == (-3, -3)
            assert bounds(client, "empty") == (0, 1)
            assert bounds(client, "kept") == (0, 2)
            assert committed(client, "kept") == 2
        assert not list((disk / "data").glob("rota-deleted-topic-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="a limit is set to another process")
def test_files_that_may_not_grow_are_a_full_disk(tmp_path: Path) -> None:
    """What everybody can have tested: no file of the broker's may be larger than nothing."""
    with Broker(mode="process", data_dir=tmp_path / "data") as broker:
        with RawClient(broker.bootstrap_servers) as client:
            for name in ("orders", "gone"):
                assert create_topic(client, name) == 0
                assert produce(client, name) == (0, 0)
            assert commit(client, "orders", 1) == 0
            _, most = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (0, most))
            for _ in range(20):
                assert produce(client, "orders")[0] == ErrorCode.KAFKA_STORAGE_ERROR
                assert commit(client, "orders", 2) == ErrorCode.NOT_COORDINATOR
            assert delete_topic(client, "gone") == 0
            assert bounds(client, "orders") == (0, 1)
            assert committed(client, "orders") == 1
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (most, most))
            assert produce(client, "orders") == (0, 1)
            assert commit(client, "orders", 3) == 0
        broker.kill()
        broker.start()
        with RawClient(broker.bootstrap_servers) as client:
            assert bounds(client, "orders") == (0, 2)
            assert bounds(client, "gone") == (-3, -3)
            assert committed(client, "orders") == 3


def test_a_full_disk_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However often clients try again."""
    with (
        small_disk(tmp_path / "disk", "1m") as disk,
        Broker(data_dir=disk / "data") as broker,
        RawClient(broker.bootstrap_servers) as client,
    ):
        assert create_topic(client, "full") == 0
        filler = fill(disk)
        for _ in range(30):
            assert produce(client, "full", 10_000)[0] == ErrorCode.KAFKA_STORAGE_ERROR
        filler.unlink()
        assert caplog.text.count("cannot append to full-0: No space left on device") == 1
