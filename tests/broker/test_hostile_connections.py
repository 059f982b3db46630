"""Clients that connect too often, read too slowly, never end a request, or ask for too much: the others are served.

Nothing here asserts how fast something is: only who is answered, in which order, and what the broker holds meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.broker.raw import RawClient
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.apis import APIS
from rota.wire.frames import request_frame
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch
from rota.wire.schema import Message

_MEGABYTE = 1024 * 1024


@contextlib.contextmanager
def _broker(configs: Mapping[str, str | int] | None = None) -> Iterator[Broker]:
    with Broker(configs, mode="process") as started:
        yield started


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with _broker() as started:
        yield started


@pytest.fixture
def good(broker: Broker) -> Iterator[RawClient]:
    """A client that was there before, and is answered afterwards."""
    with RawClient(broker.bootstrap_servers) as client:
        _ask(client)
        yield client
        _ask(client)
        with RawClient(broker.bootstrap_servers) as another:
            _ask(another)


def _ask(client: RawClient) -> None:
    assert client.call(ApiVersionsRequest(), 0, ApiVersionsResponse).error_code == ErrorCode.NONE


def _topic(client: RawClient, name: str) -> None:
    wanted = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    made = client.call(CreateTopicsRequest(topics=[wanted]), 5, CreateTopicsResponse)
    assert made.topics[0].error_code == ErrorCode.NONE


def _fetch(topic: str, max_bytes: int, *, epoch: int = -1, session_id: int = 0) -> FetchRequest:
    partitions = [FetchPartition(partition=0, partition_max_bytes=max_bytes)]
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=max_bytes,
        session_id=session_id,
        session_epoch=epoch,
        topics=[FetchTopic(topic=topic, partitions=partitions)],
    )


def _produce(topic: str, value: bytes) -> ProduceRequest:
    batch = bytes(build_batch([(None, value, int(time.time() * 1000), ())]))
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    return ProduceRequest(transactional_id=None, acks=-1, timeout_ms=30_000, topic_data=[data])


def _frame(request: Message, key: int, version: int) -> bytes:
    return b"".join(bytes(each) for each in request_frame(APIS[key], version, 1, "raw", request))


def _resident(broker: Broker) -> int:
    return int(Path(f"/proc/{broker.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _has_answer(client: RawClient) -> bool:
    client.socket.setblocking(False)
    try:
        return bool(client.socket.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.socket.settimeout(PATIENCE_S)


# --- connections ----------------------------------------------------------------------------------------------


def test_whoever_comes_when_max_connections_are_open_waits_for_one_to_end() -> None:
    with _broker({"max.connections": 2}) as broker:
        first, second = RawClient(broker.bootstrap_servers), RawClient(broker.bootstrap_servers)
        _ask(first)
        _ask(second)
        with RawClient(
            broker.bootstrap_servers
        ) as third:  # the kernel takes the connection, the broker does not
            third.send(ApiVersionsRequest(), 0)
            for _ in range(20):
                _ask(first)
                _ask(second)
            assert not _has_answer(third)
            first.socket.close()
            assert third.receive(ApiVersionsResponse, 0).error_code == ErrorCode.NONE
        second.socket.close()


def test_whoever_waits_for_room_is_let_in_when_max_connections_is_raised() -> None:
    with _broker({"max.connections": 1}) as broker:
        first = RawClient(broker.bootstrap_servers)
        _ask(first)
        with RawClient(broker.bootstrap_servers) as second:
            second.send(ApiVersionsRequest(), 0)
            for _ in range(20):
                _ask(first)
            raised = AlterConfigsResource(
                resource_type=4,
                resource_name="",
                configs=[AlterableConfig(name="max.connections", config_operation=0, value="10")],
            )
            request = IncrementalAlterConfigsRequest(resources=[raised])
            answer = first.call(request, 1, IncrementalAlterConfigsResponse)
            assert answer.responses[0].error_code == ErrorCode.NONE
            assert second.receive(ApiVersionsResponse, 0).error_code == ErrorCode.NONE
        first.socket.close()


def test_too_many_connections_of_one_address_are_closed_at_once() -> None:
    with _broker({"max.connections.per.ip": 2, "max.connections.per.ip.overrides": "127.0.0.3:1"}) as broker:
        host, _, port = broker.bootstrap_servers.rpartition(":")
        first, second = RawClient(broker.bootstrap_servers), RawClient(broker.bootstrap_servers)
        _ask(first)
        _ask(second)
        with RawClient(broker.bootstrap_servers) as third:
            assert third.is_closed_by_broker()
        with socket.create_connection((host, int(port)), PATIENCE_S, ("127.0.0.2", 0)) as elsewhere:
            elsewhere.sendall(_frame(ApiVersionsRequest(), 18, 0))
            assert elsewhere.recv(4)
        one = socket.create_connection((host, int(port)), PATIENCE_S, ("127.0.0.3", 0))
        one.sendall(_frame(ApiVersionsRequest(), 18, 0))
        assert one.recv(4)
        with socket.create_connection((host, int(port)), PATIENCE_S, ("127.0.0.3", 0)) as other:
            assert other.recv(1) == b""
        first.socket.close()
        wait_until("there is room again", lambda: _is_served(broker.bootstrap_servers))
        one.close()
        second.socket.close()


def _is_served(address: str) -> bool:
    try:
        with RawClient(address) as client:
            _ask(client)
    except ConnectionError:
        return False
    return True


def test_a_broker_that_may_open_no_more_files_waits_and_goes_on() -> None:
    with _broker() as broker:
        with RawClient(broker.bootstrap_servers) as good:
            _ask(good)
            pid = broker.pid
            open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now + 20, before[1]))
            crowd = [RawClient(broker.bootstrap_servers) for _ in range(60)]
            wait_until(
                "no file is left", lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) >= open_now + 20
            )
            used, began = _cpu_s(pid), time.monotonic()
            while time.monotonic() < began + 2:
                _ask(good)
                time.sleep(0.05)
            assert _cpu_s(pid) - used < 1.0, "it spins"
            for each in crowd[:50]:
                each.socket.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            _ask(crowd[-1])
            for each in crowd:
                each.socket.close()
        with RawClient(broker.bootstrap_servers) as another:
            _ask(another)


def test_thousands_of_connections_that_come_and_go(broker: Broker, good: RawClient) -> None:
    linger = struct.pack("ii", 1, 0)
    host, _, port = broker.bootstrap_servers.rpartition(":")
    before = _resident(broker)
    for number in range(4000):
        with socket.socket() as sock:
            sock.settimeout(PATIENCE_S)
            sock.connect((host, int(port)))
            if number % 3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if number % 100 == 0:
                _ask(good)
    assert _resident(broker) - before < 16 * _MEGABYTE


def test_a_connection_that_says_nothing_any_more_is_closed() -> None:
    with _broker({"connections.max.idle.ms": 500}) as broker:
        silent, half, waiting = (RawClient(broker.bootstrap_servers) for _ in range(3))
        half.socket.sendall(struct.pack(">ihhi", 1000, 3, 12, 1))
        _ask(waiting)
        with RawClient(broker.bootstrap_servers) as busy:
            closed = [
                threading.Thread(target=each.is_closed_by_broker, daemon=True)
                for each in (silent, half, waiting)
            ]
            for each in closed:
                each.start()
            while any(each.is_alive() for each in closed):
                _ask(busy)  # who says something is not
                time.sleep(0.02)
            _ask(busy)


# --- requests -------------------------------------------------------------------------------------------------


def test_one_that_reads_slowly_holds_nobody_up_and_takes_no_memory(broker: Broker, good: RawClient) -> None:
    _topic(good, "slow-reader")
    for _ in range(30):
        good.call(_produce("slow-reader", bytes(900_000)), 9, ProduceResponse)
    before = _resident(broker)
    slow = [RawClient(broker.bootstrap_servers) for _ in range(20)]
    for each in slow:
        each.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.socket.sendall(_frame(_fetch("slow-reader", 50 * _MEGABYTE), 1, 11) * 100)
    for _ in range(50):
        for each in slow:
            assert len(each.socket.recv(1)) == 1
        _ask(good)
    # The records lie in this broker's memory anyway; nobody's answer is a copy of them.
    assert _resident(broker) - before < 32 * _MEGABYTE
    for each in slow:
        each.socket.close()


def test_a_hundred_megabytes_in_one_request_are_refused_and_forgotten(
    broker: Broker, good: RawClient
) -> None:
    _topic(good, "one-large-batch")
    before = _resident(broker)
    with RawClient(broker.bootstrap_servers) as large:
        frame = _frame(_produce("one-large-batch", bytes(95 * _MEGABYTE)), 0, 9)
        for start in range(0, len(frame), 4 * _MEGABYTE):
            large.socket.sendall(frame[start : start + 4 * _MEGABYTE])
            _ask(good)
        answer = large.receive(ProduceResponse, 9).responses[0].partition_responses[0]
        assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE
        wait_until("its memory is given back", lambda: _resident(broker) - before < 32 * _MEGABYTE)


def test_large_requests_wait_until_there_is_room_for_them() -> None:
    with (
        _broker({"queued.max.request.bytes": 20_000_000}) as broker,
        RawClient(broker.bootstrap_servers) as good,
    ):
        _topic(good, "no-room")
        frame = _frame(_produce("no-room", bytes(15_000_000)), 0, 9)
        first, second = RawClient(broker.bootstrap_servers), RawClient(broker.bootstrap_servers)
        first.socket.sendall(frame[:12_000_000])
        sender = threading.Thread(target=second.socket.sendall, args=(frame,), daemon=True)
        sender.start()
        for _ in range(50):
            _ask(good)
        small = good.call(_produce("no-room", b"small"), 9, ProduceResponse)
        assert small.responses[0].partition_responses[0].error_code == ErrorCode.NONE
        assert not _has_answer(second)
        first.socket.sendall(frame[12_000_000:])
        for each in (first, second):
            answer = each.receive(ProduceResponse, 9).responses[0].partition_responses[0]
            assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE
        sender.join()
        third = RawClient(broker.bootstrap_servers)
        third.socket.sendall(frame[:12_000_000])
        third.socket.close()  # what it was promised comes back
        second.send(_produce("no-room", bytes(15_000_000)), 9)
        assert second.receive(ProduceResponse, 9).responses
        first.socket.close()
        second.socket.close()


def test_large_requests_that_are_only_begun_take_no_room_from_others(good: RawClient, broker: Broker) -> None:
    """Ten of 100 MB are announced, and a little of them sent: what they would take together is not there."""
    _topic(good, "begun")
    begun = [RawClient(broker.bootstrap_servers) for _ in range(10)]
    for each in begun:
        each.socket.sendall(struct.pack(">ihhi", 100 * _MEGABYTE, 0, 9, 1) + bytes(2 * _MEGABYTE))
    large = good.call(_produce("begun", bytes(20 * _MEGABYTE)), 9, ProduceResponse)
    assert large.responses[0].partition_responses[0].error_code == ErrorCode.MESSAGE_TOO_LARGE
    for each in begun:
        each.socket.close()


def test_a_large_request_of_small_elements_is_refused(broker: Broker, good: RawClient) -> None:
    names = [MetadataRequestTopic(name="x") for _ in range(300_000)]
    before = _resident(broker)
    with RawClient(broker.bootstrap_servers) as wide:
        wide.send(MetadataRequest(topics=names), 9)
        assert wide.is_closed_by_broker()
    assert _resident(broker) - before < 64 * _MEGABYTE


def test_a_client_that_floods_with_requests_holds_nobody_up(broker: Broker, good: RawClient) -> None:
    """Whatever it does, the others' requests are answered between its own."""
    with RawClient(broker.bootstrap_servers) as flood:
        pile = _frame(ApiVersionsRequest(), 18, 0) * 5000
        stop = threading.Event()
        threads = [
            threading.Thread(target=_send_for_ever, args=(flood.socket, pile, stop), daemon=True),
            threading.Thread(target=_read_for_ever, args=(flood.socket,), daemon=True),
        ]
        for each in threads:
            each.start()
        for _ in range(300):
            _ask(good)
        stop.set()
        flood.socket.shutdown(socket.SHUT_RDWR)
        for each in threads:
            each.join()


