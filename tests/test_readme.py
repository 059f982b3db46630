"""What the README shows exists: commands, options, names in its Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest
from tests.conformance import test_differences, test_differences_groups, test_differences_records

from rota.cli.root import root
from rota.testing import Broker

_README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
_SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", _README, re.DOTALL))
_PYTHON = "\n".join(re.findall(r"```python\n(.*?)```", _README, re.DOTALL))
_COMMANDS = [shlex.split(line, comments=True)[1:] for line in _SHELL.splitlines() if line.startswith("rota ")]


def _find(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that a line means, and the rest of the line."""
    command: click.Command = root
    context = click.Context(root)
    rest = words
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest[0])
        assert found is not None, f"there is no command {rest[0]}"
        command, rest = found, rest[1:]
    return command, rest


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_a_command_and_its_options_exist(words: list[str]) -> None:
    command, rest = _find(words)
    known = {name for option in command.params for name in option.opts + option.secondary_opts}
    used = {word.split("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)}
    assert used <= known


def test_every_command_is_shown() -> None:
    names = root.list_commands(click.Context(root))
    assert names
    shown = {words[0] for words in _COMMANDS}
    assert set(names) <= shown


def test_its_first_lines_are_the_two_commands() -> None:
    first = [line for line in _README.splitlines() if line.startswith("make ")][:2]
    assert [line.split("#")[0].strip() for line in first] == ["make lab", "make test"]


@pytest.mark.parametrize("name", re.findall(r"broker\.(\w+)", _PYTHON))
def test_what_its_python_uses_exists(name: str) -> None:
    assert hasattr(Broker, name)


def test_its_links_lead_somewhere() -> None:
    here = Path(__file__).parents[1]
    for target in re.findall(r"\]\(([^)#:]+)\)", _README):
        assert (here / target).exists(), target


def test_its_differences_from_kafka_are_those_that_tests_show() -> None:
    rows = re.findall(r"^\| (?:Not there|Different[^|]*) \| (.*) \|$", _README, re.MULTILINE)
    told = [each for row in rows for each in row.split("; ")]
    modules = (test_differences, test_differences_groups, test_differences_records)
    assert sorted(told) == sorted(words for module in modules for words in _shown(module))


def _shown(module: ModuleType) -> list[str]:
    """The words of every `difference` mark on a module's tests and their parameters."""
    marks = [mark for each in vars(module).values() for mark in getattr(each, "pytestmark", [])]
    inside = [
        mark for each in marks if each.name == "parametrize" for case in each.args[1] for mark in case.marks
    ]
    return [mark.args[0] for mark in (*marks, *inside) if mark.name == "difference"]
