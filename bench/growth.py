"""How Rota's costs grow: with members, partitions, groups, and the length of a log. Nothing may be worse than n log n.

Every cost is measured over several sizes; a line through their logarithms gives the exponent. Rota alone: what is
asked is how it grows.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.frame import Benchmark, Run
from bench.load import Client, batch_of, create_topic, log_end, produce_frame, pump
from bench.members import Members
from bench.restart import commit_groups, go_on
from bench.servers import Server, cpu_s

from rota.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

_MEMBERS = ((10, 100, 1000, 2000, 4000), (10, 100, 400, 800))
_PARTITIONS = ((1, 10, 100, 1000, 5000, 10_000, 20_000), (1, 10, 100, 1000))
_GROUPS = ((1, 10, 100, 1000, 10_000), (1, 10, 100, 1000))
_MEGABYTES = ((1, 10, 100, 1000, 5000), (1, 10, 100, 400))
_MEGABYTE = 1_000_000
_AGAIN = 3
_APPENDS = 200
_AT_ONCE = 10_000
"""So many partitions may be made with one request."""


def run(run: Run) -> None:
    for name, measure in (
        ("members", _members),
        ("partitions", _partitions),
        ("groups", _groups),
        ("log", _log),
    ):
        run.say(f"  {name}")
        measure(run)


def _members(run: Run) -> None:
    processor = run.grow("rebalance, broker CPU", "ms", "members")
    elapsed = run.grow("rebalance, elapsed", "ms", "members")
    with run.server("rota") as server:
        for size in _MEMBERS[run.quick]:
            with Members(server.bootstrap_servers, f"members-{size}", size) as members:
                times = max(3, (1500 if run.quick else 6000) // size)
                before = cpu_s(server.pid)
                taken = [members.rebalance() for _ in range(times)]
                processor.add(size, (cpu_s(server.pid) - before) / times * 1000)
                elapsed.add(size, statistics.median(taken) * 1000)


def _partitions(run: Run) -> None:
    create = run.grow("create a topic", "s", "partitions")
    describe = run.grow("describe a topic", "ms", "partitions")
    fetch = run.grow("fetch of all partitions", "ms", "partitions")
    append = run.grow("append beside a fetch that waits for all", "us", "partitions")
    restart = run.grow("start on partitions, clean stop", "s", "partitions")
    kill = run.grow("start on partitions, kill -9", "s", "partitions")
    for size in _PARTITIONS[run.quick]:
        with run.server("rota") as server:
            with Client(server.bootstrap_servers) as client:
                create.add(size, _timed(lambda: _create(client, "wide", size)))  # noqa: B023
                request = MetadataRequest(topics=[MetadataRequestTopic(name="wide")])
                for _ in range(_AGAIN):
                    describe.add(
                        size,
                        _timed(lambda: client.call(request, 9, MetadataResponse)) * 1000,  # noqa: B023
                    )
                for _ in range(_AGAIN):
                    fetch.add(size, _timed(lambda: client.call(_all(size, 0), 11, FetchResponse)) * 1000)  # noqa: B023
                record = produce_frame("wide", batch_of(125), size - 1)
                with Client(server.bootstrap_servers) as waiting:
                    waiting.send(_all(size, 600_000), 11)
                    for _ in range(_APPENDS):
                        append.add(size, pump(client.socket, record, 1, total=1).elapsed_s * 1e6)
            kill.add(size, _restart(server, lambda address: _first_record(address, "wide", size - 1)))  # noqa: B023
            server.stop()
            restart.add(size, _restart(server, lambda address: _first_record(address, "wide", size - 1)))  # noqa: B023


def _create(client: Client, topic: str, partitions: int) -> None:
    create_topic(client, topic, min(partitions, _AT_ONCE))
    if partitions > _AT_ONCE:
        more = CreatePartitionsTopic(name=topic, count=partitions, assignments=None)
        client.call(CreatePartitionsRequest(topics=[more], timeout_ms=60_000), 3, CreatePartitionsResponse)
        assert log_end(client, topic, partitions - 1) is not None


def _all(partitions: int, max_wait_ms: int) -> FetchRequest:
    """Of a topic that is empty, more than ever comes."""
    wanted = [FetchPartition(partition=number, partition_max_bytes=4096) for number in range(partitions)]
    return FetchRequest(
        max_wait_ms=max_wait_ms, min_bytes=1 << 30, topics=[FetchTopic(topic="wide", partitions=wanted)]
    )


def _groups(run: Run) -> None:
    restart = run.grow("start on groups", "s", "groups")
    for size in _GROUPS[run.quick]:
        with run.server("rota") as server:
            with Client(server.bootstrap_servers) as client:
                create_topic(client, "groups")
                pump(client.socket, produce_frame("groups", batch_of(125)), 1, total=2)
                commit_groups(client, server.bootstrap_servers, size, "groups")
            server.stop()
            restart.add(size, _restart(server, lambda address: go_on(address, size - 1, "groups")))  # noqa: B023


def _log(run: Run) -> None:
    clean = run.grow("start on a log, clean stop", "s", "MB of log")
    killed = run.grow("start on a log, kill -9", "s", "MB of log")
    fetch = run.grow("fetch at the end of a log", "us", "MB of log")
    with run.server("rota") as server:
        with Client(server.bootstrap_servers) as client:
            create_topic(client, "long")
        written = 0
        for size in _MEGABYTES[run.quick]:
            with Client(server.bootstrap_servers) as client:
                pump(client.socket, produce_frame("long", batch_of(_MEGABYTE)), 4, total=size - written - 1)
            written = size
            killed.add(size, _restart(server, lambda address: _first_record(address, "long", 0)))
            server.stop()
            clean.add(size, _restart(server, lambda address: _first_record(address, "long", 0)))
            with Client(server.bootstrap_servers) as client:
                # A small record at the end, and the same megabyte of log before it at every size.
                pump(client.socket, produce_frame("long", batch_of(125)), 1, total=0)
                end = log_end(client, "long")
                assert end is not None
                for _ in range(300):
                    fetch.add(size, _timed(lambda: _fetch(client, "long", 0, end - 1)) * 1e6)  # noqa: B023


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _restart(server: Server, ready: Callable[[str], None]) -> float:
    """Kill it if it runs; seconds from the start of the process until ``ready`` returns."""
    server.kill()
    start = time.perf_counter()
    server.start()
    ready(server.bootstrap_servers)
    return time.perf_counter() - start


def _first_record(address: str, topic: str, partition: int) -> None:
    with Client(address) as client:
        _fetch(client, topic, partition, 0)


def _fetch(client: Client, topic: str, partition: int, offset: int) -> None:
    wanted = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=4096)
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        session_epoch=-1,
        topics=[FetchTopic(topic=topic, partitions=[wanted])],
    )
    found = client.call(request, 11, FetchResponse).responses[0].partitions[0]
    assert found.error_code == 0
    assert len(found.records) > 0


BENCHMARK = Benchmark(
    "growth", "how Rota's costs grow with members, partitions, groups, log", run, needs_kafka=False
)
