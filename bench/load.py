"""Load generators that are no bottleneck: requests are bytes made beforehand, answers are counted by their length.

A loop's turn is one system call in, one out, and a handful of Python instructions, whatever the requests hold.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.broker.raw import RawClient

from rota.wire.apis import APIS
from rota.wire.frames import request_frame
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from rota.wire.records import build_batch
from rota.wire.schema import Message

__all__ = [
    "Client",
    "Pumped",
    "batch_of",
    "create_topic",
    "delete_topic",
    "exchange",
    "fill",
    "frame_of",
    "log_end",
    "produce_frame",
    "pump",
    "read_frame",
]

_KEYS = {api.name: key for key, api in APIS.items()}
_SIZE = struct.Struct(">i")
_PRODUCE_VERSION = 9
_TIMEVAL = struct.Struct("@ll")
_TIMEOUT_S = 120.0


class Client(RawClient):
    """A connection that sends at once, as clients of Kafka do, and waits in the kernel: no call more than it takes."""

    def __init__(self, address: str) -> None:
        super().__init__(address, timeout_s=_TIMEOUT_S, client_id="bench")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(int(_TIMEOUT_S), 0))


class Pumped(NamedTuple):
    """How many answers came, and in how many seconds."""

    answers: int
    elapsed_s: float

    @property
    def per_s(self) -> float:
        return self.answers / self.elapsed_s


def frame_of(request: Message, version: int, client_id: str = "bench") -> bytes:
    """A request as it goes over the wire; its correlation id is 1."""
    api = APIS[_KEYS[type(request).__name__.removesuffix("Request")]]
    return b"".join(bytes(chunk) for chunk in request_frame(api, version, 1, client_id, request))


def batch_of(size: int) -> bytes:
    """A batch of one record that is ``size`` bytes long."""
    now_ms = int(time.time() * 1000)
    around = len(build_batch([(None, b"", now_ms, [])]))
    for value in range(size - around, 0, -1):
        for key in (None, b"k"):  # a longer value may need a longer length, which skips a size
            batch = build_batch([(key, b"v" * value, now_ms, [])])
            if len(batch) == size:
                return bytes(batch)
    raise AssertionError(f"no batch of one record has {size} bytes")


def produce_frame(topic: str, batch: bytes, partition: int = 0) -> bytes:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=partition, records=batch)])
    request = ProduceRequest(transactional_id=None, acks=-1, timeout_ms=30_000, topic_data=[data])
    return frame_of(request, _PRODUCE_VERSION)


def read_frame(sock: socket.socket) -> bytes:
    """One answer, its length included."""
    with sock.dup().makefile("rb", buffering=0) as file:
        start = _exactly(file, 4)
        return start + _exactly(file, _SIZE.unpack(start)[0])


def _exactly(file: object, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = file.read(count - len(received))  # type: ignore[attr-defined]
        if not piece:
            raise ConnectionError("the broker closed the connection")
        received += piece
    return received


def pump(
    sock: socket.socket, frame: bytes, in_flight: int, seconds: float = 0.0, total: int | None = None
) -> Pumped:
    """Keep ``in_flight`` copies of a request under way for so many seconds, or, with ``total``, send so many.

    One is sent before, and counts for nothing: every answer must be as long as its answer.
    """
    sock.sendall(frame)
    answer_size = len(read_frame(sock))
    ring = memoryview(frame * in_flight)
    size = len(frame)
    buffer = bytearray(256 * 1024)
    count = pending = 0
    sent = in_flight if total is None else min(in_flight, total)
    start = time.perf_counter()
    until = start + seconds
    sock.sendall(ring[: sent * size])
    while count < sent:
        got = sock.recv_into(buffer)
        if not got:
            raise ConnectionError("the broker closed the connection")
        answered, pending = divmod(pending + got, answer_size)
        count += answered
        more = (answered if time.perf_counter() < until else 0) if total is None else total - sent
        if more := min(more, answered):
            sock.sendall(ring[: more * size])
            sent += more
    return Pumped(count, time.perf_counter() - start)


def exchange(socks: Sequence[socket.socket], frames: Sequence[bytes], seconds: float) -> Pumped:
    """One request under way on each connection, over and over; answers must be as long as the first, and short."""
    with select.epoll() as epoll:
        by_fd = {}
        answer_size = 0
        for sock, frame in zip(socks, frames, strict=True):
            sock.sendall(frame)
            answer_size = len(read_frame(sock))
            by_fd[sock.fileno()] = (sock.recv, sock.send, frame)
            epoll.register(sock.fileno(), select.EPOLLIN)
        start = time.perf_counter()
        until = start + seconds
        for sock, frame in zip(socks, frames, strict=True):
            sock.sendall(frame)
        sent, count = len(socks), 0
        while count < sent:
            going_on = time.perf_counter() < until
            for fd, _ in epoll.poll(_TIMEOUT_S):
                receive, send, frame = by_fd[fd]
                assert len(receive(4096)) == answer_size
                count += 1
                if going_on:
                    send(frame)
                    sent += 1
        return Pumped(count, time.perf_counter() - start)


def create_topic(client: Client, name: str, partitions: int = 1) -> None:
    """Return when the topic's partitions answer."""
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
    made = client.call(CreateTopicsRequest(topics=[topic], timeout_ms=60_000), 5, CreateTopicsResponse)
    assert made.topics[0].error_code == 0, made
    deadline = time.monotonic() + _TIMEOUT_S
    while log_end(client, name, partitions - 1) is None:
        assert time.monotonic() < deadline, f"{name} does not answer"
        time.sleep(0.02)


def delete_topic(client: Client, name: str) -> None:
    client.call(DeleteTopicsRequest(topic_names=[name], timeout_ms=60_000), 5, DeleteTopicsResponse)


def log_end(client: Client, topic: str, partition: int = 0) -> int | None:
    """The offset after the last record; None if the partition does not answer."""
    wanted = ListOffsetsTopic(
        name=topic, partitions=[ListOffsetsPartition(partition_index=partition, timestamp=-1)]
    )
    answer = client.call(ListOffsetsRequest(replica_id=-1, topics=[wanted]), 5, ListOffsetsResponse)
    found = answer.topics[0].partitions[0]
    return None if found.error_code else found.offset


def fill(client: Client, topic: str, total: int, batch_size: int, partition: int = 0) -> int:
    """Bring an empty partition to ``total`` bytes, in batches of one record; how many there are."""
    count = max(2, total // batch_size)
    pump(client.socket, produce_frame(topic, batch_of(batch_size), partition), 4, total=count - 1)
    assert log_end(client, topic, partition) == count, "an answer was no acknowledgement"
    return count
