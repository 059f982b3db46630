"""From sending a record until a fetch that was waiting for it returns; ms, over many records one after the other.

Each broker is measured as if it were alone: the other one is stopped (SIGSTOP) meanwhile. What a broker does in idle
moments wakes its threads hundreds of times a second, and where there are few processors some trips wait for that: these
are the slowest per cent of trips, and they would be the other broker's. One that goes on has time to settle.
"""

from __future__ import annotations

import os
import signal
import statistics
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, batch_of, create_topic, delete_topic, log_end, produce_frame, read_frame
from bench.raw_fetch import fetch_frame
from bench.servers import Server

P50 = Figure("produce to waiting fetch, p50", "ms", 0.5)
P99 = Figure("produce to waiting fetch, p99", "ms", 0.5)

_TOPIC = "round-trip"
_OFFSET = struct.Struct(">q")
_SIZE = struct.Struct(">i")
_MARK = 0x0123456789ABCDEF
_PAUSE_S = 0.0003  # so that the fetch waits when the record comes
_SETTLE_S = 1.0
_SETTLE_TRIPS = 500  # made then, and not counted


def run(run: Run) -> None:
    pair = run.pair
    count = run.count(3000, 1000)
    run.say(f"  warming up, {2 * count} records each")
    for kind in KINDS:
        with Client(pair[kind].bootstrap_servers) as client:
            create_topic(client, _TOPIC)
        _trips(pair[kind], 2 * count)
    for kind in run.turns():
        other = pair["kafka" if kind == "rota" else "rota"]
        with _stopped(other):
            taken = _trips(pair[kind], _SETTLE_TRIPS + count)[_SETTLE_TRIPS:]
        run.add(P50, kind, statistics.median(taken) * 1000)
        run.add(P99, kind, statistics.quantiles(taken, n=100)[98] * 1000)
    for kind in KINDS:
        with Client(pair[kind].bootstrap_servers) as client:
            delete_topic(client, _TOPIC)


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    """A process that gets no time at all, then some for what it has missed."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
        time.sleep(_SETTLE_S)


def _trips(server: Server, count: int) -> list[float]:
    produce = produce_frame(_TOPIC, batch_of(125))
    fetch = bytearray(fetch_frame(_TOPIC, 0, 1024 * 1024, 10_000))
    place = fetch_frame(_TOPIC, _MARK, 1024 * 1024, 10_000).index(_OFFSET.pack(_MARK))
    taken = []
    with Client(server.bootstrap_servers) as producer, Client(server.bootstrap_servers) as consumer:
        offset = log_end(producer, _TOPIC)
        assert offset is not None
        sending, waiting = producer.socket, consumer.socket
        for number in range(count):
            _OFFSET.pack_into(fetch, place, offset + number)
            waiting.sendall(fetch)
            time.sleep(_PAUSE_S)
            start = time.perf_counter()
            sending.sendall(produce)
            answer = waiting.recv(65536)
            while len(answer) < 4 or len(answer) < 4 + _SIZE.unpack_from(answer)[0]:
                answer += waiting.recv(65536)
            taken.append(time.perf_counter() - start)
            assert len(answer) > 125, "a fetch did not wait for the record"
            read_frame(sending)
    return taken


BENCHMARK = Benchmark("round-trip", "produce until a waiting fetch returns, p50 and p99", run)
