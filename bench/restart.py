"""A restart on 2 GB of records and 1,000 groups: from the start of the process until a group goes on.

Before, the broker was stopped politely. A bare client asks for a group's committed offset and fetches the record
there, and tries again after 2 ms whatever the broker cannot do yet.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

from bench.frame import KINDS, Benchmark, Figure, Kind, Run
from bench.load import Client, create_topic, exchange, fill, frame_of
from bench.servers import Server
from tests.broker.talk import Talk
from tests.kafka.server import RealKafka

from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse

FIGURE = Figure("restart on 2 GB and 1,000 groups, until a group goes on", "s", 1 / 3)

_TOPIC = "restart"
_PARTITIONS = 4
_RETRY_S = 0.002
_TIMEOUT_S = 120.0


def run(run: Run) -> None:
    total, groups = run.count(2000, 400) * 1_000_000, run.count(1000, 200)
    with ExitStack() as stack:
        servers = {}
        for kind in KINDS:
            run.say(f"  {kind}: writing {total // 1_000_000} MB and the offsets of {groups} groups")
            servers[kind] = stack.enter_context(run.server(kind))
            _prepare(servers[kind], total, groups)
            servers[kind].stop()
        for kind in run.turns():
            run.add(FIGURE, kind, _restart(kind, servers[kind], groups))
            servers[kind].stop()


def _prepare(server: Server, total: int, groups: int) -> None:
    with Client(server.bootstrap_servers) as client:
        create_topic(client, _TOPIC, _PARTITIONS)
        for partition in range(_PARTITIONS):
            fill(client, _TOPIC, total // _PARTITIONS, 1_000_000, partition)
        commit_groups(client, server.bootstrap_servers, groups, _TOPIC)


def commit_groups(client: Client, address: str, groups: int, topic: str) -> None:
    """Offset 1 of partition 0 for so many groups."""
    talk = Talk(client, "restart", address)
    for number in range(min(groups, 100)):  # so many are in all partitions of __consumer_offsets
        talk.coordinator(group_name(number))
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    frames = [
        frame_of(
            OffsetCommitRequest(
                group_id=group_name(number),
                topics=[OffsetCommitRequestTopic(name=topic, partitions=[partition])],
            ),
            8,
        )
        for number in range(groups)
    ]
    for start in range(0, groups, 100):
        some = frames[start : start + 100]
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(address)) for _ in some]
            exchange([each.socket for each in clients], some, 0.0)


def group_name(number: int) -> str:
    return f"group-{number:05}"


def _restart(kind: Kind, server: Server, groups: int) -> float:
    if isinstance(server, RealKafka):
        server.prepare()
    spawned_at = time.monotonic()
    if kind == "rota":
        server.start()
    else:
        server.spawn()
    go_on(server.bootstrap_servers, groups - 1, _TOPIC)
    return time.monotonic() - spawned_at


def go_on(address: str, group: int, topic: str) -> None:
    """Return when the group's offset is known and the record there is fetched."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            with Client(address) as client:
                while not _fetch(client, topic, _committed(client, group, topic)):
                    assert time.monotonic() < deadline, "the group cannot go on"
                    time.sleep(_RETRY_S)
                return
        except OSError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(_RETRY_S)


def _committed(client: Client, group: int, topic: str) -> int:
    """-1 as long as the broker does not say."""
    wanted = OffsetFetchRequestTopic(name=topic, partition_indexes=[0])
    request = OffsetFetchRequest(group_id=group_name(group), topics=[wanted])
    answer = client.call(request, 5, OffsetFetchResponse)
    if answer.error_code or answer.topics[0].partitions[0].error_code:
        return -1
    return answer.topics[0].partitions[0].committed_offset


def _fetch(client: Client, topic: str, offset: int) -> bool:
    if offset < 0:
        return False
    wanted = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=4096)
    request = FetchRequest(
        max_wait_ms=500, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[wanted])]
    )
    found = client.call(request, 11, FetchResponse).responses[0].partitions[0]
    return found.error_code == 0 and len(found.records) > 0


BENCHMARK = Benchmark("restart", "a restart on 2 GB of records and 1,000 groups", run)
