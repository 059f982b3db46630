"""`rota topics` on a broker, beside kafka-topics on the same broker."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Command

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

NewName = Callable[[str], str]


def test_create_list_describe_grow_and_delete(cli: Command, new_name: NewName) -> None:
    topic = new_name("orders")
    assert cli.good("topics", "create", topic, "--partitions", "3").out == f"Created topic {topic}.\n"
    assert topic in cli.good("topics", "list").lines
    assert [topic, "3"] in [line.split() for line in cli.good("topics", "list", "--partitions").lines]

    again = cli("topics", "create", topic)
    assert (again.code, again.out) == (1, "")
    assert again.err == (
        f"error: could not create topic {topic}: it already exists (--if-not-exists makes this no error)\n"
    )
    there = cli.good("topics", "create", topic, "--if-not-exists", "--json")
    assert there.json() == {"topic": topic, "created": False}

    grown = cli.good("topics", "add-partitions", topic, "--to", "5")
    assert grown.out == f"Topic {topic} has 5 partitions now (before: 3).\n"
    assert cli("topics", "add-partitions", topic, "--to", "4").code == 2
    (described,) = cli.good("topics", "describe", topic, "--json").json()
    assert [part["partition"] for part in described["partitions"]] == [0, 1, 2, 3, 4]

    assert cli.good("topics", "delete", topic).out == f"Deleted topic {topic}.\n"
    assert topic not in cli.good("topics", "list").lines
    assert cli.good("topics", "delete", topic, "--if-exists", "--json").json() == {
        "deleted": [],
        "absent": [topic],
    }


def test_settings_are_kept_and_wrong_ones_refused(cli: Command, new_name: NewName) -> None:
    topic = new_name("actions")
    settings = ("--config", "retention.ms=3600000", "--config", "cleanup.policy=compact")
    cli.good("topics", "create", topic, "-p", "2", *settings)
    (described,) = cli.good("topics", "describe", topic, "--json").json()
    assert described["configs"].items() >= {"retention.ms": "3600000", "cleanup.policy": "compact"}.items()
    wrong = cli("topics", "create", new_name("wrong"), "--config", "retention.m=1")
    assert (wrong.code, wrong.out, wrong.err.count("\n")) == (2, "", 1)
    assert "retention.m" in wrong.err
    assert cli("topics", "create", new_name("wrong"), "--config", "retention.ms=soon").code == 2
    assert cli("topics", "create", new_name("wrong"), "--replication-factor", "9").code == 2


@pytest.mark.parametrize(
    "line", ["describe {}", "delete {}", "add-partitions {} --to 3"], ids=lambda line: line.split()[0]
)
def test_a_topic_that_does_not_exist(cli: Command, new_name: NewName, line: str) -> None:
    topic = new_name("absent")
    said = cli("topics", *line.format(topic).split())
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert f"topic {topic}" in said.err
    assert "not exist" in said.err
    assert "`rota topics list" in said.err
    assert "shows" in said.err


@pytest.mark.parametrize("name", ["a b", "a/b", "", "x" * 250, ".."])
def test_an_impossible_name(cli: Command, name: str) -> None:
    said = cli("topics", "create", name)
    assert said.code == 2
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("error: ")


def test_described_as_kafka_topics_does(
    cli: Command, broker: "BrokerUnderTest", kafka_jars: Path, new_name: NewName
) -> None:
    """The same lines; Elr and LastKnownElr, which librdkafka cannot ask for, are empty on one node."""
    from tests.kafka.tools import KafkaTools

    topic = new_name("web-events-partitioned")
    cli.good("topics", "create", topic, "-p", "3", "--config", "retention.ms=3600000")
    theirs = KafkaTools(broker.bootstrap_servers)("kafka-topics", "--describe", "--topic", topic)
    ours = cli.good("topics", "describe", topic).out
    assert ours.splitlines() == [line for line in theirs.splitlines() if "opic: " in line]
