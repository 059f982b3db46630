"""The player: act, wait for the group, rest, show, go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rota.rehearsal.script import SNAPSHOT, Player, Step, lesson
from rota.rehearsal.seats import Seat, SeatState
from rota.rehearsal.settings import LabSettings


class Stage:
    """Records what was done; the test says when the group has answered."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.answered = False

    def step(self, name: str, rest_ms: int = 1000) -> Step:
        return Step(f"{name}!", lambda: self.done.append(name), lambda: self.answered, rest_ms)


def test_acts_once_waits_for_the_answer_and_rests() -> None:
    stage = Stage()
    player = Player([stage.step("kill"), stage.step("return")], patience_ms=10_000)
    assert player.tick(0) == ["-- kill!"]
    assert player.tick(5_000) == []
    stage.answered = True
    assert player.tick(6_000) == []
    assert player.tick(6_999) == []
    assert player.tick(7_000) == [SNAPSHOT]
    assert stage.done == ["kill"], "the table is drawn before anything else is done"
    assert player.tick(7_100) == ["-- return!"]
    assert stage.done == ["kill", "return"]


@pytest.mark.parametrize(
    ("consumers", "partitions", "words"),
    [
        (3, 3, "3 consumers share 3 partitions."),
        (2, 1, "2 consumers share 1 partition."),
        (1, 1, "1 consumer holds 1 partition."),
    ],
)
def test_begins_by_saying_who_shares_what(consumers: int, partitions: int, words: str) -> None:
    seats = [Seat(number, f"consumer-{number}", 0.0) for number in range(1, consumers + 1)]
    for seat in seats:
        seat.state = SeatState.RUNNING
    settings = LabSettings(partitions=partitions)
    lab: Any = SimpleNamespace(seats=seats, rate=50, settings=settings, partitions=lambda: range(partitions))
    assert lesson(lab)[0].say == words


def test_goes_on_when_the_group_does_not_answer() -> None:
    stage = Stage()
    player = Player([stage.step("kill", rest_ms=0)], patience_ms=10_000)
    player.tick(0)
    assert player.tick(10_000) == []
    assert player.tick(10_001) == ["The group has not answered for 10 s; going on.", SNAPSHOT]
    assert player.late == ["kill!"]
    assert not player.done
    player.tick(10_100)
    assert player.done
