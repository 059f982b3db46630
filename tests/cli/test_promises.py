"""What the README and `rota --help` say of all commands at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from rota.cli.root import root

README = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words behind `rota`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, (*above, name))
        else:
            yield " ".join((*above, name)), found


def test_every_command_has_json_but_those_that_the_readme_excepts() -> None:
    (line,) = re.findall(r"all but (.*?) have `--json`", README, re.DOTALL)
    without = {
        name
        for name, command in commands(root)
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == set(re.findall(r"`([\w -]+)`", line))


def test_the_help_says_of_both_commands_that_end_with_3() -> None:
    said = " ".join(CliRunner().invoke(root, ["--help"]).output.split())
    (three,) = re.findall(r"\b3 (.*?);", said)
    assert "`doctor`" in three
    assert "`groups reset-offsets`" in three
