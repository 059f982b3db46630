"""Clients that misbehave, for `bench.hostile`: `python -m bench.attackers NAME HOST:PORT` until it is killed.

Each is one process at the lowest priority: what it does to the broker is measured, not whose processor it runs on.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

from bench.load import Client, batch_of, create_topic, fill, frame_of, log_end, produce_frame, read_frame
from bench.raw_fetch import fetch_frame

from rota.wire.messages.api_versions import ApiVersionsRequest
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

__all__ = ["ATTACKS", "HARMLESS"]

_MEGABYTE = 1_000_000
# A hundred times 100 MB, which a frame may have, is more memory than a Kafka has that believes them all.
_HALF_FRAME = 1024 * 1024


def _ready() -> None:
    print("ready", flush=True)


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    sock = socket.socket()
    sock.settimeout(60)
    sock.connect((host, int(port)))
    return sock


def _flood(address: str, frame: bytes) -> None:
    """The same request for ever, as fast as the broker takes it; answers are read and thrown away."""
    sock = _connect(address)
    pile = frame * max(1, 65_536 // len(frame))
    threading.Thread(target=_throw_away, args=(sock,), daemon=True).start()
    sock.sendall(pile)
    _ready()
    while True:
        sock.sendall(pile)


def _throw_away(sock: socket.socket) -> None:
    buffer = bytearray(262_144)
    while sock.recv_into(buffer):
        pass


def good_client(address: str) -> None:
    """Twenty small requests a second."""
    with Client(address) as client:
        _ready()
        while True:
            client.socket.sendall(frame_of(ApiVersionsRequest(), 0))
            read_frame(client.socket)
            time.sleep(0.05)


def tiny_requests(address: str) -> None:
    _flood(address, frame_of(ApiVersionsRequest(), 0))


def wide_requests(address: str) -> None:
    topics = [MetadataRequestTopic(name=f"none-{number}") for number in range(5000)]
    _flood(address, frame_of(MetadataRequest(topics=topics, allow_auto_topic_creation=False), 9))


def joins(address: str) -> None:
    """New members of new groups, none of whom ever comes back."""
    sock = _connect(address)
    threading.Thread(target=_throw_away, args=(sock,), daemon=True).start()
    _ready()
    number = 0
    while True:
        number += 1
        protocols = [JoinGroupRequestProtocol(name="range", metadata=bytes(500))]
        join = JoinGroupRequest(
            group_id=f"flood-{number}",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=10_000,
            protocol_type="consumer",
            protocols=protocols,
        )
        sock.sendall(frame_of(join, 9))


def connects(address: str) -> None:
    """Connections that are opened and dropped."""
    _connect(address).close()
    _ready()
    linger = struct.pack("ii", 1, 0)
    while True:
        sock = _connect(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # or ports would run out
        sock.close()


def garbage(address: str) -> None:
    """Frames that are none, each on a connection of its own."""
    _ready()
    while True:
        sock = _connect(address)
        try:
            sock.sendall(struct.pack(">ihhi", 200, 3, 12, 1) + os.urandom(196))
            sock.recv(1)
        except OSError:
            pass
        sock.close()


def slow_readers(address: str) -> None:
    """Ten connections that ask for 50 MB again and again and read a byte now and then."""
    with Client(address) as client:
        topic = f"slow-readers-{os.getpid()}"
        create_topic(client, topic)
        fill(client, topic, 50 * _MEGABYTE, 100_000)
    socks = [_connect(address) for _ in range(10)]
    for sock in socks:
        sock.sendall(fetch_frame(topic, 0, 50 * _MEGABYTE) * 20)
    _ready()
    while True:
        for sock in socks:
            sock.recv(1)
        time.sleep(0.1)


def half_frames(address: str) -> None:
    """A hundred connections that announce a megabyte and send it a byte at a time."""
    socks = [_connect(address) for _ in range(100)]
    for sock in socks:
        sock.sendall(struct.pack(">ihhi", _HALF_FRAME, 0, 9, 1))
    _ready()
    while True:
        for sock in socks:
            sock.sendall(b"x")
        time.sleep(0.01)


def large_frames(address: str) -> None:
    """Produce requests of 10 MB, ten times what the broker takes as a batch, as fast as they go."""
    with Client(address) as client:
        topic = f"large-frames-{os.getpid()}"
        create_topic(client, topic)
    _flood(address, produce_frame(topic, batch_of(10 * _MEGABYTE)))


_WIDE = 2000
"""Partitions that all stay empty."""


def _wide_topic(address: str) -> str:
    topic = f"wide-{os.getpid()}"
    with Client(address) as client:
        create_topic(client, topic, partitions=_WIDE)
    return topic


def _wide_fetch(topic: str, max_wait_ms: int) -> FetchRequest:
    wanted = [FetchPartition(partition=number, partition_max_bytes=_MEGABYTE) for number in range(_WIDE)]
    return FetchRequest(
        max_wait_ms=max_wait_ms, min_bytes=1 << 30, topics=[FetchTopic(topic=topic, partitions=wanted)]
    )


def wide_fetches(address: str) -> None:
    """Fetches of 2,000 empty partitions, again and again."""
    _flood(address, frame_of(_wide_fetch(_wide_topic(address), 0), 11))


def wide_waits(address: str) -> None:
    """Ten fetches that wait for more than comes: of 2,000 empty partitions, and of those that others write to."""
    request = _wide_fetch(_wide_topic(address), 600_000)
    empty = request.topics
    client = Client(address)
    known = client.call(MetadataRequest(topics=None), 9, MetadataResponse).topics
    busy = [each.name for each in known if each.name and each.name.startswith("hostile-")]
    _ready()
    while True:
        now = [(name, log_end(client, name)) for name in busy]
        request.topics = empty + [_busy(name, end) for name, end in now if end is not None]
        socks = [_connect(address) for _ in range(10)]
        for sock in socks:
            sock.sendall(frame_of(request, 11))
        time.sleep(0.5)
        for sock in socks:
            sock.close()


def _busy(topic: str, end: int) -> FetchTopic:
    partition = FetchPartition(partition=0, fetch_offset=end, partition_max_bytes=50 * _MEGABYTE)
    return FetchTopic(topic=topic, partitions=[partition])


HARMLESS = "a good client"

ATTACKS: dict[str, Callable[[str], None]] = {
    HARMLESS: good_client,
    "tiny requests": tiny_requests,
    "wide requests": wide_requests,
    "joins": joins,
    "connects": connects,
    "garbage": garbage,
    "slow readers": slow_readers,
    "half frames": half_frames,
    "large frames": large_frames,
    "wide fetches": wide_fetches,
    "wide waits": wide_waits,
}


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    ATTACKS[sys.argv[1]](sys.argv[2])
