"""Input from nobody's client: the broker closes that connection, says why once, and serves everyone else."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.storage import checkpoints
from rota.storage.files import replace_file
from rota.testing import Broker
from rota.wire.apis import APIS
from rota.wire.frames import request_frame
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
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
from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from rota.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(mode="process") as broker:
        yield broker


@pytest.fixture(scope="module")
def address(broker: Broker) -> str:
    return broker.bootstrap_servers


@pytest.fixture(autouse=True)
def _others_are_served(address: str) -> Iterator[None]:
    """Whatever one client does, the next one is answered."""
    yield
    with RawClient(address) as client:
        answer = client.call(ApiVersionsRequest(), 0, ApiVersionsResponse)
        assert answer.error_code == ErrorCode.NONE


def test_an_unknown_api_closes_the_connection(address: str) -> None:
    with RawClient(address) as client:
        client.socket.sendall(struct.pack(">ihhih", 10, 9999, 0, 1, -1))
        assert client.is_closed_by_broker()


def test_an_unknown_version_closes_the_connection(address: str) -> None:
    with RawClient(address) as client:
        client.socket.sendall(struct.pack(">ihhih", 10, 3, 99, 1, -1))
        assert client.is_closed_by_broker()


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(address: str) -> None:
    with RawClient(address) as client:
        client.socket.sendall(struct.pack(">ihhih", 11, 18, 9, 77, -1) + b"\0")
        frame = client.receive_frame()
    # correlation id, error 35 (UNSUPPORTED_VERSION), one API: 18, versions 0-4
    assert frame == struct.pack(">ihihhh", 77, 35, 1, 18, 0, 4)


@pytest.mark.parametrize("claimed", [2**31 - 1, -1, 0, 7, 104_857_601])
def test_a_frame_of_an_impossible_size_closes_the_connection(address: str, claimed: int) -> None:
    with RawClient(address) as client:
        client.socket.sendall(struct.pack(">i", claimed) + b"\0" * 16)
        assert client.is_closed_by_broker()


def test_half_a_frame_then_silence_holds_nobody_up(address: str) -> None:
    silent = [RawClient(address) for _ in range(20)]
    for client in silent:
        client.socket.sendall(struct.pack(">ihhi", 100 * 1024 * 1024, 3, 12, 1) + b"abc")
    with RawClient(address) as client:
        assert client.call(MetadataRequest(topics=[]), 12, MetadataResponse).brokers
    for client in silent:
        client.socket.close()


def test_a_claimed_size_takes_no_memory(broker: Broker) -> None:
    address = broker.bootstrap_servers
    before = _resident_bytes(broker.pid)
    silent = [RawClient(address) for _ in range(100)]
    for client in silent:
        client.socket.sendall(struct.pack(">ihhi", 100 * 1024 * 1024, 3, 12, 1) + b"abc")
    with RawClient(address) as client:
        client.call(ApiVersionsRequest(), 0, ApiVersionsResponse)
    grown = _resident_bytes(broker.pid) - before
    for client in silent:
        client.socket.close()
    assert grown < 64 * 1024 * 1024


def test_random_bytes_close_the_connection_and_nothing_else(address: str) -> None:
    source = random.Random(7)
    for _ in range(200):
        with RawClient(address) as client:
            body = source.randbytes(source.randint(0, 300))
            client.socket.sendall(struct.pack(">i", len(body)) + body)
            client.socket.shutdown(socket.SHUT_WR)
            while client.socket.recv(65536):
                pass


def test_a_known_api_with_a_random_body_closes_the_connection(address: str) -> None:
    source = random.Random(11)
    for key, version in [
        (3, 12),
        (1, 16),
        (0, 9),
        (11, 9),
        (8, 9),
        (9, 9),
        (19, 7),
        (2, 7),
        (14, 5),
        (18, 3),
    ]:
        for _ in range(20):
            body = source.randbytes(source.randint(0, 200))
            with RawClient(address) as client:
                client.socket.sendall(struct.pack(">ihhih", 10 + len(body), key, version, 1, -1) + body)
                client.socket.shutdown(socket.SHUT_WR)
                while client.socket.recv(65536):
                    pass


def test_a_thousand_connections_opened_and_dropped(address: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    clients = [RawClient(address) for _ in range(1000)]
    for client in clients[::2]:
        client.socket.sendall(b"\0\0")
    for client in clients:
        client.socket.close()


@pytest.mark.parametrize("name", ["../escape", "..", ".", "", "a/b", "a\0b", "ü", "a" * 250, "a b"])
def test_a_topic_name_that_is_a_path_is_refused(address: str, name: str) -> None:
    with RawClient(address) as client:
        request = CreateTopicsRequest(
            topics=[CreatableTopic(name=name, num_partitions=1, replication_factor=1)], timeout_ms=1000
        )
        answer = client.call(request, 5, CreateTopicsResponse)
    assert [topic.error_code for topic in answer.topics] == [ErrorCode.INVALID_TOPIC_EXCEPTION]


def test_partitions_without_measure_are_refused(address: str) -> None:
    # Kafka 4.1 makes at most 10,000 in one request; to make them takes a while in which nobody else is answered.
    with RawClient(address) as client:
        wanted = [
            CreatableTopic(name=f"wide-{number}", num_partitions=5001, replication_factor=1)
            for number in range(2)
        ]
        answer = client.call(CreateTopicsRequest(topics=wanted, timeout_ms=1000), 5, CreateTopicsResponse)
        assert [topic.error_code for topic in answer.topics] == [ErrorCode.POLICY_VIOLATION] * 2
        one = CreatableTopic(name="wide-1", num_partitions=1, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[one], timeout_ms=1000), 5, CreateTopicsResponse)
        more = CreatePartitionsRequest(
            topics=[CreatePartitionsTopic(name="wide-1", count=10_002, assignments=None)]
        )
        made = client.call(more, 1, CreatePartitionsResponse)
        assert [topic.error_code for topic in made.results] == [ErrorCode.POLICY_VIOLATION]
        asked = MetadataRequest(topics=[MetadataRequestTopic(name="wide-1")])
        assert len(client.call(asked, 9, MetadataResponse).topics[0].partitions) == 1


def test_requests_sent_ahead_are_answered_in_order(address: str) -> None:
    with RawClient(address) as client:
        sent = [client.send(MetadataRequest(topics=[]), 12) for _ in range(500)]
        received = [struct.unpack_from(">i", client.receive_frame())[0] for _ in sent]
    assert received == sent


def test_a_frame_sent_byte_by_byte_is_served(address: str) -> None:
    frame = struct.pack(">ihhih", 10, 18, 0, 5, -1)
    with RawClient(address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(frame)):
            client.socket.sendall(frame[position : position + 1])
        assert struct.unpack_from(">ih", client.receive_frame()) == (5, 0)


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_what_a_client_sends_ahead_of_waiting_fetches_stays_in_the_socket(broker: Broker) -> None:
    """Each fetch waits for a moment; meanwhile the client sends more, megabytes of it."""
    ahead = 64 * 1024 * 1024
    with RawClient(broker.bootstrap_servers) as client:
        topic = CreatableTopic(name="sent-ahead", num_partitions=1, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[topic]), 5, CreateTopicsResponse)
        before = _resident_bytes(broker.pid)
        wanted = FetchTopic(
            topic="sent-ahead", partitions=[FetchPartition(partition=0, partition_max_bytes=1)]
        )
        fetch = FetchRequest(max_wait_ms=1, min_bytes=1, session_epoch=-1, topics=[wanted])
        client.send(fetch, 11)
        client.receive_frame()
        api = APIS[1]
        frame = b"".join(bytes(each) for each in request_frame(api, 11, 7, "raw", fetch))
        flood = memoryview(frame * (1024 * 1024 // len(frame)))
        sender = threading.Thread(target=_send_until_closed, args=(client.socket, flood, ahead), daemon=True)
        sender.start()
        for _ in range(1000):
            client.receive_frame()
        grown = _resident_bytes(broker.pid) - before
        client.socket.shutdown(socket.SHUT_RDWR)
        sender.join()
    assert grown < 24 * 1024 * 1024


def test_records_are_deleted_with_one_look_at_the_disk_however_often_a_partition_is_named(
    tmp_path: Path,
) -> None:
    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        topic = CreatableTopic(name="deleted", num_partitions=1, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[topic]), 5, CreateTopicsResponse)
        written: list[str] = []

        def count(path: Path, content: bytes, *, sync: bool = True) -> None:
            written.append(path.name)
            replace_file(path, content, sync=sync)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoints, "replace_file", count)
            partition = DeleteRecordsPartition(partition_index=0, offset=0)
            wanted = DeleteRecordsTopic(name="deleted", partitions=[partition] * 500)
            request = DeleteRecordsRequest(topics=[wanted], timeout_ms=1000)
            answer = client.call(request, 1, DeleteRecordsResponse).topics[0].partitions
        assert [(each.error_code, each.low_watermark) for each in answer] == [(ErrorCode.NONE, 0)] * 500
        assert len(written) == len(set(written)) > 0, "a file was written more than once"


def test_an_offset_that_is_committed_for_longer_than_there_is_time(address: str) -> None:
    with RawClient(address) as client:
        topic = CreatableTopic(name="for-ever", num_partitions=1, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[topic]), 5, CreateTopicsResponse)
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=7)
        request = OffsetCommitRequest(
            group_id="for-ever",
            retention_time_ms=2**63 - 2,
            topics=[OffsetCommitRequestTopic(name="for-ever", partitions=[partition])],
        )
        answer = client.call(request, 2, OffsetCommitResponse)
        assert answer.topics[0].partitions[0].error_code == ErrorCode.NONE
        asked = OffsetFetchRequest(group_id="for-ever", topics=None)
        fetched = client.call(asked, 7, OffsetFetchResponse)
    assert fetched.topics[0].partitions[0].committed_offset == 7


def test_a_commit_that_names_a_missing_topic_twice_is_answered_for_all_its_partitions(address: str) -> None:
    with RawClient(address) as client:
        topics = [
            OffsetCommitRequestTopic(
                name="nowhere",
                partitions=[OffsetCommitRequestPartition(partition_index=index, committed_offset=7)],
            )
            for index in (0, 1)
        ]
        request = OffsetCommitRequest(group_id="twice", topics=topics)
        (topic,) = client.call(request, 2, OffsetCommitResponse).topics
    assert [(each.partition_index, each.error_code) for each in topic.partitions] == [
        (index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) for index in (0, 1)
    ]


def test_a_marker_that_is_named_a_thousand_times_is_written_once(address: str) -> None:
    with RawClient(address) as client:
        topic = CreatableTopic(name="markers", num_partitions=1, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[topic]), 5, CreateTopicsResponse)
        marker = WritableTxnMarker(
            producer_id=7,
            topics=[WritableTxnMarkerTopic(name="markers", partition_indexes=[0] * 100)] * 10,
        )
        request = WriteTxnMarkersRequest(markers=[marker, marker])
        answer = client.call(request, 1, WriteTxnMarkersResponse)
        codes = [each.error_code for each in answer.markers[1].topics[9].partitions]
        assert codes == [ErrorCode.NONE] * 100
        wanted = ListOffsetsTopic(name="markers", partitions=[ListOffsetsPartition(timestamp=-1)])
        end = client.call(ListOffsetsRequest(topics=[wanted]), 5, ListOffsetsResponse)
    assert end.topics[0].partitions[0].offset == 1


def _send_until_closed(sock: socket.socket, flood: memoryview, count: int) -> None:
    with contextlib.suppress(OSError):
        for _ in range(count // len(flood)):
            sock.sendall(flood)


def test_bytes_behind_a_request_are_ignored(address: str) -> None:
    # librdkafka sends three of them behind a Metadata request for all topics; Apache Kafka answers it.
    with RawClient(address) as client:
        client.socket.sendall(struct.pack(">ihhih", 13, 18, 0, 5, -1) + b"\0\0\0")
        assert struct.unpack_from(">ih", client.receive_frame()) == (5, 0)
