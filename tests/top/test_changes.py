"""Resets and deletions from `rota top`, on real brokers: previewed, refused, done after the group's name was typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.top.driver import Seat, play

from rota.admin import Admin
from rota.cli.groups_reset_text import diff_lines
from rota.cli.groups_rollback import write_rollback
from rota.model import TopicPartition
from rota.monitor.facts import Commit
from rota.top.changes import AdminChanges
from rota.watching.live import Live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.desk import Desk


@pytest.fixture
def admin(desk: Desk) -> Iterator[Admin]:
    with Admin(desk.bootstrap_servers) as asking:
        yield asking


def _committed(desk: Desk, admin: Admin) -> tuple[str, str]:
    """A group that nobody is in, with 3 committed of 10 records in both partitions."""
    topic, group = desk.topic("change", partitions=2), desk.name("change-group")
    desk.produce(topic, 10, 2)
    parts = [TopicPartition(topic, number) for number in range(2)]
    assert admin.alter_offsets(group, dict.fromkeys(parts, Commit(3))) == dict.fromkeys(parts)
    return topic, group


def test_a_reset_shows_what_it_would_do_and_wants_the_name(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the rollback file is written
    topic, group = _committed(desk, admin)

    async def act(seat: Seat) -> None:
        await seat.see(f"{topic}-0", f"{topic}-1")
        await seat.press("r")
        await seat.see("all that it has committed", "Where to?")
        await seat.type("yesterday")
        await seat.press("enter")
        await seat.see("'yesterday' says nowhere to go on from")
        for _ in "yesterday":
            await seat.press("backspace")
        await seat.type("earliest")
        await seat.press("enter")
        await seat.see("Type the group's name to reset it", "3 again")
        await seat.type("wrong")
        await seat.press("enter")
        await seat.see("'wrong' is not", "nothing was changed")
        assert {commit.offset for commit in _commits(admin, group).values()} == {3}
        for _ in "wrong":
            await seat.press("backspace")
        await seat.type(group)
        await seat.press("enter")
        await seat.see("2 offsets of", "are reset", "m Members")

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, group=group, changes=AdminChanges(admin, write_rollback, diff_lines), size=(160, 40))
    assert {commit.offset for commit in _commits(admin, group).values()} == {0}
    [rollback] = tmp_path.glob("*.csv")
    assert sorted(rollback.read_text().split()) == [f"{topic},0,3", f"{topic},1,3"]


def test_an_active_group_is_refused_and_its_members_are_named(desk: Desk, admin: Admin) -> None:
    topic, group = _committed(desk, admin)
    member = desk.member("confluent", group, topic, "busy-worker")
    desk.wait_stable(group, [member], [(topic, 0), (topic, 1)])

    async def act(seat: Seat) -> None:
        await seat.see("busy-worker")
        await seat.press("p")
        await seat.press("r")
        await seat.see(f"Reset {group}: {topic}-0")
        await seat.type("latest")
        await seat.press("enter")
        await seat.see("Refused: the group is Stable", "busy-worker on 127.0.0.1")
        await seat.press("escape")
        await seat.press("ctrl+d")
        await seat.see("Kafka refuses: stop these members first", "busy-worker on 127.0.0.1")
        await seat.press("escape")
        await seat.see("m Members 1")

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, group=group, changes=AdminChanges(admin, write_rollback, diff_lines), size=(160, 40))


def test_a_group_is_deleted_once_its_name_was_typed(desk: Desk, admin: Admin) -> None:
    _, group = _committed(desk, admin)

    async def act(seat: Seat) -> None:
        await seat.see(group, "1 group")
        await seat.press("ctrl+d")
        await seat.see("Forgotten: 2 committed offsets in 1 topic", "Type the group's name to delete it")
        await seat.type(group)
        await seat.press("enter")
        await seat.see("is deleted.", "There are no groups.")

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, changes=AdminChanges(admin, write_rollback, diff_lines), size=(160, 40))
    assert group not in {each.group for each in admin.list_groups()[0]}


def _commits(admin: Admin, group: str) -> dict[TopicPartition, Commit]:
    found = admin.commits([group])[group]
    assert isinstance(found, dict)
    return found
