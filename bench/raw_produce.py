"""Pipelined produce requests of one size after another, on one connection; MB of batches a second.

Each turn has a topic of its own, which is deleted after it. Before the first round of a size each broker gets the same
load for several seconds, so that the JVM has compiled what it runs. How many records are in the log afterwards is
compared with how many answers came.
"""

from __future__ import annotations

import itertools

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, Pumped, batch_of, create_topic, delete_topic, log_end, produce_frame, pump
from bench.servers import Server

# Bytes of a batch, requests in flight, and the ratio wanted.
_SIZES = ((125, 20, 2.5), (10_000, 8, 1.8), (100_000, 5, 1.3), (1_000_000, 5, 1.3))
_NAMES = {125: "125 B", 10_000: "10 kB", 100_000: "100 kB", 1_000_000: "1 MB"}
FIGURES = {
    size: Figure(f"raw produce, {_NAMES[size]} x {in_flight} in flight", "MB/s", target, more_is_better=True)
    for size, in_flight, target in _SIZES
}

_numbers = itertools.count()


def run(run: Run) -> None:
    pair = run.pair
    for size, in_flight, _ in _SIZES:
        run.say(f"  {_NAMES[size]}: warming up, {run.choose(4, 1):g} s each")
        for kind in KINDS:
            _turn(pair[kind], size, in_flight, run.choose(4, 1))
        for kind in run.turns():
            pumped = _turn(pair[kind], size, in_flight, run.choose(1.5, 0.7))
            run.add(FIGURES[size], kind, pumped.per_s * size / 1e6)


def _turn(server: Server, size: int, in_flight: int, seconds: float) -> Pumped:
    with Client(server.bootstrap_servers) as client:
        topic = f"raw-produce-{next(_numbers)}"
        create_topic(client, topic)
        pumped = pump(client.socket, produce_frame(topic, batch_of(size)), in_flight, seconds)
        assert log_end(client, topic) == pumped.answers + 1, "an answer was no acknowledgement"
        delete_topic(client, topic)
    return pumped


BENCHMARK = Benchmark("raw-produce", "pipelined produce requests of 125 B to 1 MB", run)
