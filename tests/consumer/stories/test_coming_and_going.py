"""Members come and go while records flow: nothing is lost, nothing is repeated, every key keeps its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.consumer.stories.stage import Traffic

if TYPE_CHECKING:
    from tests.consumer.stories.stage import Stage

GROUPS: dict[str, dict[str, Any]] = {
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "eager range": {"partition.assignment.strategy": "range"},
    "static": {"group.instance.id": "{}"},
    "consumer": {"group.protocol": "consumer"},
}


@pytest.mark.parametrize("group", GROUPS)
def test_a_rolling_restart_and_a_change_of_scale_repeat_nothing(stage: Stage, group: str) -> None:
    """Two members are replaced one after the other, a third comes and goes. One of them handles records one by
    one in threads, one in an event loop, one in batches: for the group that makes no difference."""

    def start(name: str, kind: str, instance: str) -> Any:
        config = {setting: value.format(instance) for setting, value in GROUPS[group].items()}
        return stage.start(name, kind=kind, config=config)

    with Traffic(stage, rate=300) as traffic:
        first, second = start("first", "sync", "a"), start("second", "async", "b")
        first.wait_working()
        second.wait_working()
        first.term()
        first = start("first-again", "batch", "a")
        first.wait_working()
        second.term()
        second = start("second-again", "sync", "b")
        second.wait_working()
        third = start("third", "async", "c")
        third.wait_working(20)
        if group != "static":  # one that is static and goes is waited for until its session ends
            first.term()
            second.wait_working(20)
        traffic.stop()
    stage.wait_finished()
    for member in (second, third, *([first] if group == "static" else [])):
        member.term()
    account = stage.account()
    assert account.repeated() == set()
    assert account.missing(stage.ends) == set()
    assert account.out_of_order() == []
    assert account.at_once() == []
    stage.check_all_committed()


def test_sigterm_waits_for_what_has_begun(stage: Stage) -> None:
    for partition in range(4):
        for number in range(2):
            stage.send(f"key-{partition}-{number}", b"slow 1500", partition)
            stage.send(f"key-{partition}-{number}", b"x", partition)
    stage.flush()
    member = stage.start("slow", concurrency=4)
    member.wait_for("has begun", lambda: len(member.attempts()) >= 4)
    begun = {each.place for each in member.attempts()}
    member.term()
    assert begun <= stage.account().finished()
    assert all(each.finished for each in member.attempts())
    assert stage.not_committed(member.attempts()) == set()
    stage.start("next", concurrency=4)
    stage.wait_finished()
    account = stage.account()
    assert account.repeated() == set()
    assert account.out_of_order() == []


def test_work_that_has_begun_is_finished_before_a_partition_goes(stage: Stage) -> None:
    """Somebody joins while slow records run: what runs is not run again by the newcomer."""
    for partition in range(4):
        for number in range(8):
            stage.send(f"key-{partition}-{number}", b"slow 700", partition)
    stage.flush()
    member = stage.start("first", concurrency=4)
    member.wait_for("has begun", lambda: len(member.attempts()) >= 4)
    newcomer = stage.start("newcomer", concurrency=4)
    stage.wait_finished()
    newcomer.wait_for("has been given partitions", newcomer.holds)
    account = stage.account()
    assert account.repeated() == set()
    assert account.out_of_order() == []
    assert account.at_once() == []
