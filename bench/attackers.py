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

from bench.load import Client, batch_of, create_topic, fill, frame_of, produce_frame, read_frame
from bench.raw_fetch import fetch_frame

from rota.wire.messages.api_versions import ApiVersionsRequest
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

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
}


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    ATTACKS[sys.argv[1]](sys.argv[2])
