"""What a run was made on and with."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import confluent_kafka
from bench.servers import CONFIG, KAFKA_JVM
from tests.kafka.jars import KAFKA_VERSION, KafkaMissingError, java

__all__ = ["describe", "sentence"]


def describe() -> dict[str, str | int | float]:
    """For the JSON file."""
    return {
        "processor": _from_proc("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count() or 0,
        "ram_gib": round(int((_from_proc("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1024**2, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "java": _java_version(),
        "kafka": KAFKA_VERSION,
        "kafka_jvm": " ".join(KAFKA_JVM),
        "librdkafka": str(confluent_kafka.libversion()[0]),
        "rota": _revision(),
        "both_brokers_with": " ".join(f"{key}={value}" for key, value in CONFIG.items()),
    }


def sentence(machine: dict[str, str | int | float]) -> str:
    """The same for people, in a few lines."""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['ram_gib']} GiB, {machine['kernel']}; "
        f"Python {machine['python']}, Java {machine['java']}, librdkafka {machine['librdkafka']}\n"
        f"Rota at {machine['rota']}; Apache Kafka {machine['kafka']} with {machine['kafka_jvm']}\n"
        f"both with {machine['both_brokers_with']}, default flushing, data on the same disk"
    )


def _from_proc(path: str, key: str) -> str | None:
    file = Path(path)
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _java_version() -> str:
    try:
        said = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True).stderr
    except (KafkaMissingError, subprocess.CalledProcessError):
        return "missing"
    return said.split('"')[1] if '"' in said else said.split("\n", maxsplit=1)[0]


def _revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "an unknown revision"
