"""The broker fails: nothing is lost, and nothing is repeated, for the members stay members."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, cast

import pytest
from tests.brokers import new_broker
from tests.consumer.stories.stage import Stage, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.brokers import BrokerUnderTest
    from tests.children import ServerProcess


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


def test_a_broker_that_takes_no_metadata_still_gets_the_offsets(broker_kind: str, tmp_path: Path) -> None:
    """``offset.metadata.max.bytes`` is small: what was finished out of order cannot be kept, and all else goes on."""
    config = {"offset.metadata.max.bytes": "8"}
    with (
        new_broker(broker_kind, config=config) as broker,
        Stage(broker.bootstrap_servers, tmp_path / "stage") as stage,
    ):
        stage.create_topic()
        for number in range(40):
            stage.send(f"early-{number % 4}", b"x", number % 4)
        stage.send("stuck", b"hold", 0)
        for number in range(400):
            stage.send(f"key-{number % 40}", b"x", number % 4)
        stage.flush()
        member = stage.start("member", config={"group.instance.id": "only"})
        stage.wait_finished(but={(0, 10)})
        member.wait_for(
            "commits",
            lambda: (
                {number: each.offset for number, each in stage.committed().items()} == {**stage.ends, 0: 10}
            ),
        )
        member.kill()
        stage.release()
        after = stage.start("after", config={"group.instance.id": "only"})
        stage.wait_finished()
        after.term()
        account = stage.account()
        assert account.repeated() == {(0, offset) for offset in range(11, stage.ends[0])}
        stage.check_all_committed()
