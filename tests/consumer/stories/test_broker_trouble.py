"""The broker fails: nothing is lost, and nothing is repeated, for the members stay members."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, cast

import pytest
from tests.consumer.stories.stage import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.brokers import BrokerUnderTest
    from tests.children import ServerProcess
    from tests.consumer.stories.stage import Stage


def _restart(broker: BrokerUnderTest) -> None:
    broker.restart()


def _crash(broker: BrokerUnderTest) -> None:
    broker.kill()
    broker.start()


def _freeze(broker: BrokerUnderTest) -> None:
    pid = cast("ServerProcess", broker).pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3)  # commits and fetches are under way, and are answered late
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "trouble", [_restart, _crash, _freeze], ids=["restart", "kill -9", "three seconds frozen"]
)
def test_a_broker_that_fails_costs_nothing(
    stage: Stage, story_broker: BrokerUnderTest, trouble: Callable[[BrokerUnderTest], None]
) -> None:
    with Traffic(stage, rate=200) as traffic:
        members = [stage.start("first"), stage.start("second")]
        for member in members:
            member.wait_working(20)
        trouble(story_broker)
        for member in members:
            member.wait_working(20)
        traffic.stop()
    stage.wait_finished()
    for member in members:
        member.term()
    account = stage.account()
    assert account.missing(stage.ends) == set()
    assert account.repeated() == set()
    assert account.out_of_order() == []
    stage.check_all_committed()


def test_a_broker_that_takes_no_metadata_still_gets_the_offsets(stage: Stage) -> None:
    """More was finished out of order than the broker's ``offset.metadata.max.bytes`` lets a commit tell: it cannot
    be kept, and comes again after a crash; everything else goes on."""
    for number in range(40):
        stage.send(f"early-{number % 4}", b"x", number % 4)
    stage.send("stuck", b"hold", 0)
    for number in range(600):
        stage.send("stuck" if number % 2 else f"key-{number}", b"x", 0)
        stage.send(f"key-{number % 40}", b"x", 1 + number % 3)
    stage.flush()
    stuck = {(0, 10), *((0, 11 + number) for number in range(1, 600, 2))}
    static = {"group.instance.id": "only"}
    member = stage.start("member", config=static)
    stage.wait_finished(but=stuck)
    member.wait_for(
        "commits",
        lambda: {number: each.offset for number, each in stage.committed().items()} == {**stage.ends, 0: 10},
    )
    may_repeat = stage.not_committed(member.attempts())
    assert may_repeat
    member.kill()
    stage.release()
    after = stage.start("after", config=static)
    stage.wait_finished()
    after.term()
    account = stage.account()
    assert account.repeated() == may_repeat
    assert account.out_of_order() == []
    stage.check_all_committed()
