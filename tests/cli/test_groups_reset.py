"""`rota groups reset-offsets` on live groups, beside kafka-consumer-groups, and its files in both directions."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S

from rota.admin import Admin
from rota.cli import run
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.java.tools import JavaTools

START_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z; a record a second from then on, ten in each of three partitions."""
RECORDS, PARTITIONS = 10, 3

EXECUTE = ("--execute", "--no-rollback")
PATIENT = ("--timeout", str(int(PATIENCE_S * 1000)))


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Stage:
    """A topic, and groups that only have offsets."""

    bootstrap_servers: str
    topic: str
    admin: Admin
    desk: Desk
    capfd: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Said:
        self.capfd.readouterr()
        code = run(["groups", *words, "-b", self.bootstrap_servers, *PATIENT])
        return Said(code, *self.capfd.readouterr())

    def reset(self, group: str, *words: str) -> Said:
        return self("reset-offsets", group, *words, *(("--yes", group) if "--no-rollback" in words else ()))

    def group(self, *offsets: int | None, stem: str = "reset") -> str:
        """A group without members; what it has committed of each partition."""
        name = self.desk.name(stem)
        commits = {self.tp(number): Commit(at) for number, at in enumerate(offsets) if at is not None}
        assert set(self.admin.alter_offsets(name, commits).values()) <= {None}
        return name

    def tp(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number)

    def committed(self, group: str) -> list[int | None]:
        commits = self.admin.commits([group])[group]
        assert not isinstance(commits, RotaError)
        return [commits[self.tp(n)].offset if self.tp(n) in commits else None for n in range(PARTITIONS)]


@pytest.fixture(scope="module")
def desk(broker: BrokerUnderTest) -> Iterator[Desk]:
    with Desk(broker) as each:
        yield each


@pytest.fixture(scope="module")
def topic(desk: Desk) -> str:
    name = desk.topic("reset", PARTITIONS, {"retention.ms": "-1"})
    producer = Producer({"bootstrap.servers": desk.bootstrap_servers, "linger.ms": 0, "log_level": 0})
    for number in range(RECORDS):
        for partition in range(PARTITIONS):
            producer.produce(name, b"x", partition=partition, timestamp=START_MS + 1_000 * number)
        assert producer.flush(PATIENCE_S) == 0  # one batch a record
    return name


@pytest.fixture(scope="module")
def admin(desk: Desk) -> Iterator[Admin]:
    with Admin(desk.bootstrap_servers, timeout_s=PATIENCE_S) as each:
        yield each


