"""Offset commits, each waiting for its answer: on one connection, and on a hundred at once; commits a second."""

from __future__ import annotations

from contextlib import ExitStack

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, Pumped, create_topic, delete_topic, exchange, frame_of
from bench.servers import Server
from tests.broker.talk import Talk

from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)

ONE = Figure("synchronous commits, 1 connection", "1/s", 10, more_is_better=True)
MANY = Figure("synchronous commits, 100 connections", "1/s", 1.5, more_is_better=True)

_TOPIC = "commits"
_VERSION = 8
_CONNECTIONS = 100


def run(run: Run) -> None:
    pair = run.pair
    run.say(f"  warming up, {run.choose(4, 1.5):g} s each")
    for kind in KINDS:
        with Client(pair[kind].bootstrap_servers) as client:
            create_topic(client, _TOPIC)
            talk = Talk(client, "commits", pair[kind].bootstrap_servers)
            for number in range(_CONNECTIONS):
                talk.coordinator(_group(number))
            answer = client.call(_request(0), _VERSION, OffsetCommitResponse)
            assert answer.topics[0].partitions[0].error_code == 0, answer
        _turn(pair[kind], _CONNECTIONS, run.choose(4, 1.5))
    for kind in run.turns():
        run.add(ONE, kind, _turn(pair[kind], 1, run.choose(1, 0.7)).per_s)
        run.add(MANY, kind, _turn(pair[kind], _CONNECTIONS, run.choose(1.5, 0.7)).per_s)
    for kind in KINDS:
        with Client(pair[kind].bootstrap_servers) as client:
            delete_topic(client, _TOPIC)


def _group(number: int) -> str:
    return f"commits-{number:03}"


def _request(number: int) -> OffsetCommitRequest:
    """One partition, for a group without members."""
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=0)
    return OffsetCommitRequest(
        group_id=_group(number), topics=[OffsetCommitRequestTopic(name=_TOPIC, partitions=[partition])]
    )


def _turn(server: Server, connections: int, seconds: float) -> Pumped:
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.bootstrap_servers)) for _ in range(connections)]
        frames = [frame_of(_request(number), _VERSION) for number in range(connections)]
        return exchange([client.socket for client in clients], frames, seconds)


BENCHMARK = Benchmark("commits", "synchronous offset commits on 1 and on 100 connections", run)
