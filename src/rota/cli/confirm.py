"""Asking before something is destroyed: by its name, typed by a person or given by a script."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from rota.cli.output import count_of, note
from rota.model import RotaError
from rota.shell import quoted, shell_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["confirm", "yes_option"]

yes_option = click.option(
    "--yes",
    "yes",
    multiple=True,
    metavar="NAME",
    help="Confirm without being asked: the group's name, or such as '12 groups' for several.",
)


def confirm(groups: Sequence[str], given: Sequence[str], what: str, lines: Sequence[str] = ()) -> None:
    """Go on only if these very groups are meant.

    One group is confirmed by its name, several by all of their names or their number (``12 groups``), so that a
    list which has grown since is noticed. ``what`` is the sentence a person is shown before, ``lines`` what it names.

    Raises:
        RotaError: something else was given or typed; or nothing was given and there is no terminal to ask at (wrong
            usage).
    """
    expected = groups[0] if len(groups) == 1 else f"{len(groups)} groups"
    if given:
        if set(given) not in ({expected}, set(groups)):
            raise RotaError(
                f"--yes {shell_line(given)} does not confirm this: it is about {expected}; "
                "nothing was changed",
                exit_code=2,
            )
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        about = " ".join([what, *map(str.strip, lines)])
        raise RotaError(
            f"{about} Without a terminal to ask at, confirm it with --yes {quoted(expected)}",
            exit_code=2,
        )
    note(what, *lines)
    asked = "the group's name" if len(groups) == 1 else f"{count_of(len(groups), 'group')!r}"
    typed = click.prompt(f"Type {asked} to go on", default="", show_default=False, err=True)
    if typed.strip() != expected.strip():
        raise RotaError(f"{typed.strip()!r} is not {expected!r}: nothing was changed")
