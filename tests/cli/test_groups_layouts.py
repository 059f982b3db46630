"""Column for column what kafka-consumer-groups 4.1 prints of the same groups: classic and static, of the consumer
protocol and mixed, empty, with nothing but offsets, with offsets that nobody reads, with members that hold nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.broker.raw import RawClient
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import Admin
from rota.cli import run
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.java.tools import JavaTools

VIEWS = ("", "--verbose", "--members", "--members --verbose", "--state", "--state --verbose")
PARTITIONS = 5

Block = tuple[str, list[str]]
"""A header and the rows below it, blanks and all; only the order of rows is ours."""


@dataclass(frozen=True)
class Place:
    """Groups of all kinds that are at rest, by what they are."""

    bootstrap_servers: str
    groups: dict[str, str]
    """The name of each."""
    prefix: str

    def ours(self, *words: str) -> str:
        """What `rota groups` prints."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            assert (
                run(
                    ["groups", *words, "-b", self.bootstrap_servers, "--timeout", str(int(PATIENCE_S * 1000))]
                )
                == 0
            )
        return out.getvalue()


class Stage:
    """Makes the groups, and waits until they are at rest."""

    def __init__(self, desk: Desk, admin: Admin) -> None:
        self.desk, self.admin = desk, admin
        self.prefix = desk.name("layout")
        self.topic = desk.topic("web-events", PARTITIONS)
        self.other = desk.topic("a", 2)
        desk.produce(self.topic, per_partition=4, partitions=PARTITIONS)
        self.groups: dict[str, str] = {}
        self.waits: list[Callable[[], None]] = []

    def name(self, kind: str) -> str:
        return self.groups.setdefault(kind, f"{self.prefix}-{kind}")

    def commit(self, kind: str, offsets: dict[tuple[str, int], Commit]) -> None:
        answers = self.admin.alter_offsets(
            self.name(kind), {TopicPartition(*tp): at for tp, at in offsets.items()}
        )
        assert set(answers.values()) == {None}, answers

    def members(
        self, kind: str, *clients: str, topics: tuple[str, ...] = (), beside: int = 0, **more: object
    ) -> None:
        """Members of a group that has so many already."""
        wanted = topics or (self.topic,)
        held = sum(PARTITIONS if topic == self.topic else 2 for topic in wanted)
        for number, client in enumerate(clients, beside):
            settings = {"strategy": "uniform" if client.endswith("848") else "range", **more}
            if kind == "static" and number:
                settings["instance_id"] = f"instance-{number}"
            self.desk.member(
                client, self.name(kind), wanted, f"{kind}-{number}", commit_each_poll=True, **settings
            )
        self.waits.append(lambda: self._settled(kind, beside + len(clients), held))

    def _settled(self, kind: str, members: int, partitions: int) -> None:
        name = self.name(kind)

        def settled() -> bool:
            facts, commits = self.admin.describe_groups([name])[name], self.admin.commits([name])[name]
            if isinstance(facts, RotaError) or isinstance(commits, RotaError):
                return False
            return (
                facts.state == "Stable"
                and len(facts.members) == members
                and len(facts.owners()) == partitions
                and is_at_rest(facts)
                and all(at.offset == 4 for tp, at in commits.items() if tp.topic == self.topic)
                and len([tp for tp in facts.owners() if tp.topic == self.topic and tp in commits])
                == len([tp for tp in facts.owners() if tp.topic == self.topic])
            )

        wait_until(f"{name} to settle", settled, every_s=0.2)


def is_at_rest(facts: GroupFacts) -> bool:
    """Nobody is on the way to another assignment."""
    return all(member.target in (None, member.assignment) for member in facts.members)


@pytest.fixture(scope="module")
def place(broker: BrokerUnderTest) -> Iterator[Place]:
    with Desk(broker) as desk, Admin(broker.bootstrap_servers, timeout_s=PATIENCE_S) as admin:
        stage = Stage(desk, admin)
        stage.members("classic", "confluent", "confluent", topics=(stage.topic, stage.other))
        stage.members("static", "confluent", "confluent", strategy="cooperative-sticky")
        stage.members("consumer", "confluent-848", "confluent-848")
        stage.members("mixed", "confluent")
        # A commit that the change of the group's protocol refuses is not made again.
        stage.waits.pop()()
        stage.members("mixed", "confluent-848", beside=1)
        stage.members(
            "idle-with-a-name-that-makes-columns-wider",
            "confluent",
            "confluent",
            "confluent",
            topics=(stage.other,),
        )
        stage.commit("unread", {(stage.other, 1): Commit(0), (stage.other, 0): Commit(0, 0, "said")})
        stage.members("unread", "confluent")
        stage.commit("simple", {(stage.topic, number): Commit(number, 0) for number in range(3)})
        stage.commit("beyond", {(stage.topic, 0): Commit(40)})
        gone = desk.member("confluent", stage.name("empty"), stage.topic, "gone", commit_each_poll=True)
        desk.wait_committed(stage.name("empty"), {(stage.topic, number): 4 for number in range(PARTITIONS)})
        gone.stop()
        newly_gone = desk.member(
            "confluent-848",
            stage.name("gone"),
            stage.topic,
            "gone",
            strategy="uniform",
            commit_each_poll=True,
        )
        desk.wait_committed(stage.name("gone"), {(stage.topic, number): 4 for number in range(PARTITIONS)})
        newly_gone.stop()
        for wait in stage.waits:
            wait()
        yield Place(broker.bootstrap_servers, stage.groups, stage.prefix)


