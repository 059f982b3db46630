"""Resident memory of the broker's process: after its first record, and the most it ever was under load.

The load: requests of 1 MB pipelined, 200,000 records of librdkafka produced and consumed, a group of 1,000 members
that rebalances and heartbeats, and synchronous commits on 100 connections.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench import first_record, librdkafka
from bench.frame import Benchmark, Figure, Run
from bench.load import Client, batch_of, create_topic, delete_topic, exchange, produce_frame, pump
from bench.members import Members
from bench.restart import commit_groups
from bench.servers import Server, peak_mib, resident_mib

AFTER_START = Figure("resident memory after the first record", "MiB", 1 / 8)
UNDER_LOAD = Figure("most resident memory under load", "MiB", 1 / 10)


def run(run: Run) -> None:
    for kind in run.turns(1):
        with run.server(kind) as server:
            first_record.consume_first_record(server.bootstrap_servers)
            run.add(AFTER_START, kind, resident_mib(server.pid))
            _load(run, server)
            run.add(UNDER_LOAD, kind, peak_mib(server.pid))


def _load(run: Run, server: Server) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(Client(server.bootstrap_servers))
        for size, in_flight in ((1_000_000, 5), (125, 20)):
            topic = f"memory-{size}"
            create_topic(client, topic)
            pump(client.socket, produce_frame(topic, batch_of(size)), in_flight, run.choose(3, 1))
            delete_topic(client, topic)
        create_topic(client, "memory")
        librdkafka.produce(server, "memory", 1000, run.count(200_000, 50_000))
        librdkafka.consume(server, "memory", run.count(200_000, 50_000))
        with Members(server.bootstrap_servers, "memory", run.count(1000, 300)) as members:
            members.rebalance()
            exchange([each.socket for each in members.clients], members.heartbeats(), run.choose(2, 1))
        commit_groups(client, server.bootstrap_servers, 100, "memory")


BENCHMARK = Benchmark("memory", "resident memory after the start and under load", run)
