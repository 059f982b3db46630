"""The layouts of kafka-consumer-groups, as Apache Kafka 4.1.0 printed them for these very groups."""

from pathlib import Path

from rota.cli.groups_text import (
    Line,
    assignment_text,
    list_lines,
    member_lines,
    offset_lines,
    offset_rows,
    state_lines,
)
from rota.cli.watch import fit
from rota.model import TopicPartition
from rota.monitor.facts import Commit, GroupFacts, GroupListing, MemberFacts, Node

NODE = Node(1, "127.0.0.1", 19892)
USERS = [TopicPartition("new_users", n) for n in range(5)]
C0 = MemberFacts("c0-61f01493-4144-48d4-abbe-792079259c57", "c0", "/127.0.0.1", assignment=tuple(USERS[:3]))
C1 = MemberFacts("c1-a9cc32df-69e1-470a-a657-981746ad5b07", "c1", "/127.0.0.1", assignment=tuple(USERS[3:]))
CLASSIC = GroupFacts("classic", "Classic", "Stable", "range", coordinator=NODE, members=(C0, C1))
EMPTY = GroupFacts("gone", "Classic", "Empty", coordinator=NODE)
ENDS: dict[TopicPartition, int | None] = dict(zip(USERS, (40, 20, 30, 60, 50), strict=True))


def text(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def layout(name: str) -> list[str]:
    """The lines of `layouts/NAME.txt`; a `$` ends each, as `cat -A` shows it, so that blanks stay visible."""
    text = (Path(__file__).parent / "layouts" / f"{name}.txt").read_text(encoding="utf-8")
    return [line.removesuffix("$") for line in text.splitlines()]


def test_offsets_of_a_group_with_members() -> None:
    committed = {tp: Commit(end, 0) for tp, end in ENDS.items() if end and tp.partition != 1}
    rows = offset_rows(CLASSIC, committed, ENDS)
    assert text(offset_lines("classic", rows, verbose=False)) == layout("offsets")


def test_offsets_that_nobody_owns_come_last() -> None:
    rows = offset_rows(CLASSIC, {TopicPartition("another", 0): Commit(7)}, ENDS)
    assert [row.partition for row in rows] == [*USERS, TopicPartition("another", 0)]
    assert rows[-1].member is None


def test_verbose_offsets_of_a_group_without_members() -> None:
    rows = offset_rows(EMPTY, {USERS[3]: Commit(6, 0), USERS[4]: Commit(50)}, ENDS)
    assert text(offset_lines("gone", rows, verbose=True)) == layout("offsets-verbose-empty")


def test_a_group_without_partitions_has_no_table() -> None:
    assert offset_lines("gone", [], verbose=False) == []


def test_lag_is_not_clamped() -> None:
    (row,) = offset_rows(EMPTY, {USERS[0]: Commit(41)}, ENDS)
    assert row.lag == -1


def test_members() -> None:
    assert text(member_lines(CLASSIC, verbose=False)) == layout("members")
    assert text(member_lines(CLASSIC, verbose=True)) == layout("members-verbose")


def test_static_members_have_a_column_for_their_name() -> None:
    static = MemberFacts(
        "inst-0-80a3a0d5-43dc-4489-b585-3cf0a4f5aaaf",
        "c0",
        "/127.0.0.1",
        "inst-0",
        assignment=tuple(USERS[:2]),
    )
    group = GroupFacts(
        "static", "Classic", "Stable", "cooperative-sticky", coordinator=NODE, members=(static,)
    )
    assert text(member_lines(group, verbose=False)) == layout("members-static")


def test_members_of_an_empty_group() -> None:
    assert text(member_lines(EMPTY, verbose=False)) == layout("members-empty")


def test_state() -> None:
    assert text(state_lines(CLASSIC, verbose=False)) == layout("state")
    assert text(state_lines(EMPTY, verbose=True)) == layout("state-verbose-empty")


def test_list() -> None:
    groups = [GroupListing("k848", "Consumer", "Stable"), GroupListing("gone", "Classic", "Empty")]
    assert list_lines(groups, with_type=False, with_state=False) == ["k848", "gone"]
    assert list_lines(groups, with_type=True, with_state=True) == layout("list")


def test_assignment_text() -> None:
    web = [TopicPartition("web", n) for n in (2, 0)]
    assert assignment_text([*web, USERS[0]]) == "new_users:0;web:0,2"
    assert assignment_text([]) == "-"


def test_a_narrow_window_narrows_the_columns_first_and_then_the_ids() -> None:
    rows = offset_rows(CLASSIC, {}, ENDS)
    lines = offset_lines("classic", rows, verbose=False)
    wide = fit(lines, 200)
    assert wide == lines
    assert text(fit(lines, 130))[1].split() == lines[1].text.split()
    narrow = fit(lines, 110)
    assert max(len(line.text) for line in narrow) <= 110
    shortened = narrow[1].text.split()[6]
    assert shortened.startswith("c0-61f0")
    assert shortened.endswith("9c57")
    assert narrow[1].text.split()[-1] == "c0"


def test_a_window_of_80_columns_does_without_group_and_host() -> None:
    lines = offset_lines("classic", offset_rows(CLASSIC, {}, ENDS), verbose=False)
    narrow = fit(lines, 80)
    assert max(len(line.text) for line in narrow) <= 80
    assert narrow[0].text.split() == [
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "CLIENT-ID",
    ]


def test_at_80_columns_a_long_topics_members_can_still_be_told_apart() -> None:
    topic = [TopicPartition("web-events-partitioned", n) for n in range(2)]
    ids = [
        f"rota-consume-{uuid}" for uuid in ("61f01493-4144-48d4-792079259c57", "a9cc32df-69e1-981746ad5b07")
    ]
    members = tuple(
        MemberFacts(member_id, "rota-consume", "/127.0.0.1", assignment=(tp,))
        for member_id, tp in zip(ids, topic, strict=True)
    )
    group = GroupFacts("web-events-group", "Classic", "Stable", "range", coordinator=NODE, members=members)
    lines = offset_lines(group.group, offset_rows(group, {}, dict.fromkeys(topic, 12_345)), verbose=False)
    narrow = text(fit(lines, 80))
    assert max(map(len, narrow)) <= 80
    assert " ".join(narrow[0].split()) == "TOPIC PARTITION CURRENT LOG-END LAG CONSUMER-ID CLIENT-ID"
    shown = [line.split()[5] for line in narrow[1:]]
    assert [name[:6] + name[-5:] for name in shown] == ["rota-c…9c57", "rota-c…5b07"]
    for width in (50, 60, 70):
        assert text(fit(lines, width))[1] != text(fit(lines, width))[2].replace(" 1 ", " 0 ")


def test_an_error_is_wrapped_not_cut() -> None:
    words = "no broker at 127.0.0.1:9092: the connection was refused; start one with `rota broker` or name another"
    narrow = text(fit([Line(words)], 40))
    assert max(map(len, narrow)) <= 40
    assert " ".join(narrow) == words
