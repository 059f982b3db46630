"""kafka-producer-perf-test and kafka-consumer-perf-test, as Kafka ships them; MB a second, as they print it.

Records of 1 kB, acks=all, the tools' JVM as its scripts set it. A tool's own start takes part of its figure, on both
brokers alike: the producer's is the rate over its whole run, the consumer's counts from the end of its rebalance.
"""

from __future__ import annotations

import itertools
import re
import subprocess

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, create_topic, delete_topic
from bench.servers import Server
from tests.kafka.jars import class_path, java
from tests.kafka.server import LOG4J

PRODUCER = Figure("kafka-producer-perf-test, 1 kB", "MB/s", 1.0, more_is_better=True)
CONSUMER = Figure("kafka-consumer-perf-test, 1 kB", "MB/s", 1.0, more_is_better=True)

_RECORD = 1000
_TOOLS = "org.apache.kafka.tools"
_numbers = itertools.count()


def run(run: Run) -> None:
    pair = run.pair
    count = run.count(700_000, 200_000)
    run.say(f"  warming up: {count} records written and read on each")
    for kind in KINDS:
        _turn(pair[kind], count)
    for kind in run.turns():
        produced, consumed = _turn(pair[kind], count)
        run.add(PRODUCER, kind, produced)
        run.add(CONSUMER, kind, consumed)


def _turn(server: Server, count: int) -> tuple[float, float]:
    topic = f"java-tools-{next(_numbers)}"
    with Client(server.bootstrap_servers) as client:
        create_topic(client, topic)
        produced = _produce(server, topic, count)
        consumed = _consume(server, topic, count)
        delete_topic(client, topic)
    return produced, consumed


def _produce(server: Server, topic: str, count: int) -> float:
    settings = ["--topic", topic, "--num-records", str(count), "--record-size", str(_RECORD)]
    properties = ["--producer-props", f"bootstrap.servers={server.bootstrap_servers}", "acks=all"]
    said = _tool("ProducerPerformance", *settings, "--throughput", "-1", *properties)
    rates = re.findall(rf"^{count} records sent, ([\d.]+) records/sec", said, re.MULTILINE)
    assert rates, said
    return float(rates[-1]) * _RECORD / 1e6


def _consume(server: Server, topic: str, count: int) -> float:
    where = ["--bootstrap-server", server.bootstrap_servers, "--topic", topic]
    said = _tool("ConsumerPerformance", *where, "--messages", str(count), "--hide-header")
    # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
    columns = said.strip().splitlines()[-1].split(", ")
    assert len(columns) == 10, said
    assert int(columns[4]) >= count, said
    return float(columns[9]) * _RECORD / 1e6


def _tool(name: str, *arguments: str) -> str:
    command = [java(), "-Xmx512M", f"-Dlog4j2.configurationFile={LOG4J}", "-cp", class_path()]
    done = subprocess.run(
        [*command, f"{_TOOLS}.{name}", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


BENCHMARK = Benchmark("java-tools", "Kafka's own kafka-producer-perf-test and kafka-consumer-perf-test", run)
