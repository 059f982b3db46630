"""One broker of three is down, and stays so: what still works, and what is said of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Command
from tests.cluster.conftest import Job
from tests.kafka.ports import wait_until
from tests.kafka.tools import KafkaTools

from rota.admin import Admin
from rota.cluster import Cluster
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kafka.cluster import KafkaCluster

DOWN = 1
"""The first of the addresses that `rota` is given."""


@dataclass(frozen=True)
class Place:
    """A cluster whose broker 1 was killed. Each of the topics has lost something else with it."""

    cluster: KafkaCluster
    orders: str
    """Three partitions, each with a replica on every broker: nothing."""
    alone: str
    """Three partitions without a second replica: one of them."""
    strict: str
    """One partition, on brokers 1 and 2, that wants both: it takes no more records."""
    group: str
    """Has read all of ``alone`` before; its coordinator was broker 1."""
    refused: Job
    """Writes three records to ``strict``, which takes none. It waits while the other tests run."""
    unled: Job
    """Writes 90 records to ``alone``, which takes two thirds of them."""


@pytest.fixture(scope="module")
def place(
    three: KafkaCluster,
    cli: Command,
    name: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    three.heal()
    orders = three.create_topic(name("orders"), [(1, 2, 3), (2, 3, 1), (3, 1, 2)])
    alone = three.create_topic(name("alone"), [(1,), (2,), (3,)], {"min.insync.replicas": "1"})
    strict = three.create_topic(name("strict"), [(1, 2)])
    for topic in (orders, alone):
        cli.good("produce", topic, "--events", "--rate", "0", "--count", "90")
    group = three.groups_at(DOWN, name("reader"))[0]
    limits = ("--from-beginning", "--commit", "manual", "--max-messages", "90", "--timeout-ms", "60000")
    assert cli("consume", alone, "--group", group, *limits).code == 0
    three.kill(DOWN)
    three.wait_gone(DOWN)
    many = ("--events", "--rate", "0", "--count")
    directory = tmp_path_factory.mktemp("down")
    refused = Job(cli, directory, "produce", strict, *many, "3")
    unled = Job(cli, directory, "produce", alone, *many, "90")
    yield Place(three, orders, alone, strict, group, refused, unled)
    refused.close()
    unled.close()


def test_a_dead_first_address_is_passed_over(place: Place, cli: Command) -> None:
    assert cli.bootstrap_servers.startswith(place.cluster.address(DOWN) + ",")
    assert {place.orders, place.alone, place.strict} <= set(cli.good("topics", "list").lines)
    with Admin(cli.bootstrap_servers) as admin:
        assert len(admin.nodes()) == 2


def test_only_a_dead_address_is_an_error_of_one_line(place: Place) -> None:
    said = Command(place.cluster.address(DOWN))("topics", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(
        f"error: no broker at {place.cluster.address(DOWN)}: the connection was refused"
    )
    assert said.err.count("\n") == 1


def test_what_has_replicas_elsewhere_goes_on(place: Place, cli: Command) -> None:
    sent = cli.good("produce", place.orders, "--events", "--rate", "0", "--count", "30", "--json").json()
    assert (sent["acknowledged"], sent["failed"]) == (30, 0)
    limits = ("--from-beginning", "--max-messages", "120", "--timeout-ms", "60000")
    assert len(cli.good("consume", place.orders, *limits).lines) == 120


def test_a_topic_is_described_with_the_partition_that_has_no_leader(place: Place, cli: Command) -> None:
    leaders = [
        line.split("Leader: ")[1].split("\t")[0]
        for line in cli.good("topics", "describe", place.alone).lines[1:]
    ]
    assert leaders == ["none", "2", "3"]
    (document,) = cli.good("topics", "describe", place.alone, "--json").json()
    assert [part["leader"] for part in document["partitions"]] == [None, 2, 3]


def test_a_group_is_described_and_the_partition_without_a_leader_named(place: Place, cli: Command) -> None:
    said = cli("groups", "describe", place.group)
    assert said.code == 0
    rows = {row[2]: row for row in (line.split() for line in said.lines[2:])}
    assert [rows[number][4] == "-" for number in "012"] == [True, False, False]
    assert [rows[number][5].isdigit() for number in "012"] == [False, True, True]
    words = f"Partition 0 of topic {place.alone} has no leader: start broker 1, which holds it."
    assert words in said.err.splitlines()
    (document,) = cli("groups", "describe", place.group, "--json").json()
    assert document["coordinator"]["id"] != DOWN
    assert document["offsets"][0]["logEndOffset"] is None


def test_beside_kafkas_tool_which_gives_up_where_a_partition_has_no_leader(
    place: Place, cli: Command
) -> None:
    """Later versions show such a partition as we do, with `-` for what nobody can say."""
    tools = KafkaTools(place.cluster.bootstrap_servers)
    describe = ("kafka-consumer-groups", "--describe", "--group", place.group)
    assert "TimeoutException" in tools(*describe, "--timeout", "5000")
    ours = cli("groups", "describe", place.group)
    assert {row[2]: row[4:6] for row in map(str.split, ours.lines[2:])}["0"] == ["-", "-"]
    theirs = tools(*describe, "--state", "--verbose", "--timeout", "60000")
    state = cli("groups", "describe", place.group, "--state", "--verbose")
    assert [*filter(None, state.lines)] == [*filter(None, theirs.splitlines())]


def test_a_reset_names_the_partition_without_a_leader_and_leaves_the_group_alone(
    place: Place, cli: Command
) -> None:
    whole = ("groups", "reset-offsets", place.group, "--topic", place.alone, "--to-earliest")
    dry = cli(*whole)
    assert dry.code == 3
    assert dry.out.count("it has no leader") == 1
    said = cli(*whole, "--execute")
    assert said.code == 1
    assert f"group {place.group} was not reset: {place.alone}-0: it has no leader" in said.err
    others = (
        "groups",
        "reset-offsets",
        place.group,
        "--topic",
        f"{place.alone}:1,2",
        "--to-current",
        "--execute",
    )
    assert cli(*others).code == 0


def test_offsets_of_a_partition_without_a_leader_are_unknown_and_the_others_known(place: Place) -> None:
    cluster = Cluster(place.cluster.bootstrap_servers)
    ends = cluster.end_offsets([TopicPartition(place.alone, number) for number in range(3)])
    assert [end is None for end in ends.values()] == [True, False, False]
    assert all(end is None or end > 0 for end in ends.values())


def test_a_reader_is_told_what_it_cannot_read(place: Place, cli: Command) -> None:
    said = cli("consume", place.alone, "--from-beginning", "--max-messages", "180", "--timeout-ms", "3000")
    assert said.code == 1
    assert 0 < len(said.lines) < 180
    waiting, failed = said.err.splitlines()
    assert waiting.endswith(
        f"waiting: partition 0 of topic {place.alone} has no leader: start broker 1, which holds it"
    )
    assert failed == f"error: only {len(said.lines)} of 180 records came before the timeout"


def test_a_writer_is_told_that_too_few_copies_are_in_sync_and_what_to_do(place: Place) -> None:
    """NOT_ENOUGH_REPLICAS: librdkafka alone says nothing for minutes, and then only that time is over."""
    reason = (
        f"partition 0 of topic {place.strict} has 1 copy in sync of the 2 that min.insync.replicas wants: "
        "start broker 1 or lower that setting"
    )
    said = place.refused.end()
    assert said.code == 1
    assert said.lines[0].startswith(f"0 records acknowledged by {place.strict} ")
    assert said.lines[0].endswith(", 3 failed")
    assert said.err.splitlines() == [f"waiting: {reason}", f"error: 3 records not acknowledged: {reason}"]


def test_a_writer_is_told_that_a_partition_has_no_leader(place: Place) -> None:
    said = place.unled.end()
    assert said.code == 1
    nobody = f"partition 0 of topic {place.alone} has no leader: start broker 1, which holds it"
    assert said.err.splitlines()[0] == f"waiting: {nobody}"
    assert said.err.splitlines()[1].endswith(f"records not acknowledged: {nobody}")


def test_all_goes_on_when_the_broker_is_back(place: Place, job: Callable[..., Job]) -> None:
    """Runs last: who has waited goes on by itself, and nothing was lost or is written twice."""
    reading = job("consume", place.alone, "--from-beginning")
    writing = job("produce", place.strict, "--events", "--rate", "5", "--json")
    wait_until(
        "both have said that they wait", lambda: "waiting:" in reading.err and "waiting:" in writing.err
    )
    place.cluster.start(DOWN)
    wait_until(
        "the writer goes on", lambda: f"going on: topic {place.strict} takes records again" in writing.err
    )
    wait_until("the reader goes on", lambda: "has a leader again" in reading.err)
    wait_until("all is read", lambda: reading.out.count("\n") >= 90)
    said = writing.stop()
    assert said.code == 130
    found = said.json()
    (part,) = found["partitions"]
    assert found["failed"] == 0
    assert part["lastOffset"] - part["firstOffset"] + 1 == part["records"] == found["acknowledged"]
    assert reading.stop().code == 130
