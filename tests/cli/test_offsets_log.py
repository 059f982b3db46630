"""``rota groups offsets-log``: what groups have recorded, in words."""

import re
from collections.abc import Callable

import pytest
from tests.cli.command import Command

from rota.cli.offsets_words import Words, words_of
from rota.coordinator import LogRecord
from rota.wire.codec import encode_versioned
from rota.wire.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
)
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
    TopicMetadata,
    TopicPartition,
    TopicPartitions,
)

NewName = Callable[[str], str]

ID = b"\x01" * 16
NAMES = {ID: "orders"}

_ASSIGNED = encode_versioned(
    ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignmentTopicPartition(topic="orders", partitions=[0, 1, 2, 3]),
            ConsumerProtocolAssignmentTopicPartition(topic="users", partitions=[7]),
        ]
    ),
    0,
)
_COMMIT = OffsetCommitKey(group="g", topic="orders", partition=3)
_GROUP = GroupMetadataKey(group="g")
_MEMBER = ConsumerGroupMemberMetadataKey(group_id="g", member_id="m1")
_TARGET = ConsumerGroupTargetAssignmentMemberKey(group_id="g", member_id="m1")
_CURRENT = ConsumerGroupCurrentMemberAssignmentKey(group_id="g", member_id="m1")
_PATTERN = ConsumerGroupRegularExpressionKey(group_id="g", regular_expression="^o")

SAID: list[tuple[LogRecord, str, str]] = [
    (LogRecord(_COMMIT, OffsetCommitValue(offset=120)), "commit", "orders-3 at 120"),
    (
        LogRecord(_COMMIT, OffsetCommitValue(offset=1, metadata='a "b"')),
        "commit",
        'orders-3 at 1, metadata "a \\"b\\""',
    ),
    (LogRecord(_COMMIT, None), "commit", "orders-3 forgotten"),
    (LogRecord(_GROUP, None), "group", "deleted"),
    (LogRecord(_GROUP, GroupMetadataValue(generation=5)), "group", "generation 5, no members"),
    (
        LogRecord(
            _GROUP,
            GroupMetadataValue(
                protocol_type="consumer",
                generation=4,
                protocol="range",
                leader="m1",
                members=[
                    MemberMetadata(member_id="m1", assignment=_ASSIGNED),
                    MemberMetadata(member_id="m2", group_instance_id="box-2"),
                    MemberMetadata(member_id="m3", assignment=b"\x00"),
                ],
            ),
        ),
        "group",
        (
            "generation 4, range, led by m1; 3 members: m1 has (orders 0-3; users 7); "
            "m2 (static: box-2) has nothing yet; m3 has 1 bytes"
        ),
    ),
    (
        LogRecord(ConsumerGroupMetadataKey(group_id="g"), ConsumerGroupMetadataValue(epoch=9)),
        "group",
        "epoch 9",
    ),
    (
        LogRecord(
            ConsumerGroupPartitionMetadataKey(group_id="g"),
            ConsumerGroupPartitionMetadataValue(
                topics=[TopicMetadata(topic_name="orders", num_partitions=6)]
            ),
        ),
        "group",
        "topics orders (6)",
    ),
    (
        LogRecord(
            _MEMBER,
            ConsumerGroupMemberMetadataValue(
                instance_id="box-1",
                client_id="app",
                client_host="/127.0.0.1",
                subscribed_topic_names=["orders", "users"],
                server_assignor="uniform",
            ),
        ),
        "member",
        "m1 of app at /127.0.0.1, static: box-1, wants orders, users, by uniform",
    ),
    (LogRecord(_MEMBER, None), "member", "m1 is gone"),
    (
        LogRecord(
            ConsumerGroupTargetAssignmentMetadataKey(group_id="g"),
            ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=9),
        ),
        "target",
        "assignment of epoch 9",
    ),
    (
        LogRecord(
            _TARGET,
            ConsumerGroupTargetAssignmentMemberValue(
                topic_partitions=[TopicPartition(topic_id=ID, partitions=[0, 2])]
            ),
        ),
        "target",
        "m1 is to have orders 0, 2",
    ),
    (LogRecord(_TARGET, ConsumerGroupTargetAssignmentMemberValue()), "target", "m1 is to have no partition"),
    (
        LogRecord(
            _CURRENT,
            ConsumerGroupCurrentMemberAssignmentValue(
                member_epoch=8,
                state=1,
                assigned_partitions=[TopicPartitions(topic_id=ID, partitions=[0])],
                partitions_pending_revocation=[TopicPartitions(topic_id=b"\x02" * 16, partitions=[1])],
            ),
        ),
        "current",
        "m1 at epoch 8, has to give up partitions, has orders 0, gives up AgICAgICAgICAgICAgICAg 1",
    ),
    (
        LogRecord(_PATTERN, ConsumerGroupRegularExpressionValue(topics=["orders"])),
        "pattern",
        "^o matches orders",
    ),
    (LogRecord(_PATTERN, None), "pattern", "^o is nobody's any more"),
]