@pytest.fixture
def stage(
    desk: Desk, topic: str, admin: Admin, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Stage]:
    """In a directory of its own, where rollback files go."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield Stage(desk.bootstrap_servers, topic, admin, desk, capfd)
    os.chdir(before)


def test_a_dry_run_is_a_diff_and_changes_nothing(stage: Stage) -> None:
    group = stage.group(4, 10, 0)
    said = stage.reset(group, "--all-topics", "--to-offset", "2")
    assert said.code == 0
    head, header, *rows = [line for line in said.out.splitlines() if line]
    assert head == f"Group {group} (Empty), --to-offset 2:"
    assert header.split() == ["TOPIC", "PARTITION", "OLD", "NEW", "RECORDS", "WRITTEN"]
    assert [line.split()[1:7] for line in rows] == [
        ["0", "4", "->", "2", "2", "again"],
        ["1", "10", "->", "2", "8", "again"],
        ["2", "0", "->", "2", "2", "skipped"],
    ]
    assert rows[1].endswith("(7.0s)")
    assert (
        said.err
        == "Nothing was changed; with --execute: 10 records again, 2 records skipped, 3 partitions changed.\n"
    )
    assert stage.committed(group) == [4, 10, 0]


def test_execute_writes_what_was_before_and_the_way_back(stage: Stage) -> None:
    group = stage.group(4, 10, None)
    said = stage.reset(
        group, "--topic", stage.topic, "--to-earliest", "--execute", "--rollback", "before.json"
    )
    assert said.code == 0, said
    assert stage.committed(group) == [0, 0, 0]
    back = next(line for line in said.err.splitlines() if line.startswith("To take it back: "))
    words = back.removeprefix("To take it back: ").split()
    assert words[:4] == ["rota", "groups", "reset-offsets", group]
    undone = Said(run([*words[1:], *PATIENT]), *stage.capfd.readouterr())
    assert undone.code == 0, undone
    assert stage.committed(group) == [4, 10, None]


def test_without_gaps_the_rollback_is_kafkas_csv_under_a_name_of_its_own(stage: Stage) -> None:
    group = stage.group(4, 10, 3)
    for offset in ("1", "2"):
        assert stage.reset(group, "--all-topics", "--to-offset", offset, "--execute").code == 0
    first, second = sorted(Path().glob("*.csv"), key=lambda path: path.stat().st_mtime_ns)
    assert re.fullmatch(rf"{group}-before-\d{{8}}T\d{{6}}Z\.csv", first.name)
    assert first.read_text() == "".join(
        f"{stage.topic},{number},{at}\n" for number, at in enumerate((4, 10, 3))
    )
    assert second.read_text() == "".join(f"{stage.topic},{number},1\n" for number in range(3))


def test_without_a_rollback_file_nothing_is_changed(stage: Stage) -> None:
    group = stage.group(4, 4, 4)
    Path("taken.csv").write_text("somebody's")
    for name in ("taken.csv", "no-such-directory/x.csv"):
        said = stage.reset(group, "--all-topics", "--to-earliest", "--execute", "--rollback", name)
        assert said.code == 1
        assert f"the rollback file {name} could not be written" in said.err
        assert "nothing was changed" in said.err
    assert Path("taken.csv").read_text() == "somebody's"
    assert stage.committed(group) == [4, 4, 4]


def test_what_cannot_be_taken_back_is_confirmed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    group = stage.group(4, 4, 4)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        said = stage("reset-offsets", group, "--all-topics", "--to-earliest", *EXECUTE)
        wrong = stage("reset-offsets", group, "--all-topics", "--to-earliest", *EXECUTE, "--yes", "another")
    assert said.code == wrong.code == 2
    assert f"confirm it with --yes {group}" in said.err
    assert stage.committed(group) == [4, 4, 4]


def test_a_file_names_the_groups_also_those_that_do_not_exist(stage: Stage) -> None:
    group, new = stage.group(4, 4, 4), stage.desk.name("new")
    Path("plan.csv").write_text(f"{group},{stage.topic},0,5\n{new},{stage.topic},1,6\n")
    assert stage("reset-offsets", "--all-groups", "--from-file", "plan.csv", "--execute").code == 0
    assert stage.committed(group) == [5, 4, 4]
    assert stage.committed(new) == [None, 6, None]


def test_metadata_comes_back_with_its_offset(stage: Stage) -> None:
    group = stage.group(None, 4, None)
    stage.admin.alter_offsets(group, {stage.tp(0): Commit(7, 0, "done: 8-9")})
    assert stage.reset(group, "--all-topics", "--to-earliest", "--execute").code == 0
    (path,) = Path().glob("*.json")
    assert stage.reset(group, "--from-file", str(path), *EXECUTE).code == 0
    commits = stage.admin.commits([group])[group]
    assert not isinstance(commits, RotaError)
    assert commits == {stage.tp(0): Commit(7, 0, "done: 8-9"), stage.tp(1): Commit(4)}


def test_a_csv_that_names_the_committed_offset_erases_nothing(stage: Stage) -> None:
    """Metadata of Rota's consumers says what is done beyond the offset: without it records would come again."""
    group = stage.group(None, 4, None)
    stage.admin.alter_offsets(group, {stage.tp(0): Commit(2, 0, "hello")})
    before = stage.admin.commits([group])[group]
    Path("cur.csv").write_text(stage.reset(group, "--all-topics", "--to-current", "--export").out)
    said = stage.reset(group, "--from-file", "cur.csv", "--execute")
    assert (said.code, stage.admin.commits([group])[group]) == (0, before)
    assert "unchanged" in said.out
    assert [path.name for path in Path().iterdir()] == ["cur.csv"]


def test_a_commit_that_only_gets_other_metadata_is_a_change_and_can_be_taken_back(stage: Stage) -> None:
    group = stage.group(4, None, None)
    entry = {"topic": stage.topic, "partition": 0, "offset": 4, "leaderEpoch": 0, "metadata": "done: 6"}
    Path("plan.json").write_text(json.dumps([{"group": group, "offsets": [entry]}]))
    said = stage.reset(group, "--from-file", "plan.json", "--execute")
    assert said.code == 0
    assert re.search(r"0 +4 +-> +4 +metadata changed", said.out)
    assert "Done: 1 partition changed." in said.err
    assert stage.admin.commits([group])[group] == {stage.tp(0): Commit(4, 0, "done: 6")}
    (path,) = Path().glob(f"{group}-before-*.json")
    assert stage.reset(group, "--from-file", str(path), *EXECUTE).code == 0
    assert stage.admin.commits([group])[group] == {stage.tp(0): Commit(4)}


