"""`python -m bench` (`make bench`): cold start and footprint of Rota's broker beside real Apache Kafka 4.1.

Rounds are interleaved, so that a busy moment of the machine hits both. Both get a fresh data directory, no
initial rebalance delay and the same client program. Prints a table and writes bench/results.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, fields
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cold_start import IDLE_S, Sample, Server, measure
from tests.kafka.jars import KAFKA_VERSION, KafkaMissingError, jars
from tests.kafka.server import RealKafka
from tests.rota_process import RotaBroker

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).with_name("results.json")
CONFIG = {"group.initial.rebalance.delay.ms": "0"}

LABELS = {
    "first_record_s": ("spawn to first record, librdkafka", "s"),
    "raw_record_s": ("spawn to first record, bare client", "s"),
    "format_s": ("formatting the storage before that", "s"),
    "rss_mib": ("resident memory then", "MiB"),
    "cpu_s": ("processor time until then", "s"),
    "idle_percent": (f"processor, idle over {IDLE_S:g} s", "%"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="starts of each broker (default 3)")
    rounds = max(1, parser.parse_args().rounds)
    try:
        jars()
    except KafkaMissingError as missing:
        sys.exit(f"bench: {missing}")
    # An installed package has its bytecode; so has Rota here, whatever the shell says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    samples: dict[str, list[Sample]] = {"rota": [], "kafka": []}
    starters: dict[str, Callable[[Path], tuple[Server, float, float]]] = {
        "rota": start_rota,
        "kafka": start_kafka,
    }
    for number in range(1, rounds + 1):
        for name, start in starters.items():
            print(f"round {number} of {rounds}: {name} …", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="rota-bench-") as scratch:
                samples[name].append(measure(_starter(start, Path(scratch))))
    machine = describe_machine()
    print(machine)
    print("\n".join(table(samples)))
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "rounds": rounds,
        "samples": {name: [asdict(sample) for sample in of] for name, of in samples.items()},
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nEvery sample: {RESULTS}")


def _starter(
    start: Callable[[Path], tuple[Server, float, float]], scratch: Path
) -> Callable[[], tuple[Server, float, float]]:
    """Start in a new directory below `scratch` each time."""
    numbers = itertools.count()

    def begin() -> tuple[Server, float, float]:
        directory = scratch / str(next(numbers))
        directory.mkdir()
        return start(directory)

    return begin


def start_rota(directory: Path) -> tuple[Server, float, float]:
    server = RotaBroker(CONFIG, directory)
    spawned_at = time.monotonic()
    server.start()
    return server, spawned_at, 0.0


def start_kafka(directory: Path) -> tuple[Server, float, float]:
    server = RealKafka(CONFIG, directory, jvm=("-Xmx512m",))
    began = time.monotonic()
    server.prepare()
    spawned_at = time.monotonic()
    server.spawn()
    server.wait_listening()
    return server, spawned_at, spawned_at - began


def table(samples: dict[str, list[Sample]]) -> list[str]:
    """Medians side by side; the spread is each side's lowest and highest value."""
    head = f"{'':36}{'Rota':>10}{'Kafka':>10}{'Kafka/Rota':>12}   spread of Rota, of Kafka"
    lines = [head]
    for field in fields(Sample):
        label, unit = LABELS[field.name]
        ours, theirs = (
            [getattr(sample, field.name) for sample in samples[name]] for name in ("rota", "kafka")
        )
        rota, kafka = statistics.median(ours), statistics.median(theirs)
        ratio = f"{kafka / rota:.1f}x" if rota else "–"
        spread = f"{min(ours):.2f}–{max(ours):.2f}, {min(theirs):.2f}–{max(theirs):.2f}"
        lines.append(f"{f'{label} ({unit})':36}{rota:>10.2f}{kafka:>10.2f}{ratio:>12}   {spread}")
    return lines


def describe_machine() -> str:
    processor = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        processor = named[0] if named else platform.machine()
    return (
        f"{cpu_count()} cores of {processor}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Apache Kafka {KAFKA_VERSION} (-Xmx512m)"
    )


if __name__ == "__main__":
    main()
