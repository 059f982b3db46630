"""Resets and deletions from `rota top`, on real brokers: previewed, refused, done after the group's name was typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.shell import words_in_a_shell
from tests.top.driver import Seat, play

from rota.admin import Admin
from rota.cli.groups_reset_text import diff_lines
from rota.cli.groups_rollback import write_rollback
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit
from rota.top.changes import AdminChanges
from rota.watching.live import Live

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tests.clients.desk import Desk

    from rota.monitor.reset import Wanted


@pytest.fixture
def admin(desk: Desk) -> Iterator[Admin]:
    with Admin(desk.bootstrap_servers) as asking:
        yield asking


def _changes(admin: Admin) -> AdminChanges:
    return AdminChanges(admin, write_rollback, diff_lines, ("--bootstrap-server", admin.bootstrap))


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
        await seat.see("2 offsets of", "are reset", "To take it back:")
        await seat.press("escape")
        await seat.see("m Members")

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, group=group, changes=_changes(admin), size=(160, 40))
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
        play(live, act, group=group, changes=_changes(admin), size=(160, 40))


def test_the_command_that_takes_a_deletion_back_means_the_very_group(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    group, part = f"{desk.name('evil')}\x1b[2J'\n", TopicPartition(desk.topic("change", partitions=1), 0)
    desk.produce(part.topic, 1, 1)
    assert admin.alter_offsets(group, {part: Commit(1)}) == {part: None}
    changes = _changes(admin)
    undo = changes.delete(group, changes.preview_delete(group)).undo
    assert undo.isprintable()
    assert f"--group={group}" in words_in_a_shell(undo)


def test_a_group_is_deleted_once_its_name_was_typed(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    topic, group = _committed(desk, admin)

    async def act(seat: Seat) -> None:
        await seat.see("1 group, lag 14")
        await seat.press("ctrl+d")
        await seat.see("Forgotten: 2 committed offsets in 1 topic", "Type the group's name to delete it")
        await seat.type(group)
        await seat.press("enter")
        await seat.see("is deleted.", "To take it back:")
        await seat.press("escape")
        await seat.see("There are no groups.")
        await seat.press("colon")
        await seat.type("changes")
        await seat.press("enter")
        text = "".join((await seat.see("is deleted.", "To take it back:")).split())
        [made] = seat.app.changes.made if seat.app.changes is not None else ()
        assert "".join(made.undo.split()) in text, "all of it is on the screen, in several lines"

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, changes=_changes(admin), size=(80, 40))
    assert group not in {each.group for each in admin.list_groups()[0]}
    [rollback] = tmp_path.glob("*.csv")
    assert sorted(rollback.read_text().split()) == [f"{topic},0,3", f"{topic},1,3"]


def test_what_was_shown_is_old_when_something_was_committed_since(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    topic, group = _committed(desk, admin)
    changes = _changes(admin)
    moved = TopicPartition(topic, 0)
    for offset, do in ((5, changes.reset), (6, changes.delete)):
        shown = changes.preview_reset(group, (), "earliest") if offset == 5 else changes.preview_delete(group)
        assert not shown.refused
        assert admin.alter_offsets(group, {moved: Commit(offset)}) == {moved: None}
        with pytest.raises(RotaError, match=f"{moved} has changed since"):
            do(group, shown)
        with pytest.raises(RotaError, match="this plan is old"):
            do(group, shown)
        assert _commits(admin, group)[moved].offset == offset
    assert not list(tmp_path.iterdir())
    assert not changes.delete(group, changes.preview_delete(group)).failed
    [rollback] = tmp_path.glob("*.csv")
    assert sorted(rollback.read_text().split()) == [f"{topic},0,6", f"{topic},1,3"]


def test_another_plan_than_the_one_on_the_screen_is_not_carried_out(desk: Desk, admin: Admin) -> None:
    _, group = _committed(desk, admin)
    changes = _changes(admin)
    shown = changes.preview_reset(group, (), "latest")
    changes.preview_reset(group, (), "earliest")  # as when it was asked for before, and the answer came late
    with pytest.raises(RotaError, match="this plan is old"):
        changes.reset(group, shown)
    assert {commit.offset for commit in _commits(admin, group).values()} == {3}


def test_a_group_that_became_active_is_planned_anew_and_its_members_are_named(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    topic, group = _committed(desk, admin)

    async def act(seat: Seat) -> None:
        await seat.see(f"{topic}-0")
        await seat.press("r")
        await seat.type("earliest")
        await seat.press("enter")
        await seat.see("Type the group's name to reset it")
        member = desk.member("confluent", group, topic, "late-worker")
        desk.wait_stable(group, [member], [(topic, 0), (topic, 1)])
        await seat.type(group)
        await seat.press("enter")
        await seat.see("Nothing was changed", "is Stable now", "Refused", "late-worker on", "Where to?")

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, group=group, changes=_changes(admin), size=(160, 40))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["r", "ctrl+d"])
def test_without_a_rollback_file_nothing_is_changed_however_often_one_tries(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    topic, group = _committed(desk, admin)

    async def act(seat: Seat) -> None:
        await seat.see(f"{topic}-0")
        await seat.press(key)
        if key == "r":
            await seat.type("earliest")
            await seat.press("enter")
        for _ in range(2):
            await seat.see("Type the group's name")
            await seat.type(group)
            await seat.press("enter")
            await seat.see("Nothing was changed", "could not be written", "This is how it is now")
        assert "--no-rollback" not in seat.text, "an option that rota top does not have"

    with Live(admin, groups=[group], interval_s=0.5) as live:
        play(live, act, group=group, changes=_changes(admin), size=(200, 40))
    assert {commit.offset for commit in _commits(admin, group).values()} == {3}


def test_a_failure_that_nobody_foresaw_is_said_in_a_line(desk: Desk, admin: Admin) -> None:
    topic, group = _committed(desk, admin)

    def broken(*_: object) -> Path | None:
        raise ValueError("one\ntwo")

    async def act(seat: Seat) -> None:
        await seat.see(f"{topic}-0")
        await seat.press("ctrl+d")
        await seat.see("Type the group's name")
        await seat.type(group)
        await seat.press("enter")
        await seat.see("Nothing was changed: ValueError: one two.", "Type the group's name")

    with Live(admin, groups=[group], interval_s=0.5) as live:
        changes = AdminChanges(admin, broken, diff_lines, ())
        play(live, act, group=group, changes=changes, size=(160, 40))


def test_a_change_that_fails_on_the_way_says_how_to_take_back_what_was_done(
    desk: Desk, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    topic, group = _committed(desk, admin)

    def overtaken(
        before: Mapping[str, Mapping[TopicPartition, Wanted]], at: datetime, path: Path | None
    ) -> Path | None:
        written = write_rollback(before, at, path)
        assert admin.delete_groups([group]) == {group: None}  # somebody else is faster
        return written

    async def act(seat: Seat) -> None:
        await seat.see(f"{topic}-0")
        await seat.press("ctrl+d")
        await seat.see("Type the group's name")
        await seat.type(group)
        await seat.press("enter")
        await seat.see(
            "was not deleted:", "To take back what was done of it, if anything:", f"--group={group}"
        )

    with Live(admin, groups=[group], interval_s=0.5) as live:
        changes = AdminChanges(admin, overtaken, diff_lines, ())
        play(live, act, group=group, changes=changes, size=(160, 40))


def _commits(admin: Admin, group: str) -> dict[TopicPartition, Commit]:
    found = admin.commits([group])[group]
    assert isinstance(found, dict)
    return found
