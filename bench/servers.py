"""The two brokers in processes of their own, and what the kernel says of such a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from tests.kafka.server import RealKafka
from tests.rota_process import RotaBroker

__all__ = ["CONFIG", "KAFKA_JVM", "Server", "cpu_s", "new_server", "peak_mib", "resident_mib"]

# Both brokers get these; everything else, flushing too, is as each has it by itself.
CONFIG = {"group.initial.rebalance.delay.ms": "0", "log.segment.delete.delay.ms": "1000"}

# What kafka-server-start.sh gives Kafka.
KAFKA_JVM = (
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
)

_MIB = 1024 * 1024


class Server(Protocol):
    """A broker that can be stopped, killed, and started again on its data; RotaBroker and RealKafka are such."""

    bootstrap_servers: str

    @property
    def pid(self) -> int: ...
    def start(self) -> None: ...
    def spawn(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


def new_server(kind: str, directory: Path) -> RotaBroker | RealKafka:
    """A broker that is not yet started."""
    if kind == "rota":
        return RotaBroker(CONFIG, directory)
    return RealKafka(CONFIG, directory, jvm=KAFKA_JVM)


def resident_mib(pid: int) -> float:
    """Resident memory at this moment."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / _MIB


def peak_mib(pid: int) -> float:
    """The largest resident memory that the process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel does not say VmHWM")


def cpu_s(pid: int) -> float:
    """User and system time of the process, its ended children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
