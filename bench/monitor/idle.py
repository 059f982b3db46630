"""`rota exporter` where nothing happens: processor time and memory, with a scrape every 15 s as Prometheus does."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from bench.frame import Figure
from bench.monitor.groups import PARTITIONS, broker_with
from bench.monitor.looks import NAMES
from bench.servers import cpu_s, resident_mib
from tests.children import ending_with_parent
from tests.kafka.ports import PATIENCE_S, free_ports, listening, wait_until

if TYPE_CHECKING:
    from bench.monitor.contest import Contest

__all__ = ["idle"]

GROUPS = 500
SCRAPE_EVERY_S = 15.0
MOST_PERCENT, MOST_MIB = 1.0, 100.0


def idle(contest: Contest) -> None:
    """A minute to begin with, then what is measured."""
    for kind in contest.brokers:
        with tempfile.TemporaryDirectory() as directory:
            _idle_on(contest, kind, Path(directory))


def _idle_on(contest: Contest, kind: str, directory: Path) -> None:
    what = f"idle exporter, {GROUPS} groups x {PARTITIONS} on {NAMES[kind]}"
    (port,) = free_ports(1)
    with broker_with(kind, directory, GROUPS) as bootstrap:
        command = [sys.executable, "-m", "rota", "exporter", "--port", str(port), "-b", bootstrap]
        process = subprocess.Popen(
            ending_with_parent(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until("the exporter listens", lambda: listening(port))
            _scrape(port, contest.count(4, 1))
            before, began = cpu_s(process.pid), time.monotonic()
            _scrape(port, contest.count(8, 2))
            share = (cpu_s(process.pid) - before) / (time.monotonic() - began)
            memory = resident_mib(process.pid)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    contest.add(Figure(f"{what}: of one core", "%", None, most=MOST_PERCENT), [100 * share])
    contest.add(Figure(f"{what}: memory", "MiB", None, most=MOST_MIB), [memory])


def _scrape(port: int, scrapes: int) -> None:
    for _ in range(scrapes):
        time.sleep(SCRAPE_EVERY_S)
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics",
            headers={"Accept-Encoding": "gzip"},  # as Prometheus does
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            assert answer.status == 200
            answer.read()
