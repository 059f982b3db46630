"""`rota groups list` and `describe` on live groups; `test_groups_layouts` compares them with Kafka's own tool."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer
from tests.cli.command import Command
from tests.kafka.ports import wait_until

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

NewName = Callable[[str], str]


class Member:
    """A consumer that polls in a thread and commits what it read."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, client_id: str, **more: str) -> None:
        config = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "client.id": client_id,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": "200",
            "log_level": 0,
            **{name.replace("_", "."): value for name, value in more.items()},
        }
        self._consumer = Consumer(config)
        self._consumer.subscribe([topic])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._consumer.poll(0.05)
        self._consumer.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(frozen=True)
class Group:
    """A group that has read everything there is in its topic."""

    name: str
    topic: str


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_members:
        yield open_members


MakeGroup = Callable[..., Group]


@pytest.fixture
def make_group(cli: Command, broker: "BrokerUnderTest", new_name: NewName, stack: ExitStack) -> MakeGroup:
    """Starts a group of so many members on a topic of so many partitions and waits until it is settled."""

    def make(stem: str, members: int, partitions: int, **more: str) -> Group:
        group, topic = new_name(stem), new_name("new_users")
        cli.good("topics", "create", topic, "-p", str(partitions))
        cli.good("produce", topic, "--events", "--rate", "0", "--count", "200")
        for number in range(members):
            filled = {name: value.format(number) for name, value in more.items()}
            member = Member(broker.bootstrap_servers, topic, group, f"consumer-{number}", **filled)
            stack.callback(member.close)
        wait_until(f"{group} to settle", lambda: settled(cli, group, members, partitions), every_s=0.3)
        return Group(group, topic)

    return make


def settled(cli: Command, group: str, members: int, partitions: int) -> bool:
    """Stable, with all members, all partitions owned and all records committed."""
    said = cli("groups", "describe", group, "--json")
    if said.code != 0:
        return False
    (described,) = said.json()
    rows = described["offsets"]
    return (
        described["state"] == "Stable"
        and len(described["members"]) == members
        and sum(len(member["assignment"]) for member in described["members"]) == partitions
        and sum(row["currentOffset"] or 0 for row in rows) == 200
        and all(row["memberId"] for row in rows)
    )


def test_a_group_that_everybody_has_left(cli: Command, new_name: NewName) -> None:
    topic, group = new_name("new_users"), new_name("gone")
    cli.good("topics", "create", topic, "-p", "2")
    cli.good("produce", topic, "--events", "--rate", "0", "--count", "50")
    commits = ("--group", group, "--from-beginning", "--commit", "manual")
    assert cli("consume", topic, *commits, "--max-messages", "30", "--timeout-ms", "60000").code == 0
    for view in ("", "--members", "--state"):
        assert cli("groups", "describe", group, *view.split()).err == f"\nNobody is in group {group!r} now.\n"
    (described,) = cli("groups", "describe", group, "--json").json()
    assert sum(row["lag"] for row in described["offsets"] if row["lag"] is not None) <= 20


def test_the_list_by_state_and_type(cli: Command, make_group: MakeGroup) -> None:
    group = make_group("listed", 1, 1)
    assert group.name in cli.good("groups", "list").lines
    assert group.name in cli.good("groups", "list", "--state", "stable").out
    assert group.name not in cli.good("groups", "list", "--state", "empty,dead").out
    assert group.name in cli.good("groups", "list", "--type", "classic").out
    listed = cli.good("groups", "list", "--json").json()
    assert {"group": group.name, "type": "Classic", "state": "Stable"} in listed
    assert f"{group.name},Classic,Stable" in cli.good("groups", "list", "--csv").lines


def test_more_members_than_partitions(cli: Command, make_group: MakeGroup) -> None:
    group = make_group("six", 6, 5)
    members = cli("groups", "describe", group.name, "--members")
    assert sorted(line.split()[-1] for line in members.out.splitlines()[2:]) == ["0", "1", "1", "1", "1", "1"]
    assert members.err.startswith(f"\nIdle in consumer group '{group.name}', without a partition: consumer-")
    offsets = cli("groups", "describe", group.name)
    assert len(offsets.out.splitlines()) == 2 + 5


def test_the_planner_agrees_with_a_real_group(cli: Command, make_group: MakeGroup) -> None:
    group = make_group("planned", 3, 5)
    (described,) = cli("groups", "describe", group.name, "--json").json()
    real = sorted((len(member["assignment"]) for member in described["members"]), reverse=True)
    (planned,) = cli.good("plan", "--members", "3", "--partitions", "5", "--json").json()
    assert real == planned["sizes"] == [2, 2, 1]


def test_a_group_that_does_not_exist(cli: Command, new_name: NewName) -> None:
    group = new_name("absent")
    said = cli("groups", "describe", group)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"error: group {group} does not exist; `rota groups list` shows those that do\n"


@pytest.mark.parametrize("view", ["--offsets", "--members", "--state", "--json"])
def test_one_of_two_groups_does_not_exist(
    cli: Command, make_group: MakeGroup, new_name: NewName, view: str
) -> None:
    group, absent = make_group("present", 1, 2), new_name("absent")
    said = cli("groups", "describe", absent, group.name, view)
    assert said.code == 1
    assert group.name in said.out
    errors = [line for line in said.err.splitlines() if line.startswith("error")]
    assert errors == [f"error: group {absent} does not exist; `rota groups list` shows those that do"]


def test_watch_into_a_pipe_prints_block_after_block(cli: Command, make_group: MakeGroup) -> None:
    group = make_group("watched", 1, 2)
    once = cli("groups", "describe", group.name).lines
    with cli.start("groups", "describe", group.name, "--watch", "0.2") as watching:
        first = [watching.next_out() for _ in range(5)]
        second = [watching.next_out() for _ in range(5)]
        said = watching.stop(signal.SIGINT)
    for block in (first, second):
        assert block[0].startswith("# 20")
        assert block[1:] == once
        assert block[1] == ""
        assert block[2].startswith("GROUP ")
    assert (said.code, said.err.strip()) == (130, "")


def test_watch_waits_for_a_group_that_is_not_there_yet(cli: Command, new_name: NewName) -> None:
    group = new_name("later")
    with cli.start("groups", "describe", group, "--watch", "0.2") as watching:
        assert watching.next_out().startswith("# 20")
        assert watching.next_out() == f"group {group} does not exist; `rota groups list` shows those that do"
        assert watching.stop().code == 130


def test_watch_as_json_lines(cli: Command, make_group: MakeGroup) -> None:
    group = make_group("watched", 1, 2)
    with cli.start("groups", "describe", group.name, "--watch", "0.2", "--json") as watching:
        first, second = json.loads(watching.next_out()), json.loads(watching.next_out())
    assert [look[0]["group"] for look in (first, second)] == [group.name, group.name]
    assert [row["lag"] for row in first[0]["offsets"]] == [0, 0]
