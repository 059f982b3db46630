"""`rota groups delete`, `delete-offsets` and `remove-members`, and how they are confirmed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Command
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import Admin
from rota.cli import run
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.member import Member
    from tests.java.tools import JavaTools


PATIENT = ("--timeout", str(int(PATIENCE_S * 1000)))


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Stage:
    """A topic of three partitions, and groups that only have offsets."""

    desk: Desk
    admin: Admin
    topic: str
    capfd: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Said:
        self.capfd.readouterr()
        code = run(["groups", *words, "-b", self.desk.bootstrap_servers, *PATIENT])
        return Said(code, *self.capfd.readouterr())

    def group(self, stem: str = "old") -> str:
        """A group that has committed 1 in partitions 0 and 1."""
        name = self.desk.name(stem)
        commits = {TopicPartition(self.topic, number): Commit(1) for number in range(2)}
        assert set(self.admin.alter_offsets(name, commits).values()) == {None}
        return name

    def exists(self, group: str) -> bool:
        facts = self.admin.describe_groups([group])[group]
        assert not isinstance(facts, RotaError)
        return facts.exists

    def committed(self, group: str) -> dict[int, int]:
        commits = self.admin.commits([group])[group]
        assert not isinstance(commits, RotaError)
        return {tp.partition: at.offset for tp, at in sorted(commits.items())}

    def member(self, group: str, instance_id: str | None = None, session_timeout_ms: int = 10_000) -> Member:
        """One that has read everything."""
        member = self.desk.member(
            "confluent",
            group,
            self.topic,
            f"web-{instance_id}",
            instance_id=instance_id,
            commit_each_poll=True,
            session_timeout_ms=session_timeout_ms,
        )
        member.wait_owns(3)
        return member


@pytest.fixture(scope="module")
def desk(broker: BrokerUnderTest) -> Iterator[Desk]:
    with Desk(broker) as each:
        yield each


@pytest.fixture(scope="module")
def topic(desk: Desk) -> str:
    name = desk.topic("deleted", 3)
    desk.produce(name, per_partition=2, partitions=3)
    return name


@pytest.fixture
def stage(
    desk: Desk, topic: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """In a directory of its own, where rollback files go; without a terminal."""
    monkeypatch.chdir(tmp_path)
    with Admin(desk.bootstrap_servers, timeout_s=PATIENCE_S) as admin, Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield Stage(desk, admin, topic, capfd)


def test_a_group_is_deleted_and_comes_back(stage: Stage) -> None:
    group = stage.group()
    said = stage("delete", group, "--yes", group)
    assert (said.code, said.out) == (0, f"Deleted group {group} (2 committed offsets).\n")
    assert not stage.exists(group)
    words = said.err.strip().removeprefix("To take it back: ").split()
    assert run([*words[1:], *PATIENT]) == 0
    assert stage.committed(group) == {0: 1, 1: 1}


def test_without_a_terminal_nothing_is_destroyed_unless_it_is_named(stage: Stage) -> None:
    group = stage.group()
    for words in (
        ("delete", group),
        ("delete-offsets", group, "--topic", stage.topic),
    ):
        said = stage(*words)
        assert (said.code, said.out) == (2, "")
        assert f"Without a terminal to ask at, confirm it with --yes {group}" in said.err
        wrong = stage(*words, "--yes", "another")
        assert wrong.code == 2
        assert f"--yes another does not confirm this: it is about {group}" in wrong.err
    assert stage.committed(group) == {0: 1, 1: 1}
    assert not list(Path().iterdir())


def test_several_groups_are_confirmed_by_names_or_by_their_number(stage: Stage) -> None:
    first, second, third = stage.group(), stage.group(), stage.group()
    assert stage("delete", first, second, "--yes", "3 groups").code == 2
    assert stage("delete", first, second, "--yes", first).code == 2
    assert stage("delete", first, second, "--yes", second, "--yes", first, "--no-rollback").code == 0
    assert stage("delete", third, "--group", third, "--yes", third, "--json").code == 0
    others = [stage.group(), stage.group()]
    said = stage("delete", *others, "--yes", "2 groups", "--rollback", "both.csv")
    assert said.code == 0
    assert Path("both.csv").read_text().count("\n") == 4
    assert not any(map(stage.exists, (first, second, third, *others)))


def test_what_can_be_deleted_is_and_the_rest_is_named(stage: Stage) -> None:
    good, active, absent = stage.group(), stage.desk.name("active"), stage.desk.name("nobody")
    member = stage.member(active, "pod-1")
    try:
        said = stage("delete", good, active, absent, "--yes", good)
    finally:
        member.stop()
    assert said.code == 1
    assert not stage.exists(good)
    assert "Stop 1 member first:\n  web-pod-1 on 127.0.0.1, instance pod-1 (" in said.err
    assert f"error: group {active} is Stable and was not deleted: stop its members first" in said.err
    assert f"error: group {absent} does not exist" in said.err


def test_what_is_absent_is_named_also_where_nothing_is_confirmed(stage: Stage) -> None:
    good, absent = stage.group(), stage.desk.name("nobody")
    for words in (["--yes", "2 groups"], []):
        said = stage("delete", good, absent, *words)
        assert said.code == 2
        assert f"error: group {absent} does not exist" in said.err
    assert stage.exists(good)


def test_offsets_are_deleted_as_kafkas_tool_says_it(stage: Stage, java_tools: JavaTools) -> None:
    ours, theirs = stage.group(), stage.group()
    said = stage("delete-offsets", ours, "--topic", f"{stage.topic}:1,2", "--yes", ours)
    assert said.code == 0
    kafka = java_tools.run(
        "kafka-consumer-groups",
        *("--bootstrap-server", stage.desk.bootstrap_servers, "--delete-offsets", "--group", theirs),
        *("--topic", f"{stage.topic}:1,2"),
    )
    assert [line for line in said.out.splitlines() if line] == [
        line for line in kafka.out.splitlines() if line and not line.startswith("Request succeeded")
    ]
    assert stage.committed(ours) == stage.committed(theirs) == {0: 1}
    words = said.err.strip().removeprefix("To take it back: ").split()
    assert run([*words[1:], *PATIENT]) == 0
    assert stage.committed(ours) == {0: 1, 1: 1}


def test_offsets_that_members_subscribe_to_stay(stage: Stage) -> None:
    group = stage.desk.name("active")
    member = stage.member(group)
    stage.desk.wait_committed(group, {(stage.topic, number): 2 for number in range(3)})
    try:
        said = stage("delete-offsets", group, "--topic", f"{stage.topic}:0", "--yes", group)
        assert said.code == 1
        assert "subscribe to the topic; stop them first" in said.err
        assert "To take it back" not in said.err
        assert stage.committed(group) == {0: 2, 1: 2, 2: 2}
    finally:
        member.stop()


def test_offsets_of_what_is_not_there(stage: Stage) -> None:
    group = stage.group()
    assert stage("delete-offsets", group, "--topic", "no-such-topic", "--yes", group).code == 1
    nothing = stage("delete-offsets", group, "--topic", f"{stage.topic}:2", "--yes", group)
    assert (nothing.code, nothing.err) == (
        1,
        f"error: group {group} has committed nothing there: {stage.topic}:2\n",
    )
    absent = stage.desk.name("nobody")
    said = stage("delete-offsets", absent, "--topic", stage.topic, "--yes", absent)
    assert (said.code, said.out) == (1, "")
    assert f"group {absent} does not exist" in said.err


def test_a_static_member_that_is_gone_is_removed(stage: Stage) -> None:
    group = stage.desk.name("static")
    stays, goes = (
        stage.member(group, "pod-1", 60_000),
        stage.desk.process_member(
            "confluent", group, stage.topic, "web-pod-2", instance_id="pod-2", session_timeout_ms=60_000
        ),
    )
    wait_until("both have partitions", lambda: len(stays.owned) + len(goes.owned) == 3 and goes.owned)
    goes.kill()
    unknown = stage("remove-members", group, "--instance", "pod-9", "--yes", group)
    assert unknown.code == 1
    assert f"group {group} has no static member pod-9; there are pod-1, pod-2" in unknown.err
    assert stage("remove-members", group, "--instance", "pod-2").code == 2
    said = stage("remove-members", group, "--instance", "pod-2", "--yes", group)
    assert (said.code, said.out, said.err) == (0, f"Removed pod-2 from group {group}.\n", "")
    stays.wait_owns(3)
    stays.stop()


def test_a_group_without_static_members(stage: Stage) -> None:
    said = stage("remove-members", group := stage.group(), "--all-static", "--yes", group)
    assert (said.code, said.err) == (1, f"error: group {group} has no static member\n")


@pytest.mark.parametrize(
    ("typed", "code"), [("the name", 0), ("yes", 1), ("", 1), ("\x04", 130), ("\x03", 130)]
)
def test_at_a_terminal_the_name_is_typed(cli: Command, stage: Stage, typed: str, code: int) -> None:
    group = stage.group()
    said = at_a_terminal(
        cli, typed.replace("the name", group), "groups", "delete", group, "--no-rollback", *PATIENT
    )
    # Pressed once more while it ends, Ctrl+C ends it as it ends any program.
    assert said.code in ({code, -signal.SIGINT} if typed == "\x03" else {code}), said
    assert f"This deletes group {group} and its 2 committed offsets" in said.err
    assert "Type the group's name to go on:" in said.err
    assert stage.exists(group) == (code != 0)
    if code == 1:
        assert f"'{typed}' is not '{group}': nothing was changed" in said.err


ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, sys.argv[1:])
"""
"""So that Ctrl+C there is a signal."""