def test_a_plan_that_could_not_be_sent_is_one_line(stage: Stage) -> None:
    group = stage.group(4, None, None)
    entry = {"topic": stage.topic, "partition": 0, "offset": 4, "leaderEpoch": 9_999_999_999}
    for text, words in (
        (
            json.dumps([{"group": group, "offsets": [entry]}]),
            "plan.json, plan 1, offset 1: leaderEpoch 9999999999 is too great: at most 2147483647",
        ),
        (
            '[{"group": 5, "offsets": []}]',
            "plan.json, plan 1: 5 cannot be a group's name: it must be text, and not empty",
        ),
        ("[" * 100_000, "plan.json is no plan: it is nested too deeply"),
    ):
        Path("plan.json").write_text(text)
        said = stage("reset-offsets", "--all", "--from-file", "plan.json", "--execute")
        assert (said.code, said.out, said.err) == (1, "", f"error: {words}\n")


SCENARIOS = (
    *("--to-earliest", "--to-latest", "--to-current", "--to-offset 3", "--to-offset 99", "--to-offset 0"),
    *("--shift-by 1", "--shift-by -1", "--shift-by 99", "--shift-by -99"),
    *("--to-datetime 2023-11-14T22:13:25.000Z", "--to-datetime 2023-11-15T00:13:25.001+02:00"),
    *("--to-datetime 2100-01-01T00:00:00.000Z", "--by-duration PT1M", "--by-duration P9999D"),
)


def test_every_scenario_is_planned_as_kafkas_tool_does(stage: Stage, java_tools: JavaTools) -> None:
    group = stage.group(4, 10, 0)
    for scenario in SCENARIOS:
        words = ("--topic", stage.topic, *scenario.split(), "--dry-run")
        theirs = kafka(stage, java_tools, group, "--reset-offsets", *words)
        ours = stage.reset(group, *words, "--plain")
        assert rows_of(ours.out) == rows_of(theirs), scenario
        assert len(rows_of(ours.out)) == 1 + PARTITIONS


def test_before_1970_means_from_the_start(stage: Stage) -> None:
    """Kafka's tool asks the broker for a negative timestamp, and fails."""
    group = stage.group(4, 10, 0)
    for moment in ("--by-duration P99999D", "--to-datetime 1969-12-31T23:59:59Z"):
        said = stage.reset(group, "--all-topics", *moment.split(), "--export")
        assert said.out == "".join(f"{stage.topic},{number},0\n" for number in range(PARTITIONS))


def test_every_scope_is_read_as_kafkas_tool_does(stage: Stage, java_tools: JavaTools) -> None:
    group = stage.group(4, None, 6)
    for scope, partitions in {
        "--all-topics": 2,
        f"--topic {stage.topic}": 3,
        f"--topic {stage.topic}:1": 1,
        f"--topic {stage.topic}:0,2": 2,
        f"--topic {stage.topic}:0 --topic {stage.topic}:1,2": 3,
    }.items():
        words = (*scope.split(), "--to-earliest", "--dry-run")
        theirs = kafka(stage, java_tools, group, "--reset-offsets", *words)
        ours = stage.reset(group, *words, "--plain")
        assert rows_of(ours.out) == rows_of(theirs), scope
        assert len(rows_of(ours.out)) == 1 + partitions


def test_what_one_tool_exports_the_other_imports(stage: Stage, java_tools: JavaTools) -> None:
    first, second = stage.group(4, 10, 0), stage.group(5, 6, 7)
    names = ("--group", first, "--group", second)
    scope = ("--all-topics", "--to-current", "--dry-run", "--export")
    for groups in ((first,), (first, second)):
        named = names[: 2 * len(groups)]
        theirs = java_tools.run(
            "kafka-consumer-groups",
            "--bootstrap-server",
            stage.bootstrap_servers,
            "--reset-offsets",
            *named,
            *scope,
        ).out
        ours = stage("reset-offsets", *groups, *scope).out
        assert sorted(csv.reader(io.StringIO(ours))) == sorted(filter(None, csv.reader(io.StringIO(theirs))))
        Path("ours.csv").write_text(ours)
        Path("theirs.csv").write_text(theirs)
        expected = [stage.committed(group) for group in groups]
        for group in groups:
            assert stage.reset(group, "--all-topics", "--to-earliest", *EXECUTE).code == 0
        assert stage("reset-offsets", *groups, "--from-file", "theirs.csv", "--execute").code == 0
        assert [stage.committed(group) for group in groups] == expected
        for group in groups:
            assert stage.reset(group, "--all-topics", "--to-earliest", *EXECUTE).code == 0
        java_tools.run(
            "kafka-consumer-groups",
            *("--bootstrap-server", stage.bootstrap_servers, "--reset-offsets", *named),
            *("--from-file", str(Path("ours.csv").absolute()), "--execute"),
        )
        assert [stage.committed(group) for group in groups] == expected


