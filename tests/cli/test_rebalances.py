"""``rota groups rebalances``: why a group rebalanced."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from tests.brokers import BrokerUnderTest
from tests.cli.command import Command, Running
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S
from tests.kafka.server import RealKafka

from rota.testing import Broker

NewName = Callable[[str], str]


@pytest.fixture
def group(desk: Desk) -> str:
    """A group in which "one" was joined by "two"."""
    topic, name = desk.topic("orders", 2), desk.name("group")
    parts = desk.produce(topic, 3, 2)
    first = desk.member("confluent", name, topic, "one", commit_each_poll=True)
    desk.wait_stable(name, [first], parts)
    second = desk.member("confluent", name, topic, "two", commit_each_poll=True)
    desk.wait_stable(name, [first, second], parts)
    return name


def test_plain_json_and_at(cli: Command, broker: BrokerUnderTest, group: str, tmp_path: Path) -> None:
    said = cli.good("groups", "rebalances", group)
    assert re.match(rf"Group {group}, since \d{{4}}-\d\d-\d\d [\d:]{{8}}: \d+ rebalances?\.$", said.lines[0])
    assert re.search(r"^#\d +[\d:.]{10}  two joined$", said.out, re.MULTILINE)
    assert "    certain: it was no member before, and runs at 127.0.0.1" in said.lines
    assert re.search(
        r"^    completed (after|at) .*: generation \d+, 2 members, range$", said.out, re.MULTILINE
    )
    assert re.search(r"^    moved: orders\S* \d from one to two$", said.out, re.MULTILINE)

    document = cli.good("groups", "rebalances", group, "--json").json()
    last = document["rebalances"][-1]
    assert (document["group"], last["words"]) == (group, "two joined")
    assert last["causes"][0]["certainty"] == "certain"
    assert len(last["moves"]) == 1

    moment = re.findall(r"(\d\d:\d\d:\d\d)\.\d  two joined", said.out)[-1]
    answer = cli.good("groups", "rebalances", group, "--at", moment)
    assert f"At {moment}" in answer.out
    assert "the group rebalanced: two joined (certain: it was no member before" in answer.out
    assert cli.good("groups", "rebalances", group, "--since", moment).out.count("two joined") == 1

    none = cli.good("groups", "rebalances", group, "--at", "2001-01-01T14:02:00Z")
    assert "0 of them at the time asked for" in none.lines[0]
    assert none.lines[-1].startswith("There were rebalances at ")

    if broker.kind == "kafka":
        log = str(broker.data_dir.parent / "server.log")
        assert "two joined" in cli.good("groups", "rebalances", group, "--broker-log", log).out
    empty = tmp_path / "empty.log"
    empty.write_text("nothing of interest\n")
    assert "says nothing of groups" in cli("groups", "rebalances", group, "--broker-log", str(empty)).err


def test_follow(cli: Command, desk: Desk) -> None:
    topic, name = desk.topic("orders", 2), desk.name("group")
    parts = desk.produce(topic, 3, 2)
    first = desk.member("confluent", name, topic, "one")
    desk.wait_stable(name, [first], parts)
    with cli.start("groups", "rebalances", name, "--follow") as running:
        assert re.fullmatch(rf"Group {name}: \d+ rebalances? so far. Ctrl\+C ends\.", running.next_out())
        desk.member("confluent", name, topic, "two")
        _await(running, r"#\d +[\d:.]{10}  two joined")
        _await(running, r"    moved: .* from one to two")
        said = running.stop()
    assert (said.code, said.err) == (130, "")


def _await(running: Running, pattern: str) -> None:
    """Lines may come between; a test's time limit ends an endless wait."""
    for _ in range(1000):
        line = running.next_out()
        if re.fullmatch(pattern, line):
            return
        assert line or running.process.poll() is None
    raise AssertionError(f"no line {pattern}")


def test_follow_in_json(cli: Command, desk: Desk) -> None:
    topic, name = desk.topic("orders", 2), desk.name("group")
    parts = desk.produce(topic, 3, 2)
    first = desk.member("confluent", name, topic, "one")
    desk.wait_stable(name, [first], parts)
    with cli.start("groups", "rebalances", name, "-f", "--json", "--since", "2001-01-01T00:00") as running:
        assert _next_words(running)[0] in {"one joined", "for an unknown reason"}
        second = desk.member("confluent", name, topic, "two")
        desk.wait_stable(name, [first, second], parts)
        words, certainty = _next_words(running)
        while words != "two joined":
            words, certainty = _next_words(running)
        assert certainty == "certain"


def _next_words(running: Running) -> tuple[str, str]:
    document = json.loads(running.next_out())
    causes = document["causes"]
    return document["words"], causes[0]["certainty"] if causes else ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("g", "--at", "14:02", "--since", "14:00"), "give either --at or --since and --follow"),
        (("g", "--at", "14:02", "--follow"), "give either --at or --since and --follow"),
        (("g", "--at", "noon"), "'noon' is no time such as 14:02"),
        ((" ",), "a group wants a name"),
        (("g", "--broker-log", "/nowhere/server.log"), "does not exist"),
        ((), "missing argument 'GROUP'"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    said = Command("127.0.0.1:1")("groups", "rebalances", *arguments)
    assert said.code == 2
    assert words in said.err


def test_nothing_is_recorded(cli: Command, new_name: NewName) -> None:
    said = cli("groups", "rebalances", new_name("nobody"))
    assert (said.code, said.out) == (1, "")
    assert "nothing is recorded for group nobody" in said.err


def test_no_group_at_all_and_no_broker() -> None:
    with Broker() as broker:
        said = Command(broker.bootstrap_servers)("groups", "rebalances", "g")
    assert said.code == 1
    assert "nothing is recorded for group g; `rota groups list` shows the groups" in said.err
    gone = Command(broker.bootstrap_servers)("groups", "rebalances", "g")
    assert gone.code == 1
    assert gone.err.startswith("error: no broker at ")


# --- where the topic may not be read --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def denied(kafka_jars: Path) -> Iterator[RealKafka]:
    """A Kafka that lets nobody read `__consumer_offsets`."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "group.initial.rebalance.delay.ms": "0",
    }
    with RealKafka(settings) as kafka:
        rule = AclBinding(
            ResourceType.TOPIC,
            "__consumer_offsets",
            ResourcePatternType.LITERAL,
            "User:ANONYMOUS",
            "*",
            AclOperation.READ,
            AclPermissionType.DENY,
        )
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        for future in admin.create_acls([rule]).values():
            future.result(PATIENCE_S)
        yield kafka


def test_without_the_topic_the_group_is_asked_again_and_again(denied: RealKafka) -> None:
    command = Command(denied.bootstrap_servers)
    with Desk(denied) as desk:
        topic, name = desk.topic("orders", 2), desk.name("group")
        parts = desk.produce(topic, 3, 2)
        first = desk.member("confluent", name, topic, "one")
        desk.wait_stable(name, [first], parts)

        said = command("groups", "rebalances", name)
        assert said.code == 1
        assert "cannot read __consumer_offsets" in said.err
        assert "add --follow" in said.err

        with command.start("groups", "rebalances", name, "--follow") as running:
            assert "asking the group again and again instead" in running.next_err()
            running.next_out()
            second = desk.member("confluent", name, topic, "two")
            desk.wait_stable(name, [first, second], parts)
            _await(running, r"#\d +[\d:.]{10}  two joined")
            second.stop()
            _await(running, r"#\d +[\d:.]{10}  two left")
            assert running.stop().code == 130
