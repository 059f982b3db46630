"""Names that other programs have chosen reach a terminal without what it would obey; data stays exact."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shell import words_in_a_shell

from rota.cli import run
from rota.cli.confirm import confirm
from rota.cli.groups_look import Look, Report
from rota.cli.groups_options import raise_all, rota_command, say_members
from rota.cli.groups_reset import reset_offsets
from rota.cli.groups_reset_text import kafka_lines
from rota.cli.groups_rollback import say_undo
from rota.cli.groups_text import (
    OffsetRow,
    list_lines,
    member_lines,
    offset_lines,
    offset_rows,
    state_lines,
)
from rota.cli.output import emit_csv, emit_json, note, table
from rota.cli.watch import fit
from rota.model import RotaError, TopicPartition, printable
from rota.monitor.facts import Commit, GroupFacts, GroupListing, MemberFacts
from rota.monitor.reset import Plan, Wanted

EVIL = "a\x1b[2J\x1b]52;c;cm0=\x07b\nc\td\x9b2Je\u202ef\x7f"
PLAIN = "a�[2J�]52;c;cm0=�b�c�d�2Je�f�"
PART = TopicPartition("t", 0)
MEMBER = MemberFacts(f"{EVIL}-1", EVIL, f"/{EVIL}", instance_id=EVIL, assignment=(PART,))
GROUP = GroupFacts(EVIL, "Classic", "Stable", EVIL, members=(MEMBER,))
OTHER = MemberFacts("c1", "c1", "/127.0.0.1")


@given(st.text())
@settings(deadline=None)
def test_what_is_printable_stays_and_the_rest_is_one_sign_each(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert all(new == (old if old.isprintable() else "�") for new, old in zip(shown, text, strict=True))


def test_tables_of_groups() -> None:
    rows = offset_rows(GROUP, {PART: Commit(1)}, {PART: 2})
    lines = [
        *offset_lines(EVIL, rows, verbose=True),
        *member_lines(GROUP, verbose=True),
        *state_lines(GROUP, verbose=True),
    ]
    assert len(lines) == 6
    for line in [*lines, *fit(lines[:2], 80), *fit(lines[2:4], 60)]:
        assert line.text.isprintable(), line.text
        assert (line.member_id or "").isprintable()
    for line in (lines[1], lines[3], lines[5]):
        assert PLAIN in line.text
        assert line.cells[0] == PLAIN
    listing = [GroupListing(EVIL, "Classic", "Stable", "consumer"), GroupListing("b", "Classic", "Empty", "")]
    assert list_lines(listing, with_type=False, with_state=False) == [PLAIN, "b"]
    assert all(line.isprintable() for line in list_lines(listing, with_type=True, with_state=True))


def test_columns_are_as_wide_as_what_is_shown() -> None:
    lines = offset_lines(EVIL, [OffsetRow(PART, Commit(1), 2, None)], verbose=False)
    assert lines[0].text.index("TOPIC") == lines[1].text.index("t  ") == len(PLAIN) + 1


def test_other_tables() -> None:
    assert table(["A", "B"], [[EVIL, 1]])[1] == f"{PLAIN}  1"
    plan = Plan(EVIL, None, ())
    assert all(line.isprintable() for line in kafka_lines([plan]))


def test_csv_and_json_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(GROUP, ())
    emit_csv(*Look((EVIL,), "members", True).cells([report]))
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
    assert (row["GROUP"], row["CLIENT-ID"]) == (EVIL, EVIL)
    emit_json(report.as_json())
    said = capsys.readouterr().out
    assert said.replace("\n", "").replace("\u202e", "").isprintable()
    assert json.loads(said)["group"] == EVIL


def test_notes(capsys: pytest.CaptureFixture[str]) -> None:
    note(EVIL, "second")
    say_members(GROUP, "so it is")
    with pytest.raises(RotaError):
        raise_all([RotaError(f"group {EVIL} is away"), RotaError("last")])
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [PLAIN, "second"]
    assert len(said) == 5
    assert all(line.isprintable() for line in said)
    assert said[4] == f"error: group {PLAIN} is away"


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["groups", "delete", EVIL, "--bootstrap-server", "\x1b[2J:1"]) != 0
    said = capsys.readouterr().err
    assert said.endswith("\n")
    assert said[:-1].isprintable()


def test_the_question_and_what_it_is_about(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("sys.stdin", "sys.stderr"):
        monkeypatch.setattr(f"{stream}.isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: EVIL)
    confirm([EVIL], [], f"This deletes group {EVIL}:", [f"  {EVIL}"])
    assert capsys.readouterr().err == f"This deletes group {PLAIN}:\n  {PLAIN}\n"
    with pytest.raises(RotaError) as refused:
        confirm(["other"], [], "This deletes group other.")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("word", ["tour", "it's two", EVIL, "\\\x1b'7", "ü\x85", ""])
def test_a_command_line_to_paste_is_printable_and_means_the_very_name(word: str) -> None:
    with click.Context(click.Command("x")) as context:
        context.params = {"bootstrap_server": "127.0.0.1:9092"}
        line = rota_command("groups", word)
    assert line.isprintable()
    if word.isprintable():
        assert shlex.split(line)[2] == word
    assert words_in_a_shell(line) == ["rota", "groups", word, "--bootstrap-server", "127.0.0.1:9092"]


def test_a_command_line_to_paste_names_files_that_other_directories_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with click.Context(click.Command("x")) as context:
        context.params = {"bootstrap_server": "127.0.0.1:9092", "command_config": Path("my.properties")}
        say_undo(Path("before.csv"), {"g": {PART: Wanted(Commit(1))}})
    words = capsys.readouterr().err.split()
    assert words[words.index("--from-file") + 1] == str(tmp_path / "before.csv")
    assert words[words.index("--command-config") + 1] == str(tmp_path / "my.properties")


def test_the_command_that_takes_a_change_back_takes_no_group_for_an_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    groups = ["orders", "-x", "--execute"]
    with click.Context(click.Command("x")) as context:
        context.params = {"bootstrap_server": "127.0.0.1:9092"}
        say_undo(Path("before.csv"), {group: {PART: Wanted(Commit(1))} for group in groups})
    line = capsys.readouterr().err.strip().removeprefix("To take it back: rota groups reset-offsets ")
    read = reset_offsets.make_context("reset-offsets", shlex.split(line)).params
    assert {*read["names"], *read["more"]} == set(groups)
    assert read["execute"] is True
