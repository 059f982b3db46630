"""Handlers that take longer than Kafka likes, and partitions that are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.consumer.stories.stage import Stage


def test_handlers_longer_than_max_poll_interval_keep_their_membership(stage: Stage) -> None:
    """All workers are busy for longer than ``max.poll.interval.ms``, and more records wait than may be fetched."""
    config = {"session.timeout.ms": 6_000, "max.poll.interval.ms": 6_000}
    for number in range(8):
        stage.send(f"slow-{number}", b"slow 9000", number % 4)
    for number in range(400):
        stage.send(f"key-{number % 40}", b"x", number % 4)
    stage.flush()
    member = stage.start(
        "busy", concurrency=8, config=config, limits={"in_flight": 40, "revoke_drain": 2_000}
    )
    stage.wait_finished()
    assert member.events("revoked", "lost") == []
    assert len(member.events("assigned")) == 1
    member.term()
    account = stage.account()
    assert account.repeated() == set()
    assert account.out_of_order() == []
    stage.check_all_committed()


def test_a_paused_partition_rests_and_the_others_go_on(stage: Stage) -> None:
    for number in range(40):
        stage.send(f"key-{number}", b"x", number % 4)
    stage.flush()
    member = stage.start("member", obeys=True)
    stage.wait_finished()
    member.tell("pause 1")
    member.wait_for("has paused", lambda: member.events("obeyed"))
    for number in range(40, 80):
        stage.send(f"key-{number}", b"x", number % 4)
    stage.flush()
    paused = {(1, offset) for offset in range(10, 20)}
    stage.wait_finished(but=paused)
    assert not paused & stage.account().finished()
    member.tell("resume 1")
    stage.wait_finished()
    assert stage.account().repeated() == set()
    member.term()
    stage.check_all_committed()
