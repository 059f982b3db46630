"""A long log fetched from its beginning, 4 MiB a request, one request at a time; MB a second.

Only the length of an answer is looked at: all batches have one size, so the next offset follows from it.
"""

from __future__ import annotations

import socket
import struct
import time

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, create_topic, delete_topic, fill, frame_of

from rota.wire.codec import decode
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic

FIGURE = Figure("raw fetch of a long log", "MB/s", 1.3, more_is_better=True)

_TOPIC = "raw-fetch"
_BATCH = 100_000
_PIECE = 4 * 1024 * 1024
_VERSION = 11
_OFFSET = struct.Struct(">q")
_SIZE = struct.Struct(">i")


def run(run: Run) -> None:
    pair = run.pair
    total = run.count(512, 256) * 1_000_000
    run.say(f"  filling a log of {total // 1_000_000} MB on each, reading it for {run.choose(3, 1):g} s")
    for kind in KINDS:
        with Client(pair[kind].bootstrap_servers) as client:
            create_topic(client, _TOPIC)
            assert fill(client, _TOPIC, total, _BATCH) == total // _BATCH
            _drain(client.socket, total // _BATCH, run.choose(3, 1))
    for kind in run.turns():
        with Client(pair[kind].bootstrap_servers) as client:
            run.add(FIGURE, kind, _drain(client.socket, total // _BATCH, run.choose(1.5, 0.7)) / 1e6)
    for kind in KINDS:
        with Client(pair[kind].bootstrap_servers) as client:
            delete_topic(client, _TOPIC)


def fetch_frame(topic: str, offset: int, max_bytes: int, max_wait_ms: int = 500) -> bytes:
    wanted = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=max_bytes)
    request = FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        session_epoch=-1,
        topics=[FetchTopic(topic=topic, partitions=[wanted])],
    )
    return frame_of(request, _VERSION)


def _drain(sock: socket.socket, batches: int, seconds: float) -> float:
    """Bytes a second of whole batches, from the beginning again and again."""
    frame = bytearray(fetch_frame(_TOPIC, 0, _PIECE))
    marked = fetch_frame(_TOPIC, 0x0123456789ABCDEF, _PIECE)
    place = marked.index(_OFFSET.pack(0x0123456789ABCDEF))
    sock.sendall(frame)
    first, begin = _receive(sock)
    around = first - _records_in(begin)
    buffer = memoryview(bytearray(1024 * 1024))
    fetched = offset = 0
    start = time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        _OFFSET.pack_into(frame, place, offset)
        sock.sendall(frame)
        got = sock.recv_into(buffer)
        while got < 4:
            got += sock.recv_into(buffer[got:])
        whole = 4 + _SIZE.unpack_from(buffer)[0]
        while got < whole:
            got += sock.recv_into(buffer)
        complete = (whole - around) // _BATCH
        assert complete > 0
        fetched += complete * _BATCH
        offset = (offset + complete) % batches
    return fetched / (now - start)


def _receive(sock: socket.socket) -> tuple[int, bytes]:
    """The first answer whole: its length with everything, and itself."""
    received = bytearray()
    while len(received) < 4 or len(received) < 4 + _SIZE.unpack_from(received)[0]:
        received += sock.recv(1024 * 1024)
    return len(received), bytes(received)


def _records_in(answer: bytes) -> int:
    partition = decode(FetchResponse, _VERSION, answer[8:]).responses[0].partitions[0]
    assert partition.error_code == 0
    return len(partition.records)


BENCHMARK = Benchmark("raw-fetch", "a long log read in pieces of 4 MiB", run)
