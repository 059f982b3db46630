"""librdkafka, through confluent-kafka: records of 100 B and 1 kB produced and consumed; records a second.

acks=all, linger 5 ms, one partition; the producer's time ends when everything is acknowledged. The consumer has no
group and reads from the beginning; its time begins with its first records, so that its own waits at the start
(150 ms, on any broker) do not count. Nor does the second that it would wait by itself whenever a broker has filled its
queue (`fetch.queue.backoff.ms`, 1000 by default): with that the faster of two brokers is the slower.
"""

from __future__ import annotations

import itertools
import time

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, create_topic, delete_topic
from bench.servers import Server
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

_COUNTS = {100: (800_000, 200_000), 1_000: (300_000, 80_000)}
_NAMES = {100: "100 B", 1_000: "1 kB"}
PRODUCE = {
    size: Figure(f"librdkafka produce, {_NAMES[size]}", "1/s", 1.0, more_is_better=True) for size in _COUNTS
}
CONSUME = {
    size: Figure(f"librdkafka consume, {_NAMES[size]}", "1/s", 1.0, more_is_better=True) for size in _COUNTS
}
_TIMEOUT_S = 60.0

_numbers = itertools.count()


def run(run: Run) -> None:
    pair = run.pair
    for size, counts in _COUNTS.items():
        run.say(f"  {_NAMES[size]}: warming up with two turns of {run.count(*counts)} records on each")
        for kind in (*KINDS, *KINDS):
            _turn(pair[kind], size, run.count(*counts))
        for kind in run.turns():
            produced, consumed = _turn(pair[kind], size, run.count(*counts))
            run.add(PRODUCE[size], kind, produced)
            run.add(CONSUME[size], kind, consumed)


def _turn(server: Server, size: int, count: int) -> tuple[float, float]:
    topic = f"librdkafka-{next(_numbers)}"
    with Client(server.bootstrap_servers) as client:
        create_topic(client, topic)
        produced = produce(server, topic, size, count)
        consumed = consume(server, topic, count)
        delete_topic(client, topic)
    return produced, consumed


def produce(server: Server, topic: str, size: int, count: int) -> float:
    """Records a second."""
    producer = Producer(
        {
            "bootstrap.servers": server.bootstrap_servers,
            "acks": "all",
            "linger.ms": 5,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    producer.list_topics(topic, timeout=_TIMEOUT_S)  # connected, and the partition's leader known
    value = b"v" * size
    send = producer.produce
    start = time.perf_counter()
    for _ in range(count):
        send(topic, value)
    assert producer.flush(_TIMEOUT_S) == 0
    return count / (time.perf_counter() - start)


def consume(server: Server, topic: str, count: int) -> float:
    """Records a second."""
    consumer = Consumer(
        {
            "bootstrap.servers": server.bootstrap_servers,
            "group.id": "none",
            "enable.auto.commit": False,
            "fetch.max.bytes": 50 * 1024 * 1024,
            "queued.max.messages.kbytes": 65536,
            "fetch.queue.backoff.ms": 1,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        deadline = time.monotonic() + _TIMEOUT_S
        first = seen = 0
        start = time.perf_counter()
        while seen < count:
            records = consumer.consume(10_000, timeout=1.0)
            if records and not first:
                start, first = time.perf_counter(), len(records)
            seen += len(records)
            assert time.monotonic() < deadline, f"only {seen} of {count} records came"
        return (seen - first) / (time.perf_counter() - start)
    finally:
        consumer.close()


BENCHMARK = Benchmark("librdkafka", "producer and consumer of librdkafka, records of 100 B and 1 kB", run)
