"""What the actors are put together from."""

from __future__ import annotations

import pytest

from rota.rehearsal.actors.spans import runs
from rota.rehearsal.actors.steering import Steering


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], []),
        ([(0, 5)], [(0, 5, 5)]),
        ([(0, 5), (1, 0), (0, 6), (1, 1), (0, 7)], [(0, 5, 7), (1, 0, 1)]),
        ([(0, 5), (0, 8), (0, 9)], [(0, 5, 5), (0, 8, 9)]),  # a gap in the log
        ([(0, 5), (0, 6), (0, 5)], [(0, 5, 6), (0, 5, 5)]),  # what comes twice is told twice
    ],
)
def test_neighbouring_offsets_become_runs(
    records: list[tuple[int, int]], expected: list[tuple[int, int, int]]
) -> None:
    assert list(runs(records)) == expected


def test_obeys_its_own_word_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    steering = Steering("delay", 10)
    steering.obey("delay 50\n")
    assert steering.value == 50
    for line in ("rate 7\n", "delay\n", "delay -1\n", "delay soon\n", "\n"):
        steering.obey(line)
    assert steering.value == 50
    assert capsys.readouterr().err.count("not an order") == 4


def test_the_first_reason_to_stop_stands() -> None:
    steering = Steering("delay", 0)
    assert not steering.stopping
    steering.stop("SIGTERM")
    steering.stop("its director is gone")
    assert steering.stopping
    assert steering.stop_reason == "SIGTERM"
