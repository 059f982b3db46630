"""kill -9 around the effect, dozens of times, in real processes: each record is applied exactly once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.children import ending_with_parent
from tests.kafka.ports import PATIENCE_S, wait_until

KILLS = 40
ENDLESS = 1_000_000


class Table:
    """The table of effects, and who counts them."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._run("CREATE TABLE bookings (number BIGINT)")

    def bookings(self) -> Counter[int]:
        return Counter(row[0] for row in self._run("SELECT number FROM bookings"))

    def rows(self) -> int:
        found: int = self._run("SELECT count(*) FROM rota_done")[0][0]
        return found

    def _run(self, statement: str) -> list[tuple[int, ...]]:
        if not self.address.startswith("postgresql"):
            connection = sqlite3.connect(self.address, isolation_level=None, timeout=PATIENCE_S)
            try:
                return connection.execute(statement).fetchall()
            finally:
                connection.close()
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as other:
            cursor = other.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture(params=["sqlite", "postgresql"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    if request.param == "sqlite":
        return Table(str(tmp_path / "bank.db"))
    return Table(request.getfixturevalue("postgres_database"))


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    path = tmp_path / "committed"
    path.write_text("0")
    return path


class Lives:
    """Processes of one group that work on one partition."""

    def __init__(self, table: Table, committed: Path, address: str = "") -> None:
        self._address = address or table.address
        self._committed = committed
        self.running: list[subprocess.Popen[bytes]] = []

    def begin(
        self, chance: float, seed: int = 0, upto: int = ENDLESS, stop_at: int = -1, inside: int = -1
    ) -> subprocess.Popen[bytes]:
        options = [str(chance), str(seed), str(upto), str(stop_at), str(inside)]
        program = [sys.executable, "-m", "tests.consumer.sql_process"]
        process = subprocess.Popen(
            ending_with_parent([*program, self._address, str(self._committed), *options]),
            cwd=Path(__file__).parents[2],
        )
        self.running.append(process)
        return process

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait(PATIENCE_S)


@pytest.fixture
def lives(table: Table, committed: Path) -> Iterator[Lives]:
    some = Lives(table, committed)
    yield some
    some.end()


def test_killed_at_any_point(table: Table, committed: Path, lives: Lives) -> None:
    """Two processes at a time have the same partition: the one that was too late to notice, and the next."""
    killed = 0
    seed = 0
    while killed < KILLS:
        while len(lives.running) < 2:
            seed += 1
            lives.begin(chance=0.01, seed=seed)
        wait_until("one dies", lambda: any(process.poll() is not None for process in lives.running))
        for process in [process for process in lives.running if process.poll() is not None]:
            assert process.returncode == -signal.SIGKILL
            lives.running.remove(process)
            killed += 1
    lives.end()
    lives.running.clear()
    upto = max(table.bookings()) + 20
    last = lives.begin(chance=0, upto=upto)
    assert last.wait(PATIENCE_S) == 0
    assert table.bookings() == Counter(range(upto))
    assert upto > KILLS
    assert table.rows() < upto


def test_frozen_while_others_went_past(table: Table, committed: Path, lives: Lives) -> None:
    """A process that had its record in hand when it was stopped: rows of that time are gone when it goes on."""
    frozen = lives.begin(chance=0, upto=21, stop_at=20)
    wait_stopped(frozen)
    assert lives.begin(chance=0, upto=60).wait(PATIENCE_S) == 0
    assert table.rows() < 30
    os.kill(frozen.pid, signal.SIGCONT)
    assert frozen.wait(PATIENCE_S) == 0
    assert table.bookings() == Counter(range(60))


def test_frozen_inside_its_transaction(postgres_database: str, committed: Path) -> None:
    """PostgreSQL ends such a transaction, if it was told to; who waits for the row goes on then."""
    table = Table(postgres_database)
    option = "?options=-c%20idle_in_transaction_session_timeout%3D1s"
    lives = Lives(table, committed, address=postgres_database + option)
    try:
        frozen = lives.begin(chance=0, upto=60, inside=20)
        wait_stopped(frozen)
        assert lives.begin(chance=0, upto=60).wait(PATIENCE_S) == 0
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(PATIENCE_S) == 1  # its commit fails
    finally:
        lives.end()
    assert table.bookings() == Counter(range(60))


def wait_stopped(process: subprocess.Popen[bytes]) -> None:
    """Until it has stopped itself."""
    status = Path(f"/proc/{process.pid}/status")
    wait_until("it is stopped", lambda: "\nState:\tT" in status.read_text())
