"""`rota top` as a user runs it: on a terminal of its own, against real brokers, with real consumers."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.cli.command import Command
from tests.rehearsal.terminal import Terminal

from rota.admin import Admin
from rota.cli.top import top
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk

LEAVES_SCREEN = "\x1b[?1049l"
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:[34][0-7]|[349]8;[25]|9[0-7])(?:;\d+)*m")


def _top(broker: str, *arguments: str, env: dict[str, str] | None = None) -> Terminal:
    return Terminal("top", *arguments, "-b", broker, "--refresh", "0.5", columns=120, rows=40, env=env)


def test_a_group_its_rebalance_and_the_way_out(desk: Desk) -> None:
    topic, group = desk.topic("top", partitions=4), desk.name("top-group")
    parts = desk.produce(topic, 5, 4)
    first = desk.member("confluent", group, topic, "worker-1")
    second = desk.member("confluent", group, topic, "worker-2")
    desk.wait_stable(group, [first, second], parts)
    with _top(desk.bootstrap_servers) as terminal:
        terminal.wait_for(group)
        terminal.press(f":group {group}\r")
        terminal.wait_for("worker-2")
        terminal.wait_for("joined")
        terminal.forget()
        first.stop()
        terminal.wait_for("worker-1 left")
        terminal.press("\x1b")
        terminal.wait_for("rota top")
        terminal.press("q")
        assert terminal.wait() == 0
        assert LEAVES_SCREEN in terminal.raw


def test_a_broker_that_goes_away_is_said_and_comes_back_by_itself(own_broker: BrokerUnderTest) -> None:
    with _top(own_broker.bootstrap_servers) as terminal:
        terminal.wait_for("There are no groups.")
        own_broker.kill()
        terminal.wait_for("THE CLUSTER IS AWAY")
        terminal.forget()
        own_broker.start()
        terminal.wait_for("There are no groups.")
        terminal.press("\x03")
        assert terminal.wait() == 0


def _commit(desk: Desk, group: str, offset: int) -> dict[TopicPartition, Commit]:
    """A group that nobody is in, with this committed in both partitions of a topic with 10 records in each."""
    topic = desk.topic("top", partitions=2)
    desk.produce(topic, 10, 2)
    commits = {TopicPartition(topic, number): Commit(offset) for number in range(2)}
    with Admin(desk.bootstrap_servers) as admin:
        assert admin.alter_offsets(group, commits) == dict.fromkeys(commits)
    return commits


def _offsets(desk: Desk, group: str) -> dict[TopicPartition, int]:
    with Admin(desk.bootstrap_servers) as admin:
        found = admin.commits([group])[group]
    assert isinstance(found, dict)
    return {part: commit.offset for part, commit in found.items()}


def test_what_was_deleted_can_be_brought_back_with_the_command_that_is_left_on_the_terminal(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the rollback file is written
    config = tmp_path / "client properties"
    config.write_text("client.id=top\n")
    group = f"{desk.name('top-group')} of two words"
    before = {part: commit.offset for part, commit in _commit(desk, group, 3).items()}
    with _top(desk.bootstrap_servers, group, "--allow-changes", "--command-config", str(config)) as terminal:
        terminal.wait_for("m Members")
        terminal.press("\x04")
        terminal.wait_for("Type the group's name to delete it")
        terminal.press(f"{group}\r")
        terminal.wait_for("To take it back")
        assert _offsets(desk, group) == {}
        terminal.press("\x1b")
        terminal.wait_for("enter open")  # back among the groups
        terminal.press("q")
        assert terminal.wait() == 0
        left = terminal.raw.partition(LEAVES_SCREEN)[2]
    [line] = [line for line in left.splitlines() if "To take it back: " in line]
    command = shlex.split(line.partition("To take it back: ")[2])
    assert command[-4:] == [
        "--bootstrap-server",
        desk.bootstrap_servers,
        "--command-config",
        str(config),
    ]
    Command("127.0.0.1:1")(*command[1:])
    assert _offsets(desk, group) == before


def test_the_doctor_s_commands_reach_the_cluster_as_they_are_printed(desk: Desk, tmp_path: Path) -> None:
    config = tmp_path / "client properties"
    config.write_text("client.id=top\n")
    group = desk.name("top-group")
    _commit(desk, group, 300)
    with _top(desk.bootstrap_servers, group, "--command-config", str(config)) as terminal:
        terminal.wait_for("D23")
        terminal.press("d")
        terminal.wait_for("--command-config")
        terminal.press("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_leaves_the_terminal_as_it_was(desk: Desk, number: signal.Signals) -> None:
    with _top(desk.bootstrap_servers, "no-such-group", env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("The group no-such-group does not exist")
        assert not COLOUR.search(terminal.raw), "no colour where none is wanted"
        os.kill(terminal.pid, number)
        assert terminal.wait() == 128 + number
        assert LEAVES_SCREEN in terminal.raw


def test_without_a_terminal_it_says_what_to_use() -> None:
    said = Command("127.0.0.1:1")("top", "orders")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert "needs a terminal; `rota groups describe orders` prints the same once" in said.err


def test_without_textual_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    result = CliRunner().invoke(top, [])
    assert isinstance(result.exception, RotaError)
    assert "pip install 'rota[top]'" in str(result.exception)


def test_a_wrong_address_is_said_at_once() -> None:
    with Terminal("top", "-b", "127.0.0.1:1", "--timeout", "2000") as terminal:
        assert terminal.wait() == 1
        assert "127.0.0.1:1" in terminal.text
        assert LEAVES_SCREEN not in terminal.raw
