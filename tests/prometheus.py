"""A real Prometheus server (Debian's package ``prometheus``) that scrapes what a test tells it to."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kafka.ports import free_ports, listening, wait_until

_CONFIG = """\
global:
  scrape_interval: 2s
  scrape_timeout: 2s
  evaluation_interval: 500ms
scrape_configs:
  - job_name: consumer
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


class PrometheusMissingError(Exception):
    """There is no Prometheus here; the message says what to install."""


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The present value of each series, by its labels without name, instance and job."""
        found = self._get("/api/v1/query", query=expression)
        return {
            tuple(sorted(_own(series["metric"]).items())): float(series["value"][1])
            for series in found["result"]
        }

    def value(self, expression: str) -> float | None:
        """Of the only series there is."""
        values = list(self.query(expression).values())
        return values[0] if len(values) == 1 else None

    def firing(self) -> list[dict[str, str]]:
        """The labels of the alerts that fire."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return [each["labels"] for each in alerts if each["state"] == "firing"]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, and how that goes."""
        targets: list[dict[str, Any]] = self._get("/api/v1/targets")["activeTargets"]
        return targets

    def _get(self, path: str, **query: str) -> Any:
        url = f"{self._url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as response:
            return json.load(response)["data"]


def promtool(*arguments: str, stdin: str = "") -> str:
    """What Prometheus' own checker says; an AssertionError if it finds fault."""
    program = _program("promtool")
    done = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PrometheusMissingError(f"no `{name}` found: install Debian's package prometheus")
    return found


@contextmanager
def scraping(port: int, directory: Path, rules: str = "") -> Iterator[Prometheus]:
    """A Prometheus that evaluates these rules, and scrapes this port of this machine every 2 s: a busy one is slow."""
    program = _program("prometheus")
    config = directory / "prometheus.yml"
    (directory / "rules.yml").write_text(rules or "groups: []\n")
    config.write_text(_CONFIG.format(port=port) + "rule_files: [rules.yml]\n")
    (listen,) = free_ports(1)
    log = (directory / "prometheus.log").open("w")
    server = subprocess.Popen(
        [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{listen}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        wait_until("Prometheus listens", lambda: listening(listen) or server.poll() is not None)
        wait_until("Prometheus is ready", lambda: _is_ready(listen) or server.poll() is not None)
        assert server.poll() is None, (directory / "prometheus.log").read_text()
        yield Prometheus(listen)
    finally:
        server.terminate()
        server.wait(60)
        log.close()


def _is_ready(port: int) -> bool:
    """It listens before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=60) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def _own(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in {"__name__", "instance", "job"}}
