"""Cold start and idle cost of one broker process, measured from outside.

From the start of the process (in a directory that is empty, or formatted where the broker needs that) until a
group has consumed a record: with a client that has no timers of its own, and in a second start with librdkafka, which
waits about 150 ms on any broker.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench import first_record, first_record_raw
from bench.frame import KINDS, Benchmark, Figure, Kind, Run
from bench.servers import Server, cpu_s, new_server
from tests.kafka.server import RealKafka

RAW = Figure("cold start to first record, bare client", "s", 1 / 20)
LIBRDKAFKA = Figure("cold start to first record, librdkafka", "s", 1 / 20)
FORMAT = Figure("formatting the storage before that", "s", None)
CPU = Figure("processor time until the first record", "s", None)
IDLE = Figure("processor while idle", "% of a core", None)


def run(run: Run) -> None:
    for kind in run.turns():
        with tempfile.TemporaryDirectory(prefix="rota-bench-") as scratch:
            _starts(run, kind, Path(scratch))
    idle_s = run.choose(15, 3)
    run.say(f"  {idle_s:g} s without a client")
    for kind in KINDS:
        with run.server(kind) as server:
            first_record.consume_first_record(server.bootstrap_servers)
            time.sleep(2.0)  # the client's connections close, the JVM comes to rest
            before, began = cpu_s(server.pid), time.monotonic()
            time.sleep(idle_s)
            run.add(IDLE, kind, 100 * (cpu_s(server.pid) - before) / (time.monotonic() - began))


def _starts(run: Run, kind: Kind, scratch: Path) -> None:
    for figure, consume in (
        (RAW, first_record_raw.consume_first_record),
        (LIBRDKAFKA, first_record.consume_first_record),
    ):
        directory = scratch / figure.name.rpartition(" ")[2]
        directory.mkdir()
        server, spawned_at, format_s = _spawn(kind, directory)
        try:
            consume(server.bootstrap_servers)
            run.add(figure, kind, time.monotonic() - spawned_at)
            if figure is RAW:
                run.add(CPU, kind, cpu_s(server.pid))
                run.add(FORMAT, kind, format_s)
        finally:
            server.stop()


def _spawn(kind: Kind, directory: Path) -> tuple[Server, float, float]:
    """The process, when it was started, and how long formatting took before."""
    server = new_server(kind, directory)
    began = time.monotonic()
    if isinstance(server, RealKafka):
        server.prepare()
        spawned_at = time.monotonic()
        server.spawn()
        server.wait_listening()
        return server, spawned_at, spawned_at - began
    server.start()
    return server, began, 0.0


BENCHMARK = Benchmark(
    "cold-start", "a new broker until a group has consumed its first record; idle cost", run
)