def _send_for_ever(sock: socket.socket, pile: bytes, stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not stop.is_set():
            sock.sendall(pile)


def _read_for_ever(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65_536):
            pass


def test_requests_that_come_in_crumbs_are_answered(broker: Broker, good: RawClient) -> None:
    crowd = [RawClient(broker.bootstrap_servers) for _ in range(20)]
    frame = _frame(ApiVersionsRequest(), 18, 0)
    for position in range(len(frame)):
        for each in crowd:
            each.socket.sendall(frame[position : position + 1])
        _ask(good)
    for each in crowd:
        assert struct.unpack_from(">ih", each.receive_frame()) == (1, 0)
        each.socket.close()


# --- groups, topics, sessions -------------------------------------------------------------------------------


def _join(group: str) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=6_000,
        rebalance_timeout_ms=6_000,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=bytes(500))],
    )


def test_a_flood_of_new_members_and_groups_takes_little_memory(broker: Broker, good: RawClient) -> None:
    _ask(good)
    with RawClient(broker.bootstrap_servers) as flood:
        flood.call(_join("first"), 5, JoinGroupResponse)
        before = _resident(broker)
        for start in range(0, 10_000, 500):
            for number in range(start, start + 500):
                flood.send(_join(f"group-{number}" if number % 2 else "one-group"), 5)
            for _ in range(500):
                assert flood.receive(JoinGroupResponse, 5).error_code == ErrorCode.MEMBER_ID_REQUIRED
            _ask(good)
    assert _resident(broker) - before < 48 * _MEGABYTE


