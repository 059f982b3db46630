"""A broker is killed under load: it led partitions, and it coordinated the groups that everybody here is in."""

from __future__ import annotations

import json
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.conftest import Job
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.cluster import Cluster, CoordinatorAwayError, GroupDescription

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Command, Said
    from tests.kafka.cluster import KafkaCluster

VICTIM = 2
LAB_S = 24
COUNT = "4500"


@dataclass(frozen=True)
class Story:
    """What everybody said who was there."""

    cluster: KafkaCluster
    topic: str
    groups: dict[int, str]
    """Groups by the broker that coordinated them before."""
    coordinators: dict[str, int]
    """The broker that coordinates each now."""
    produced: Said
    consumed: Said
    described: Said
    listed: Said
    lab: Said


@pytest.fixture(scope="module")
def story(
    three: KafkaCluster,
    cli: Command,
    name: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """Broker 2 is killed while a producer, a group and a lab are at work; the cluster is left without it."""
    three.heal()
    directory = tmp_path_factory.mktemp("failover")
    topic = three.create_topic(name("load"), [(1, 2, 3), (2, 3, 1), (3, 1, 2), (2, 1, 3)])
    groups = {node: three.groups_at(node, name("load"))[0] for node in three.ids}
    for group in (groups[1], groups[3]):  # asleep: they only have offsets
        _read_something(cli, topic, group)
    lab_group = three.groups_at(VICTIM, name("lab"))[0]

    def start(*arguments: str) -> Job:
        return Job(cli, directory, *arguments)

    def answered(job: Job, *question: str) -> Said:
        """The answer; asked again where a slow machine's next coordinator takes longer than a question waits."""
        deadline = time.monotonic() + PATIENCE_S
        said = job.end()
        while said.code == 1 and "does not answer" in said.err and time.monotonic() < deadline:
            jobs.append(start(*question))
            said = jobs[-1].end()
        return said

    lab_names = ("--topic", name("lab"), "--group", lab_group, "--partitions", "4")
    jobs = [
        start("lab", "-b", cli.bootstrap_servers, *lab_names, "--duration", str(LAB_S), "--json"),
        start(
            "consume",
            topic,
            "--group",
            groups[VICTIM],
            "--from-beginning",
            "--commit",
            "manual",
            "--format",
            _LAYOUT,
        ),
    ]
    try:
        lab, consuming = jobs
        wait_until("the group reads", lambda: "assigned" in consuming.err)
        wait_until("the lab's group reads", lambda: "Generation 1:" in lab.err)
        producing = start("produce", topic, "--events", "--rate", "300", "--count", COUNT, "--json")
        jobs.append(producing)
        wait_until("the load flows", lambda: consuming.out.count("\n") > 300)
        three.kill(VICTIM)
        describing, listing = start("groups", "describe", groups[VICTIM], "--json"), start("groups", "list")
        jobs += [describing, listing]
        produced = producing.end()
        acknowledged: int = produced.json()["acknowledged"]
        wait_until("all is read", lambda: len(set(consuming.out.splitlines())) >= acknowledged + 2)
        return Story(
            three,
            topic,
            groups,
            three.coordinators(groups.values()),
            produced,
            consuming.stop(),
            answered(describing, "groups", "describe", groups[VICTIM], "--json"),
            answered(listing, "groups", "list"),
            lab.end(),
        )
    finally:
        for job in jobs:
            job.close()


_LAYOUT = "{partition} {offset}"


def _read_something(cli: Command, topic: str, group: str) -> None:
    cli.good("produce", topic, stdin="before\n")
    limits = ("--from-beginning", "--commit", "manual", "--max-messages", "1", "--timeout-ms", "60000")
    assert cli("consume", topic, "--group", group, *limits).code == 0


def test_nothing_acknowledged_is_lost_or_there_twice(story: Story) -> None:
    said = story.produced
    assert (said.code, said.err) == (0, "")
    found = said.json()
    assert found["failed"] == 0
    assert found["acknowledged"] == int(COUNT)
    read = [tuple(map(int, line.split())) for line in story.consumed.lines]
    for part in found["partitions"]:
        assert part["lastOffset"] - part["firstOffset"] + 1 == part["records"]
        wanted = {
            (part["partition"], offset) for offset in range(part["firstOffset"], part["lastOffset"] + 1)
        }
        assert wanted <= set(read)


def test_the_group_goes_on_and_has_committed_all_it_read(story: Story, cli: Command) -> None:
    said = story.consumed
    assert said.code == 130
    assert "Traceback" not in said.err
    assert "not committed" not in said.err
    (document,) = cli("groups", "describe", story.groups[VICTIM], "--json").json()
    assert [row["lag"] for row in document["offsets"]] == [0, 0, 0, 0]


def test_a_question_about_the_group_is_answered_by_its_next_coordinator(story: Story) -> None:
    said = story.described
    assert said.code == 0
    (document,) = said.json()
    assert document["coordinator"]["id"] in {1, 3}
    assert all(row["logEndOffset"] is None or row["logEndOffset"] >= 0 for row in document["offsets"])


def test_the_list_of_groups_holds_those_of_the_broker_that_was_killed(story: Story) -> None:
    assert (story.listed.code, story.listed.err) == (0, "")
    assert set(story.groups.values()) <= set(story.listed.lines)


def test_a_lab_goes_on_and_shows_that_nothing_was_lost(story: Story) -> None:
    said = story.lab
    assert said.code == 0, said.err[-3000:]
    found: dict[str, Any] = json.loads(said.out)
    assert (found["verdict"], found["lost"], found["waiting"]) == ("passed", 0, 0)
    assert found["processed"] == found["produced"] > 0
    assert "The group's coordinator does not answer." in said.err
    assert any(f"answers again: broker {node}, broker 2 before." in said.err for node in (1, 3))
    assert "Traceback" not in said.err
    assert "left behind" not in said.err


def test_a_coordinator_without_a_successor_is_an_error_of_one_line(story: Story, cli: Command) -> None:
    """Two of three brokers are gone: nobody may take over. What the third one coordinates is still described."""
    story.cluster.kill(3)
    here = next(group for group, node in story.coordinators.items() if node == 1)
    away = next(group for group, node in story.coordinators.items() if node == 3)
    said = cli("groups", "describe", here, away, "--state")
    assert said.code == 1
    assert here in said.out
    assert away not in said.out
    error = said.err.splitlines()[-1]
    assert error.startswith(f"error: the coordinator of group {away} does not answer at 127.0.0.1:")
    assert error.endswith("try again")
    assert "Traceback" not in said.err

    cluster = Cluster(cli.bootstrap_servers, timeout_s=1.5)
    given_up = weakref.ref(cluster.admin)
    answers = cluster.try_describe_groups([here, away])
    assert isinstance(answers[here], GroupDescription)
    assert isinstance(answers[away], CoordinatorAwayError)
    # One whose question was never answered may end the process when it is, so nobody keeps it.
    wait_until("the client that asked is given up", lambda: given_up() is None)


def test_leaders_and_coordinators_move_while_a_group_is_described(
    story: Story, job: Callable[..., Job]
) -> None:
    """Runs last: nobody dies here, so those that were asked before are still there to say that they lead no more."""
    cluster, groups = story.cluster, list(story.groups.values())
    cluster.heal(elect=False)
    watch = ("groups", "describe", *groups, "--watch", "0.1", "--json")
    watching = job(*watch)
    wait_until("it looks", lambda: len(_looks(watching)) > 3)
    cluster.elect_preferred(story.topic)
    before = len(_looks(watching))
    wait_until("it goes on looking", lambda: len(_looks(watching)) > before + 3)
    assert watching.stop().code == 130
    rows = [row for look in _looks(watching) for group in look for row in group.get("offsets", [])]
    assert rows
    assert all(row["logEndOffset"] is None or row["lag"] >= 0 for row in rows)
    assert all(row["logEndOffset"] is not None for group in _looks(watching)[-1] for row in group["offsets"])

    watching = job(*watch, "--state")  # with offsets librdkafka may crash when the coordinator moves
    wait_until("it looks", lambda: len(_looks(watching)) > 3)
    cluster.elect_preferred()

    def coordinator() -> int | None:
        found = {group.get("group"): group.get("coordinator") for group in _looks(watching)[-1]}
        return (found.get(story.groups[VICTIM]) or {}).get("id")

    wait_until("the group is coordinated as before", lambda: coordinator() == VICTIM)
    assert watching.stop().code == 130


def _looks(watching: Job) -> list[list[dict[str, Any]]]:
    """What a watch has seen so far; looks that failed are left out."""
    lines = [line for line in watching.out.splitlines(keepends=True) if line.endswith("\n")]
    return [found for found in map(json.loads, lines) if isinstance(found, list)]
