"""`rota.admin` while brokers come and go: what concerns a broker that is away is in its place, the rest is answered."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import Admin, At, scan
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kafka.cluster import KafkaCluster


def groups_everywhere(cluster: KafkaCluster, admin: Admin, topic: str, stem: str) -> dict[str, int]:
    """A group at each node that has committed in every partition, and where it is coordinated."""
    found = {group: node for node in cluster.ids for group in cluster.groups_at(node, f"{stem}-{node}", 1)}
    for group in found:
        offsets = {TopicPartition(topic, number): Commit(0) for number in range(3)}
        assert admin.alter_offsets(group, offsets) == dict.fromkeys(offsets)
    return found


def test_a_dead_broker_does_not_spoil_the_rest(whole: KafkaCluster, name: Callable[[str], str]) -> None:
    topic = whole.create_topic(name("orders"), [[1, 2, 3], [2, 3, 1], [3, 1, 2]])
    parts = [TopicPartition(topic, number) for number in range(3)]
    with Admin(whole.bootstrap_servers, timeout_s=PATIENCE_S) as admin:
        groups = groups_everywhere(whole, admin, topic, name("group"))
        assert scan(admin, list(groups)).commits.keys() == groups.keys()
        with Admin(whole.bootstrap_servers, timeout_s=10) as hasty:
            assert len(hasty.nodes()) == 3
            whole.kill(3)
            # Either somebody has taken over already, or the place says why not: never is anything else missing.
            look = scan(hasty, list(groups))
            for group, node in groups.items():
                assert (group in look.groups) != (group in look.failures)
                assert node == 3 or group in look.groups
            ends = hasty.offsets(parts)
            assert [ends[tp] for tp in parts[:2]] == [0, 0]
            listed, _ = hasty.list_groups()
            assert {group for group, node in groups.items() if node != 3} <= {each.group for each in listed}
        # Whoever has the patience gets everything: the others take over.
        look = scan(admin, list(groups))
        assert look.failures == {}
        assert look.commits.keys() == groups.keys()
        assert {look.partitions[tp].end for tp in parts} == {0}
        assert all(facts.leader in {1, 2} for facts in look.partitions.values())
        coordinators = {
            facts.coordinator.id for facts in look.groups.values() if facts.coordinator is not None
        }
        assert coordinators <= {1, 2}

        def are_empty() -> bool:
            found = admin.describe_groups(list(groups)).values()
            return all(isinstance(facts, GroupFacts) and facts.state == "Empty" for facts in found)

        # A coordinator that has just taken over may call them dead for a moment.
        wait_until("the new coordinators know all groups", are_empty)
        assert admin.delete_groups(list(groups)) == dict.fromkeys(groups)


def test_a_frozen_broker_is_passed_over(whole: KafkaCluster, name: Callable[[str], str]) -> None:
    topic = whole.create_topic(name("orders"), [[1, 2, 3], [2, 3, 1], [3, 1, 2]])
    parts = [TopicPartition(topic, number) for number in range(3)]
    with Admin(whole.bootstrap_servers, timeout_s=30) as admin:
        groups = groups_everywhere(whole, admin, topic, name("group"))
        frozen = whole._nodes[1].process
        assert frozen is not None
        frozen.send_signal(signal.SIGSTOP)
        try:
            found = admin.commits(list(groups))
            assert [group for group, each in found.items() if isinstance(each, RotaError)] in (
                [],
                [*groups][:1],
            )
            wait_until(
                "everybody else has taken over",
                lambda: (
                    set(admin.offsets(parts, At.LATEST).values()) == {0}
                    and not any(isinstance(each, RotaError) for each in admin.commits(list(groups)).values())
                ),
            )
        finally:
            frozen.send_signal(signal.SIGCONT)


def test_a_broker_that_moves_away_is_found_again(whole: KafkaCluster, name: Callable[[str], str]) -> None:
    """Leaders and coordinators that are remembered are wrong after a node was restarted."""
    topic = whole.create_topic(name("orders"), [[1, 2, 3], [2, 3, 1], [3, 1, 2]])
    parts = [TopicPartition(topic, number) for number in range(3)]
    with Admin(whole.bootstrap_servers, timeout_s=PATIENCE_S) as admin:
        groups = groups_everywhere(whole, admin, topic, name("group"))
        assert admin.offsets(parts) == dict.fromkeys(parts, 0)
        whole.stop(2)
        whole.heal()
        assert admin.offsets(parts) == dict.fromkeys(parts, 0)
        assert {len(each) for each in admin.commits(list(groups)).values() if isinstance(each, dict)} == {3}
        assert len(admin.nodes()) == 3
