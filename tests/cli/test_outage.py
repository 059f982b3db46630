"""A broker that dies under a running command, and comes back."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Command

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest


def test_a_consumer_waits_for_a_killed_broker_and_goes_on(
    own_broker: "BrokerUnderTest", new_name: Callable[[str], str]
) -> None:
    cli, address = Command(own_broker.bootstrap_servers), own_broker.bootstrap_servers
    topic, group = new_name("orders"), new_name("outage")
    cli.good("topics", "create", topic, "--partitions", "1")
    cli.good("produce", topic, stdin="before\n")
    with cli.start("consume", topic, "--group", group, "--from-beginning", "--commit", "manual") as member:
        assert member.next_err().endswith(f"assigned {topic} 0 (now 1 partition)")
        assert member.next_out() == "before"
        own_broker.kill()
        waiting = f"waiting: no broker of {address} answers; going on as soon as one does"
        assert member.next_err() == waiting
        own_broker.start()
        cli.good("produce", topic, stdin="after\n")
        assert member.next_out() == "after"
        said = member.stop()
    assert said.code == 130
    assert f"going on: {address} answers again" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("commit", ["auto", "manual"])
def test_a_consumer_is_stopped_while_no_broker_answers(
    own_broker: "BrokerUnderTest", new_name: Callable[[str], str], commit: str
) -> None:
    """librdkafka alone would wait for its coordinator as long as the session lasts, deaf to Ctrl+C."""
    cli, topic = Command(own_broker.bootstrap_servers), new_name("orders")
    cli.good("topics", "create", topic, "--partitions", "1")
    cli.good("produce", topic, stdin="one\n")
    joins = ("consume", topic, "--group", new_name("stopped"), "--from-beginning", "--commit", commit)
    with cli.start(*joins) as member:
        assert member.next_err().endswith(f"assigned {topic} 0 (now 1 partition)")
        assert member.next_out() == "one"
        own_broker.kill()
        assert member.next_err().startswith("waiting: no broker of ")
        said = member.stop()
    assert said.code == 130
    assert "left without a goodbye" in said.err
    assert "Traceback" not in said.err


def test_a_watch_shows_the_outage_and_goes_on(
    own_broker: "BrokerUnderTest", new_name: Callable[[str], str]
) -> None:
    cli = Command(own_broker.bootstrap_servers)
    topic, group = new_name("orders"), new_name("watched")
    cli.good("topics", "create", topic, "--partitions", "1")
    cli.good("produce", topic, stdin="one\n")
    limits = ("--max-messages", "1", "--timeout-ms", "60000")
    assert (
        cli("consume", topic, "--group", group, "--from-beginning", "--commit", "manual", *limits).code == 0
    )
    with cli.start("groups", "describe", group, "--state", "--watch", "0.3") as watching:
        until(watching.next_out, "Empty")
        own_broker.kill()
        until(watching.next_out, "no broker at")
        own_broker.start()
        until(watching.next_out, "Empty")


def until(next_line: Callable[[], str], part: str) -> None:
    """Read lines up to the first that holds the part; the test's own time limit bounds the wait."""
    while part not in next_line():
        pass
