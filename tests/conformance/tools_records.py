"""Scenarios with the tools that write, read, count and delete records, for `test_tools`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.conformance.shell import Shell

__all__ = ["SCENARIOS"]

_READ = "kafka-console-consumer --topic {name} --from-beginning --timeout-ms 8000 "
_START = 1_700_000_000_000


def the_console_writes_and_reads(sh: Shell) -> None:
    _topic(sh)
    write = "kafka-console-producer --topic {name} "
    sh(write, stdin="one\ntwo\n")
    sh(write + "--property parse.key=true --property key.separator=:", stdin="k3:three\nk4:four\n")
    headers = "--property parse.headers=true --property headers.delimiter=| --property headers.separator=;"
    sh(write + headers, stdin="a:1;b:2|five\n")
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        sh(write + f"--compression-codec {codec}", stdin=f"{codec}\n")
    sh(write + "--request-required-acks 0 --producer-property enable.idempotence=false", stdin="unanswered\n")
    sh(_READ + "--max-messages 10")
    prints = "".join(
        f"--property print.{each}=true " for each in ("key", "offset", "partition", "headers", "epoch")
    )
    sh(_READ + "--max-messages 10 " + prints)
    sh("kafka-console-consumer --topic {name} --partition 0 --offset 3 --max-messages 2")
    sh(
        "kafka-console-consumer --topic {name} --partition 0 --offset earliest --max-messages 2"
        " --isolation-level read_committed"
    )
    sh("kafka-console-consumer --topic {name} --partition 0 --offset latest --timeout-ms 700")
    sh(write + "--property parse.key=true", stdin="no key here\n", code=1)


def the_console_reads_in_a_group(sh: Shell) -> None:
    _topic(sh)
    sh.desk.produce(sh.name, per_partition=6, partitions=1)
    for protocol in ("classic", "consumer"):
        group = f"--group {{name}}-{protocol} --consumer-property group.protocol={protocol} "
        sh(_READ + group + "--max-messages 4")
        sh(f"kafka-consumer-groups --describe --group {{name}}-{protocol}")
        sh(_READ + group + "--max-messages 2")
        sh(f"kafka-consumer-groups --describe --group {{name}}-{protocol}")
    sh("kafka-console-consumer --include {name}.* --from-beginning --max-messages 6 --timeout-ms 8000")


def the_console_formats(sh: Shell) -> None:
    _topic(sh)
    sh.produce_at(sh.name, [_START, _START + 1])
    sh("kafka-console-producer --topic {name}", stdin="x" * 100 + "\n")
    formatters = "org.apache.kafka.tools.consumer."
    sh(_READ + f"--max-messages 3 --formatter {formatters}NoOpMessageFormatter")
    sh(_READ + f"--max-messages 2 --formatter {formatters}LoggingMessageFormatter")
    sh(
        _READ
        + "--max-messages 2 --property print.timestamp=true --property key.separator=/ --property line.separator=;"
    )
    long = "org.apache.kafka.common.serialization.ByteArrayDeserializer"
    sh(_READ + f"--max-messages 2 --property value.deserializer={long}", hide=r"\[B@\w+")


def offsets_are_told(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name} --partitions 2")
    sh.desk.wait_topic(sh.name, 2)
    sh.produce_at(sh.name, [_START, _START + 5, _START + 3])
    ask = "kafka-get-offsets --topic {name} "
    sh(ask)
    for time in (
        "latest",
        "earliest",
        "max-timestamp",
        "earliest-local",
        "latest-tiered",
        "-1",
        "-2",
        "-3",
        "-4",
        "-5",
    ):
        sh(ask + f"--time {time}")
    for moment in (0, _START, _START + 1, _START + 4, _START + 5, _START + 6):
        sh(ask + f"--time {moment}")
    sh(ask + "--partitions 1")
    sh("kafka-get-offsets --topic-partitions {name}:0,{name}:1-2")
    sh("kafka-get-offsets --topic-partitions {name}:5", code=1)
    sh("kafka-get-offsets --topic {name}-nothing", code=1)
    sh(ask + "--exclude-internal-topics")
    sh(ask + "--time nonsense", code=1)


def records_are_deleted(sh: Shell) -> None:
    _topic(sh)
    sh.desk.produce(sh.name, per_partition=6, partitions=1)
    with tempfile.TemporaryDirectory() as directory:
        plan = Path(directory, "plan.json")
        for topic, partition, offset in (
            (sh.name, 0, 2),
            (sh.name, 0, 99),
            (sh.name, 0, -1),
        ):
            place = {"topic": topic, "partition": partition, "offset": offset}
            plan.write_text(json.dumps({"partitions": [place], "version": 1}))
            sh(f"kafka-delete-records --offset-json-file {plan}", hide=directory)
            sh("kafka-get-offsets --topic {name} --time earliest")


def java_measures_itself(sh: Shell) -> None:
    """Programs that read, write and time records; how long they took is hidden.

    VerifiableProducer needs a JVM of its own: tests/clients.
    """
    _topic(sh)
    number = r"\d+([.,]\d+)?"
    sh.desk.produce(sh.name, per_partition=10, partitions=1)
    sh(
        "kafka-verifiable-consumer --topic {name} --group-id {name} --max-messages 10 --reset-policy earliest",
        hide=r'"timestamp":\d+',
    )
    sh("kafka-consumer-groups --describe --group {name}")
    sh("kafka-e2e-latency <address> {name} 3 all 20", hide=number)
    sh(
        "kafka-producer-perf-test --topic {name} --num-records 10 --record-size 10 --throughput -1"
        " --producer-props bootstrap.servers=<address>",
        hide=number,
    )


def _topic(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name}")
    sh.desk.wait_topic(sh.name, 1)


SCENARIOS: tuple[Callable[[Shell], None], ...] = (
    the_console_writes_and_reads,
    the_console_reads_in_a_group,
    the_console_formats,
    offsets_are_told,
    records_are_deleted,
    java_measures_itself,
)
