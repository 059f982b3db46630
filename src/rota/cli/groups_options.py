"""What the commands about groups share: which groups are meant, and command lines in messages."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.options import check_group, connection_words
from rota.cli.output import count_of, note
from rota.model import RotaError
from rota.shell import shell_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.admin import Admin
    from rota.monitor.facts import GroupFacts, GroupListing

__all__ = [
    "TYPES",
    "chosen_groups",
    "consumer_groups",
    "existing_group",
    "group_names",
    "missing_words",
    "raise_all",
    "rota_command",
    "say_members",
]

_F = TypeVar("_F", bound="Callable[..., Any]")

TYPES = ("Classic", "Consumer")
_PROTOCOLS = frozenset({"consumer", ""})
"""A group that has only committed has no protocol type."""


def group_names(verb: str, unless: Sequence[str] = ()) -> Callable[[_F], _F]:
    """GROUP… or ``--group``, or ``--all``; the command receives ``names`` (none: every group).

    With one of the parameters ``unless`` the command is about no group, and none need be named.
    """

    def decorate(command: _F) -> _F:
        @functools.wraps(command)
        def with_names(
            *args: Any, names: Sequence[str], more: Sequence[str], every: bool, **kwargs: Any
        ) -> Any:
            found = tuple(dict.fromkeys([*names, *more]))
            for name in found:
                check_group(name)
            if bool(found) == every and not any(kwargs[name] for name in unless):
                raise RotaError(f"name the groups to {verb}, or give --all for every group", exit_code=2)
            return command(*args, names=found, **kwargs)

        argument = click.argument("names", nargs=-1, metavar="[GROUP]...")
        option = click.option(
            "--group", "more", multiple=True, metavar="GROUP", help="The same as GROUP; may be repeated."
        )
        everyone = click.option("--all", "--all-groups", "every", is_flag=True, help="Every group.")
        return argument(option(everyone(with_names)))  # type: ignore[return-value]

    return decorate


def consumer_groups(
    admin: Admin, states: Sequence[str] = (), types: Sequence[str] = ()
) -> tuple[tuple[GroupListing, ...], RotaError | None]:
    """The groups that read topics, and why some may be missing; not those of Kafka Connect, share or streams groups."""
    listed, failure = admin.list_groups(states, types)
    found = [each for each in listed if each.protocol_type in _PROTOCOLS and each.type in {*TYPES, "Unknown"}]
    return tuple(found), failure


def chosen_groups(admin: Admin, names: Sequence[str]) -> tuple[tuple[str, ...], list[RotaError]]:
    """The groups that were named, or all there are, and why some of those may be missing."""
    if names:
        return tuple(names), []
    listed, failure = consumer_groups(admin)
    return tuple(group.group for group in listed), [failure] if failure is not None else []


def existing_group(admin: Admin, name: str) -> GroupFacts:
    """The group as it is. Raises ``RotaError`` if there is none, or nobody can say."""
    facts = admin.describe_groups([name])[name]
    if isinstance(facts, RotaError):
        raise facts
    if not facts.exists:
        raise RotaError(missing_words([name]))
    return facts


def missing_words(names: Sequence[str]) -> str:
    """``group a does not exist; …``."""
    what = f"group {names[0]} does" if len(names) == 1 else f"groups {', '.join(names)} do"
    return f"{what} not exist; `rota groups list` shows those that do"


def rota_command(*words: str) -> str:
    """A command line that can be pasted into a shell, aimed at the cluster that this command talks to."""
    return shell_line(["rota", *words, *connection_words()])


def say_members(group: GroupFacts, so: str) -> None:
    """Whom to stop, for a group that takes no orders while somebody is in it."""
    from rota.cli.groups_reset_text import member_words

    note(
        f"Group {group.group} is {group.state}, so {so}. Stop {count_of(len(group.members), 'member')} first:"
    )
    for member in sorted(group.members, key=lambda each: (each.client_id, each.host, each.member_id)):
        note(f"  {member_words(member)}")


def raise_all(failures: Sequence[RotaError]) -> None:
    """All of them named on standard error; the last one ends the command."""
    for failure in failures[:-1]:
        note(f"error: {failure}")
    if failures:
        raise failures[-1]
