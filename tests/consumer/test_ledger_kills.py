"""kill -9 between any two steps of a claim, in real processes: what each choice promises is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.consumer.ledger import Ledger

POINTS = 6
"""Before and after the claim is written, before and after the effect, before and after the end is."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    address: str = request.getfixturevalue("postgres_database")
    return address


def live(database: str, effects: Path, ambiguous: str, point: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.consumer.ledger_process",
            database,
            str(effects),
            ambiguous,
            str(point),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize("ambiguous", ["repeat", "skip", "verify"])
def test_killed_at_every_point(database: str, tmp_path: Path, ambiguous: str) -> None:
    counts = []
    for point in range(POINTS):
        effects = tmp_path / f"effects-{ambiguous}-{point}"
        effects.touch()
        own = database if database.startswith("postgresql") else f"{database}-{ambiguous}-{point}"
        assert live(own, effects, ambiguous, point).returncode == -9
        for _ in range(2):
            second = live(own, effects, ambiguous, -1)
            assert second.returncode == 0, second.stderr
        counts.append(len(effects.read_text().splitlines()))
        ledger = Ledger(own, lease_s=1, ambiguous="skip")
        listed = ledger.ambiguous()
        assert (len(listed) == 1) == (ambiguous == "skip" and 1 <= point <= 4)
        for one in listed:
            ledger.settle(one.key, happened=False)
        while not ledger.prune(0):  # what ended in this very millisecond is not old yet
            pass
        ledger.close()
    # The points:            before, claimed, at it, did it, before the end, after it
    assert (
        counts
        == {
            "repeat": [1, 1, 1, 2, 2, 1],
            "skip": [1, 0, 0, 1, 1, 1],
            "verify": [1, 1, 1, 1, 1, 1],
        }[ambiguous]
    )


def test_there_are_no_more_points(tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    effects.touch()
    assert live(str(tmp_path / "ledger.db"), effects, "repeat", -1).stdout.split() == ["steps", str(POINTS)]