def test_kafkas_tool_takes_a_rollback_file(stage: Stage, java_tools: JavaTools) -> None:
    group = stage.group(4, 10, 1)
    assert stage.reset(group, "--all-topics", "--to-latest", "--execute").code == 0
    (path,) = Path().glob("*.csv")
    kafka(stage, java_tools, group, "--reset-offsets", "--from-file", str(path.absolute()), "--execute")
    assert stage.committed(group) == [4, 10, 1]


def test_findings_of_a_dry_run_are_exit_code_3(stage: Stage) -> None:
    group = stage.group(4, None, 6)
    beyond = stage.reset(group, "--topic", f"{stage.topic}:0", "--to-offset", "99")
    assert beyond.code == 3
    assert "99 is beyond the log's end" in beyond.out
    unknown = stage.reset(group, "--topic", stage.topic, "--shift-by", "-1")
    assert unknown.code == 3
    assert "nothing is committed there that could be shifted" in unknown.out
    nothing = stage.reset(stage.desk.name("nobody"), "--all-topics", "--to-latest")
    assert nothing.code == 3
    assert "has committed nothing: name partitions with --topic" in nothing.err
    left_out = stage.reset(group, "--all-topics", "--to-latest")
    assert left_out.code == 0
    assert f"has committed nothing in {stage.topic}-1: left as it is; --topic includes it" in left_out.err


def test_what_cannot_be_planned_is_not_done_by_halves(stage: Stage) -> None:
    group = stage.group(4, None, 6)
    said = stage.reset(group, "--topic", stage.topic, "--shift-by", "-1", "--execute")
    assert said.code == 1
    assert f"group {group} was not reset: {stage.topic}-1: nothing is committed there" in said.err
    assert stage.committed(group) == [4, None, 6]
    assert not list(Path().iterdir())


def test_of_several_groups_those_that_can_be_are_reset_and_the_others_named(stage: Stage) -> None:
    good, bad, absent = stage.group(4, 4, 4), stage.group(4, None, 4), stage.desk.name("nobody")
    said = stage(
        "reset-offsets", bad, good, "--group", absent, "--topic", stage.topic, "--shift-by", "1", "--execute"
    )
    assert said.code == 1
    assert stage.committed(good) == [5, 5, 5]
    assert stage.committed(bad) == [4, None, 4]
    assert f"group {bad} was not reset: {stage.topic}-1: nothing is committed there" in said.err
    assert f"group {absent} was not reset: {stage.topic}-0: nothing is committed there" in said.err


def test_a_group_that_does_not_exist_is_made(stage: Stage, java_tools: JavaTools) -> None:
    group = stage.desk.name("new")
    said = stage.reset(group, "--topic", stage.topic, "--to-offset", "3", "--execute")
    assert said.code == 0
    assert f"Group {group} (does not exist yet)" in said.out
    assert stage.committed(group) == [3, 3, 3]
    (path,) = Path().glob("*.json")
    assert stage.reset(group, "--from-file", str(path), *EXECUTE).code == 0
    assert stage.committed(group) == [None, None, None]


def test_a_topic_or_partition_that_does_not_exist(stage: Stage) -> None:
    group = stage.group(4, 4, 4)
    absent = stage.reset(group, "--topic", "no-such-topic", "--to-latest", "--execute")
    assert (absent.code, absent.out) == (1, "")
    assert "no-such-topic: it does not exist" in absent.err
    ninth = stage.reset(group, "--topic", f"{stage.topic}:0,9", "--to-latest", "--execute")
    assert (ninth.code, ninth.err) == (1, f"error: topic {stage.topic} has no partition 9; the last is 2\n")
    assert stage.committed(group) == [4, 4, 4]