def test_a_group_has_no_more_members_than_it_may() -> None:
    with _broker({"group.max.size": 10, "group.initial.rebalance.delay.ms": 60_000}) as broker:
        crowd = [RawClient(broker.bootstrap_servers) for _ in range(30)]
        for each in crowd:
            each.send(_join("small"), 3)  # before version 4 a member joins at once
        with RawClient(broker.bootstrap_servers) as good:
            _ask(good)
        codes = [each.receive(JoinGroupResponse, 3).error_code for each in crowd[10:]]
        assert codes == [ErrorCode.GROUP_MAX_SIZE_REACHED] * 20
        assert not any(_has_answer(each) for each in crowd[:10])
        for each in crowd:
            each.socket.close()


def test_a_flood_of_new_topics(broker: Broker, good: RawClient) -> None:
    with RawClient(broker.bootstrap_servers) as flood:
        before = _resident(broker)
        for start in range(0, 1000, 50):
            wanted = [
                CreatableTopic(name=f"flood-{number}", num_partitions=1, replication_factor=1)
                for number in range(start, start + 50)
            ]
            made = flood.call(CreateTopicsRequest(topics=wanted), 5, CreateTopicsResponse)
            assert {topic.error_code for topic in made.topics} == {ErrorCode.NONE}
            _ask(good)
        assert _resident(broker) - before < 64 * _MEGABYTE


def test_fetch_sessions_are_few_and_the_oldest_gives_way() -> None:
    with (
        _broker({"max.incremental.fetch.session.cache.slots": 10}) as broker,
        RawClient(broker.bootstrap_servers) as client,
    ):
        _topic(client, "sessions")
        made = [
            client.call(_fetch("sessions", 100, epoch=0), 11, FetchResponse).session_id for _ in range(50)
        ]
        assert len(set(made)) == 50
        codes = [
            client.call(_fetch("sessions", 100, epoch=1, session_id=each), 11, FetchResponse).error_code
            for each in made
        ]
        assert codes == [ErrorCode.FETCH_SESSION_ID_NOT_FOUND] * 40 + [ErrorCode.NONE] * 10
