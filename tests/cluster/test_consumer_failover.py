"""`rota.consumer` on three brokers: the one that coordinates the group, and leads partitions, is killed under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.consumer.stories.stage import Stage, Traffic

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kafka.cluster import KafkaCluster

VICTIM = 2


def test_a_broker_killed_under_load_costs_nothing(whole: KafkaCluster, tmp_path: Path) -> None:
    with Stage(whole.bootstrap_servers, tmp_path / "stage") as stage:
        stage.group = whole.groups_at(VICTIM, stage.group)[0]
        whole.create_topic(stage.topic, [(1, 2, 3), (2, 3, 1), (3, 1, 2), (2, 1, 3)])
        with Traffic(stage, rate=200) as traffic:
            members = [stage.start("first"), stage.start("second")]
            for member in members:
                member.wait_working(20)
            whole.kill(VICTIM)
            whole.wait_gone(VICTIM)
            for member in members:
                member.wait_working(40)
            traffic.stop()
        stage.wait_finished()
        for member in members:
            member.term()
        account = stage.account()
        assert account.missing(stage.ends) == set()
        assert account.repeated() == set()
        assert account.out_of_order() == []
        stage.check_all_committed()
