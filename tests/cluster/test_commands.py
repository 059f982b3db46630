"""The commands on a cluster where everything is well: leaders and coordinators on three brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kafka.ports import wait_until

from rota.admin import Admin
from rota.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Command
    from tests.cluster.conftest import Job
    from tests.kafka.cluster import KafkaCluster


def test_a_topic_is_made_on_three_brokers_and_described(
    whole: KafkaCluster, cli: Command, name: Callable[[str], str]
) -> None:
    topic = name("spread")
    cli.good("topics", "create", topic, "-p", "6", "-r", "3", "--config", "min.insync.replicas=2")
    parts = {int(part): line for part, line in _rows(cli.good("topics", "describe", topic).lines).items()}
    assert {line["Leader"] for line in parts.values()} == {"1", "2", "3"}
    for number, line in parts.items():
        assert sorted(line["Replicas"].split(",")) == sorted(line["Isr"].split(",")) == ["1", "2", "3"]
        assert int(line["Leader"]) == whole.leader(topic, number)
    (document,) = cli.good("topics", "describe", topic, "--json").json()
    assert document["configs"]["min.insync.replicas"] == "2"
    cli.good("topics", "add-partitions", topic, "--to", "7")
    assert len(whole.leaders(topic)) == 7
    said = cli("topics", "create", name("wide"), "-r", "4")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "replication factor" in said.err


def test_the_brokers_of_a_cluster(whole: KafkaCluster) -> None:
    with Admin(whole.bootstrap_servers) as admin:
        nodes = admin.nodes()
    assert {node.id: f"{node.host}:{node.port}" for node in nodes} == {n: whole.address(n) for n in whole.ids}


def test_groups_whose_coordinators_are_on_different_brokers(
    whole: KafkaCluster, cli: Command, name: Callable[[str], str]
) -> None:
    topic = whole.create_topic(name("orders"), [(1, 2, 3), (2, 3, 1), (3, 1, 2)])
    sent = cli.good("produce", topic, "--events", "--rate", "0", "--count", "300", "--json").json()
    counts = {entry["partition"]: entry["records"] for entry in sent["partitions"]}
    assert sent["acknowledged"] == sum(counts.values()) == 300
    groups = {node: whole.groups_at(node, name("reader"))[0] for node in whole.ids}
    for group in groups.values():
        limits = ("--from-beginning", "--commit", "manual", "--max-messages", "300", "--timeout-ms", "60000")
        said = cli("consume", topic, "--group", group, *limits)
        assert (said.code, len(said.lines)) == (0, 300), said.err
    assert set(groups.values()) <= set(cli.good("groups", "list").lines)
    documents = cli("groups", "describe", *groups.values(), "--json").json()
    assert {document["coordinator"]["id"]: document["group"] for document in documents} == groups
    for document in documents:
        ends = {row["partition"]: row["logEndOffset"] for row in document["offsets"]}
        assert ends == counts
        assert [row["lag"] for row in document["offsets"]] == [0, 0, 0]
    for group in groups.values():
        words = cli.good("groups", "offsets-log", group).out
        assert all(f"commit   {topic}-{part} at {count}" in words for part, count in counts.items())


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_a_plan_is_what_the_group_then_does(
    whole: KafkaCluster, cli: Command, job: Callable[..., Job], name: Callable[[str], str], strategy: str
) -> None:
    topic = whole.create_topic(
        name(f"plan-{strategy}"), [(1, 2, 3), (2, 3, 1), (3, 1, 2), (1, 3, 2), (2, 1, 3)]
    )
    group = whole.groups_at(2, name(f"plan-{strategy}"))[0]
    (planned,) = cli.good("plan", "-m", "2", "-t", f"{topic}:5", "-s", strategy, "--json").json()
    for _ in range(2):
        job("consume", topic, "--group", group, "--property", f"partition.assignment.strategy={strategy}")
    cluster = Cluster(whole.bootstrap_servers)

    def sizes() -> list[int]:
        found = cluster.describe_groups([group])[group]
        return sorted(len(member.assignment) for member in found.members)

    wait_until("both hold what was planned", lambda: sizes() == sorted(planned["sizes"]))


def _rows(lines: list[str]) -> dict[str, dict[str, str]]:
    """The rows of `topics describe` by partition."""
    rows = [[cell.partition(": ") for cell in line.strip("\t").split("\t")] for line in lines[1:]]
    return {row[1][2]: {key: value for key, _, value in row} for row in rows}
