"""The player: act, wait for the group, rest, show, go on."""

from __future__ import annotations

from rota.rehearsal.script import SNAPSHOT, Player, Step


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