@pytest.mark.parametrize("client", ["confluent", "confluent-848"])
def test_an_active_group_is_refused_and_its_members_are_named(stage: Stage, client: str) -> None:
    group = stage.desk.name("active")
    strategy = "uniform" if client.endswith("848") else "range"
    settings = {"strategy": strategy, "instance_id": "pod-7", "commit_each_poll": True}
    member = stage.desk.member(client, group, stage.topic, "web-1", **settings)
    all_read = {(stage.topic, number): RECORDS for number in range(PARTITIONS)}
    stage.desk.wait_committed(group, all_read)
    try:
        said = stage.reset(group, "--all-topics", "--to-earliest", "--execute")
        assert said.code == 1
        assert f"error: group {group} is Stable and was not reset: stop its members first" in said.err
        assert re.search(r"^  web-1 on 127\.0\.0\.1, instance pod-7 \(\S+\)$", said.err, re.MULTILINE), (
            said.err
        )
        assert not list(Path().iterdir())
        dry = stage.reset(group, "--all-topics", "--to-earliest", "--json")
        assert dry.code == 3
        (document,) = json.loads(dry.out)
        assert (document["refused"], document["executed"]) == (True, False)
        assert [each["clientId"] for each in document["members"]] == ["web-1"]
        assert [each["newOffset"] for each in document["partitions"]] == [0, 0, 0]
        assert stage.reset(group, "--all-topics", "--to-current", "--export").code == 0
        assert stage.committed(group) == [RECORDS] * PARTITIONS
    finally:
        member.stop()


def test_all_groups_of_a_cluster(stage: Stage) -> None:
    group, other = stage.group(4, 4, 4), stage.group(5, 5, 5)
    said = stage("reset-offsets", "--all-groups", "--topic", f"{stage.topic}:0", "--to-latest", "--json")
    found = {each["group"]: each for each in json.loads(said.out)}
    assert {group, other} <= found.keys()
    assert [each["newOffset"] for each in found[group]["partitions"]] == [RECORDS]


def test_the_diff_as_json_and_csv(stage: Stage) -> None:
    group = stage.group(4, 10, 0)
    (document,) = json.loads(stage.reset(group, "--all-topics", "--to-offset", "2", "--json").out)
    assert document["partitions"][1] == {
        "topic": stage.topic,
        "partition": 1,
        "oldOffset": 10,
        "newOffset": 2,
        "effect": "again",
        "records": 8,
        "firstWritten": local(START_MS + 2_000),
        "lastWritten": local(START_MS + 9_000),
        "remark": None,
        "error": None,
    }
    header, *rows = csv.reader(
        io.StringIO(stage.reset(group, "--all-topics", "--to-offset", "2", "--csv").out)
    )
    assert header[:6] == ["group", "topic", "partition", "old_offset", "new_offset", "effect"]
    assert [row[3:7] for row in rows] == [
        ["4", "2", "again", "2"],
        ["10", "2", "again", "8"],
        ["0", "2", "skipped", "2"],
    ]


def test_a_plan_from_standard_input(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    group = stage.group(4, 10, 0)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{stage.topic},1,3\n"))
    assert stage.reset(group, "--from-file", "-", *EXECUTE).code == 0
    assert stage.committed(group) == [4, 3, 0]


def test_a_commit_that_stays_is_made_anew(stage: Stage) -> None:
    """So an operator keeps offsets from expiring; its metadata stays too."""
    group = stage.group(None, None, 2)
    stage.admin.alter_offsets(group, {stage.tp(0): Commit(7, 0, "kept")})
    said = stage.reset(group, "--all-topics", "--to-current", "--execute")
    assert said.code == 0
    assert "Done: no offset becomes another." in said.err
    commits = stage.admin.commits([group])[group]
    assert commits == {stage.tp(0): Commit(7, 0, "kept"), stage.tp(2): Commit(2)}
    assert not list(Path().iterdir())


def local(ms: int) -> str:
    from rota.cli.groups_reset_text import moment

    return moment(ms)


def kafka(stage: Stage, java_tools: JavaTools, group: str, *words: str) -> str:
    """What Kafka's tool prints."""
    said = java_tools.run(
        "kafka-consumer-groups", "--bootstrap-server", stage.bootstrap_servers, "--group", group, *words
    )
    assert said.code == 0, said
    return said.out


def rows_of(text: str) -> list[str]:
    """The table's lines, sorted, blanks and all."""
    return sorted(
        line for line in text.splitlines() if line and not line.startswith(("WARN", "Warn", "New offset"))
    )