@pytest.fixture
def topic(cli: Command, new_name: NewName) -> str:
    """A topic of three partitions."""
    name = new_name("web-events-partitioned")
    cli.good("topics", "create", name, "--partitions", "3")
    return name


@pytest.mark.parametrize(("record", "kind", "text"), SAID)
def test_words(record: LogRecord, kind: str, text: str) -> None:
    assert words_of(record, NAMES) == Words("g", kind, text)


def test_a_groups_life_line_by_line(cli: Command, topic: str, new_name: NewName) -> None:
    group, other = new_name("log"), new_name("other")
    cli.good("produce", topic, stdin="1\n2\n3\n")
    limits = ("--from-beginning", "--commit", "manual", "--max-messages", "3", "--timeout-ms", "60000")
    for name in (group, other):
        assert cli("consume", topic, "--group", name, *limits).code == 0
    lines = cli.good("groups", "offsets-log", group).lines
    assert re.fullmatch(r"TIME {21}GROUP +RECORD   WHAT", lines[0])
    rows = [
        re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})  (\S+) +(\w+) +(.+)", line)
        for line in lines[1:]
    ]
    assert all(row is not None and row[2] == group for row in rows)
    said = [(row[3], row[4]) for row in rows if row is not None]
    commits = [text for kind, text in said if kind == "commit"]
    # A slow machine commits some partitions twice: the last one counts.
    latest = {text.split(" ")[0]: int(text.rsplit(" ", 1)[1]) for text in commits}
    assert sum(latest.values()) == 3
    assert all(text.startswith(f"{topic}-") for text in commits)
    assert any(f"has {topic} " in text and "generation 1, range, led by" in text for _, text in said)
    assert said[-1] == ("group", "generation 2, no members")
    starts = {line.index(cell) for line, cell in zip(lines[1:], (text for _, text in said), strict=True)}
    assert starts == {lines[0].index("WHAT")}
    everything = cli.good("groups", "offsets-log").lines
    assert {group, other} <= {line.split()[2] for line in everything[1:]}
    documents = cli.good("groups", "offsets-log", group, "--json").json_lines()
    assert len(documents) == len(said)
    assert {each["key"]["data"]["group"] for each in documents} == {group}
    assert [each["offset"] for each in documents] == sorted(each["offset"] for each in documents)
    read = ("consume", "__consumer_offsets", "--from-beginning", "--decode-offsets", "--timeout-ms", "8000")
    plain = [each for each in cli.good(*read).json_lines() if each["key"]["data"]["group"] == group]
    assert [{name: each[name] for name in ("key", "value")} for each in documents] == plain


def test_a_group_that_has_recorded_nothing(cli: Command, topic: str, new_name: NewName) -> None:
    limits = ("--from-beginning", "--commit", "manual", "--max-messages", "1", "--timeout-ms", "60000")
    cli.good("produce", topic, stdin="1\n")
    assert cli("consume", topic, "--group", new_name("there"), *limits).code == 0
    group = new_name("nope")
    for layout in ((), ("--json",)):
        said = cli("groups", "offsets-log", group, *layout)
        assert (said.code, said.out) == (0, "")
        assert said.err == f"nothing is recorded for group {group}; `rota groups list` shows the groups\n"


def test_follow_says_what_comes(cli: Command, topic: str, new_name: NewName) -> None:
    group = new_name("followed")
    cli.good("produce", topic, stdin="1\n")
    limits = ("--from-beginning", "--commit", "manual", "--max-messages", "1", "--timeout-ms", "60000")
    assert cli("consume", topic, "--group", group, *limits).code == 0
    with cli.start("groups", "offsets-log", group, "--follow", "--from-beginning") as running:
        heading = running.next_out()
        assert heading.startswith("TIME ")
        while "generation 2" not in running.next_out():
            pass
        assert cli("consume", topic, "--group", group, *limits, "--from-beginning").code in {0, 1}
        while "generation 3" not in running.next_out():
            pass
        assert running.stop().code == 130