def at_a_terminal(cli: Command, typed: str, *words: str) -> Said:
    """Run a command whose standard input and standard error are a terminal, and type a line when it asks."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ITS_TERMINAL, sys.executable, "-m", "rota", *words],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=cli.environment(),
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"to go on:" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, typed.encode() + (b"" if typed in {"\x03", "\x04"} else b"\n"))
    if typed == "\x03":

        def ended() -> bool:
            """A signal in the moment before it waits is noticed with the next key: so people press it again."""
            if process.poll() is None:
                os.write(ours, b"\x03")
            return process.poll() is not None

        wait_until("Ctrl+C ends it", ended, every_s=0.5)
    assert process.stdout is not None
    out = process.stdout.read()
    code = process.wait(PATIENCE_S)
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # nobody has the other side open any more
        pass
    os.close(ours)
    return Said(code, out.decode(), shown.decode())


@pytest.mark.parametrize("command", ["delete", "delete-offsets"])
def test_what_is_committed_while_it_asks_comes_back_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    group = stage.group()

    def typed(*_: object, **__: object) -> str:
        late = {TopicPartition(stage.topic, 0): Commit(2), TopicPartition(stage.topic, 2): Commit(1)}
        assert set(stage.admin.alter_offsets(group, late).values()) == {None}
        return group

    monkeypatch.setattr("rota.cli.confirm.click.prompt", typed)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    words = ("--topic", stage.topic) if command == "delete-offsets" else ()
    said = stage(command, group, *words, "--rollback", "before.csv")
    assert said.code == 0, said
    assert not stage.exists(group) or stage.committed(group) == {}
    if command == "delete":
        assert said.out == f"Deleted group {group} (3 committed offsets).\n"
    assert stage("reset-offsets", group, "--from-file", "before.csv", "--execute").code == 0
    assert stage.committed(group) == {0: 2, 1: 1, 2: 1}


def test_a_group_that_somebody_joins_while_it_asks_stays(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = stage.group()
    members = []

    def typed(*_: object, **__: object) -> str:
        members.append(stage.member(group))
        return group

    monkeypatch.setattr("rota.cli.confirm.click.prompt", typed)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    try:
        said = stage("delete", group)
    finally:
        for member in members:
            member.stop()
    assert (said.code, said.out) == (1, "")
    assert f"group {group} is Stable and was not deleted: stop its members first" in said.err
    assert "To take it back" not in said.err
    assert not list(Path().iterdir())


def test_a_name_that_a_terminal_would_obey_is_deleted_and_comes_back(stage: Stage) -> None:
    group = f"{stage.group()}\x1b[2J\n'\x07"
    commits = {TopicPartition(stage.topic, 0): Commit(1)}
    assert set(stage.admin.alter_offsets(group, commits).values()) == {None}
    listed = stage("list")
    assert group.replace("\x1b", "�").replace("\n", "�").replace("\x07", "�") in listed.out.splitlines()
    refused = stage("delete", group)
    said = stage("delete", group, "--yes", group)
    assert (refused.code, said.code) == (2, 0)
    assert not set("\x1b\x07") & set(listed.out + refused.err + said.out + said.err)
    assert not stage.exists(group)
    line = said.err.strip().removeprefix("To take it back: ").removeprefix("rota ")
    echo = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert run([*echo.stdout.decode().split("\0")[:-1], *PATIENT]) == 0
    assert stage.committed(group) == {0: 1}
