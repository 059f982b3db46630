"""A cluster of three nodes for all tests here, whole when a test begins."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import LIMIT_S, Command, Said
from tests.conftest import need_kafka
from tests.kafka.cluster import KafkaCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def three() -> Iterator[KafkaCluster]:
    """Three nodes, as the last test has left them; started by the first test that wants them."""
    need_kafka()
    with KafkaCluster() as running:
        yield running


@pytest.fixture
def whole(three: KafkaCluster) -> KafkaCluster:
    """All three nodes run, all partitions are in sync, and each is led by the first of its replicas."""
    three.heal()
    return three


@pytest.fixture(scope="session")
def cli(three: KafkaCluster) -> Command:
    """`rota` aimed at all three."""
    return Command(three.bootstrap_servers)


@pytest.fixture(scope="session")
def name() -> Callable[[str], str]:
    """Names that nobody has used."""
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:8]}"


class Job:
    """`rota` in the background, its output in files so that nothing ever blocks it."""

    def __init__(self, command: Command, directory: Path, *arguments: str) -> None:
        directory.mkdir(exist_ok=True)
        stem = f"{arguments[0]}-{uuid.uuid4().hex[:6]}"
        self._out, self._err = directory / f"{stem}.out", directory / f"{stem}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "rota", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=command.environment(),
            )

    def close(self) -> None:
        """SIGTERM, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(LIMIT_S)

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def stop(self) -> Said:
        """Ctrl+C, and how it ended."""
        self._process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> Said:
        """Wait for its end."""
        code = self._process.wait(LIMIT_S)
        return Said(code, self.out, self.err)


@pytest.fixture
def job(cli: Command, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Starts `rota` in the background; what still runs at the end is stopped."""
    started: list[Job] = []

    def start(*arguments: str) -> Job:
        started.append(Job(cli, tmp_path / "jobs", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()
