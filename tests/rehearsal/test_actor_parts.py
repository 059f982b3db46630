"""What the actors are put together from."""

from __future__ import annotations

import pytest

from rota.rehearsal.actors.consumer import limits
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


def test_calls_who_wants_to_know_that_it_is_to_stop() -> None:
    steering = Steering("delay", 0)
    told: list[str] = []
    steering.when_stopped = lambda: told.append(steering.stop_reason)
    steering.stop("SIGTERM")
    assert told == ["SIGTERM"]


def test_a_drain_leaves_the_client_half_of_its_time() -> None:
    assert limits({"max.poll.interval.ms": "6000"}, 500).revoke_drain == 3_000
    assert limits({"max.poll.interval.ms": "300000"}, 500).revoke_drain == 10_000
    assert limits({}, 500).commit_interval == 500