def blocks(text: str) -> list[Block]:
    """The tables in a text, sorted."""
    found: list[Block] = []
    for line in text.splitlines():
        if line.startswith(("GROUP ", "TOPIC ")):
            found.append((line, []))
        elif line:
            found[-1][1].append(line)
    return sorted((header, sorted(rows)) for header, rows in found)


@pytest.mark.parametrize("view", VIEWS)
def test_every_kind_of_group_is_described_as_kafkas_tool_does(
    place: Place, java_tools: JavaTools, view: str
) -> None:
    words = view.split()
    names = [word for name in place.groups.values() for word in ("--group", name)]
    theirs = java_tools.run(
        "kafka-consumer-groups", "--bootstrap-server", place.bootstrap_servers, "--describe", *names, *words
    )
    assert "Error" not in theirs.out
    ours = place.ours("describe", *place.groups.values(), *words)
    assert blocks(ours) == blocks(theirs.out)
    assert len(blocks(ours)) == len(place.groups)


def test_what_the_columns_say(place: Place) -> None:
    """The same groups again, from what is known of them: both tools could be wrong."""
    rows = [line.split(",") for line in place.ours("describe", *place.groups.values(), "--csv").splitlines()]
    header, *rows = rows
    assert header[3:6] == ["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"]
    by_group = {kind: [row for row in rows if row[0] == name] for kind, name in place.groups.items()}
    assert [
        len(by_group[kind]) for kind in ("classic", "consumer", "mixed", "unread", "simple", "empty")
    ] == [
        7,
        5,
        5,
        7,
        3,
        5,
    ]
    assert [row[5] for row in by_group["simple"]] == ["4", "3", "2"]
    assert [row[5] for row in by_group["beyond"]] == ["-36"]
    assert [row[6] for row in by_group["unread"] if row[1].startswith("a-")] == ["-", "-"]
    members = [
        line.split(",")
        for line in place.ours(
            "describe", place.groups["mixed"], "--members", "--verbose", "--csv"
        ).splitlines()
    ]
    assert members[0][-1] == "UPGRADED"
    assert sorted(row[-1] for row in members[1:]) == ["false", "true"]


def test_lag_in_time_stands_behind_kafkas_columns(place: Place) -> None:
    for kind, method in (("simple", "record"), ("classic", "caught-up")):
        plain = place.ours("describe", place.groups[kind]).splitlines()
        late = place.ours("describe", place.groups[kind], "--time-lag").splitlines()
        assert late[1].split()[-4:] == ["CLIENT-ID", "TIME-LAG", "METHOD", "QUALITY"]
        assert all(line.startswith(short.rstrip()) for short, line in zip(plain, late, strict=True))
        assert {line.split()[-2] for line in late[2:] if " a-" not in line} == {method}
    (document,) = json.loads(place.ours("describe", place.groups["simple"], "--time-lag", "--json"))
    assert all(row["timeLag"]["seconds"] > 0 for row in document["offsets"])


def test_groups_of_other_programs_are_left_out_as_kafkas_tool_does(
    place: Place, java_tools: JavaTools
) -> None:
    """Kafka Connect's workers are in groups too, which read no topics."""
    connect = f"{place.prefix}-connect"
    protocols = [JoinGroupRequestProtocol(name="sessioned", metadata=b"?")]
    join = JoinGroupRequest(
        group_id=connect,
        session_timeout_ms=900_000,
        rebalance_timeout_ms=900_000,
        protocol_type="connect",
        protocols=protocols,
    )
    with RawClient(place.bootstrap_servers, timeout_s=PATIENCE_S) as client:
        joined = client.call(join, 3, JoinGroupResponse)
        assert joined.error_code == 0
        theirs = java_tools.run(
            "kafka-consumer-groups", "--bootstrap-server", place.bootstrap_servers, "--list"
        )
        ours = place.ours("list")
        everything = place.ours("describe", "--all", "--state")
        leave = LeaveGroupRequest(group_id=connect, member_id=joined.member_id)
        assert client.call(leave, 1, LeaveGroupResponse).error_code == 0
    assert mine(ours, place) == mine(theirs.out, place)
    for said in (theirs.out, ours, everything):
        assert place.groups["static"] in said
        assert connect not in said


@pytest.mark.parametrize(
    "view", ["", "--state", "--type", "--state --type", "--state stable", "--type consumer"]
)
def test_listed_as_kafkas_tool_does(place: Place, java_tools: JavaTools, view: str) -> None:
    theirs = java_tools.run(
        "kafka-consumer-groups", "--bootstrap-server", place.bootstrap_servers, "--list", *view.split()
    )
    ours = place.ours("list", *view.split())
    assert mine(ours, place) == mine(theirs.out, place)
    if view != "--type consumer":
        assert place.groups["static"] in ours
    assert (place.groups["consumer"] in ours) == (place.groups["mixed"] in ours)


def mine(text: str, place: Place) -> list[str]:
    """The header and the place's own groups, sorted; the header's width is that of the longest name of all."""
    return sorted(
        " ".join(line.split()) for line in text.splitlines() if line.startswith(("GROUP ", place.prefix))
    )
