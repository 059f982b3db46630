"""``rota groups delete``: groups go with all they have committed; what that was is kept in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli.confirm import confirm, yes_option
from rota.cli.groups_options import chosen_groups, group_names, missing_words, raise_all, say_members
from rota.cli.groups_rollback import rollback_options, say_undo, write_rollback
from rota.cli.options import admin_options, json_option
from rota.cli.output import count_of, emit, emit_json, printable
from rota.model import RotaError
from rota.monitor.reset import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.admin import Admin
    from rota.model import TopicPartition
    from rota.monitor.facts import Commit

__all__ = ["delete"]


@click.command()
@group_names("delete")
@yes_option
@rollback_options
@json_option()
@admin_options
def delete(
    names: Sequence[str],
    yes: Sequence[str],
    rollback: Path | None,
    no_rollback: bool,
    as_json: bool,
    admin: Admin,
) -> int:
    """Delete each GROUP and all that it has committed. It must have no members.

    Asks for the group's name, or with several for their number. What was committed is written to a file before, and
    the command that brings it back is printed.

    Exit codes: 0 deleted; 1 refused or failed, at least in part.

    \b
    Examples:
      rota groups delete tour
      rota groups delete tour --yes tour
      rota groups delete old-1 old-2 --yes '2 groups'
    """
    groups, failures = chosen_groups(admin, names)
    able = _able(admin, groups, failures)
    try:
        confirm(list(able), yes, _what(able))
    except RotaError as unconfirmed:  # perhaps because these were counted
        raise_all([*failures, unconfirmed])
    # A person takes a while to type: what was committed meanwhile belongs into the file too.
    able = _able(admin, list(able), failures)
    before = {
        group: {tp: Wanted(commit) for tp, commit in commits.items()} for group, commits in able.items()
    }
    path = None if no_rollback else write_rollback(before, datetime.now(UTC), rollback)
    answers = admin.delete_groups(list(able))
    _print(answers, before, str(path) if path else None, as_json=as_json)
    say_undo(
        path, {group: before[group] for group, answer in answers.items() if answer is None and before[group]}
    )
    raise_all([*failures, *(answer for answer in answers.values() if answer is not None)])
    return 0


def _able(
    admin: Admin, groups: Sequence[str], failures: list[RotaError]
) -> dict[str, Mapping[TopicPartition, Commit]]:
    """The groups that can be deleted now, with their commits; why the others cannot is added to the failures.

    Raises:
        RotaError: no group can be.
    """
    able: dict[str, Mapping[TopicPartition, Commit]] = {}
    described, committed = admin.describe_groups(groups), admin.commits(groups)
    missing = []
    for group in groups:
        facts, commits = described[group], committed[group]
        if isinstance(facts, RotaError):
            failures.append(facts)
        elif isinstance(commits, RotaError):
            failures.append(commits)
        elif not facts.exists:
            missing.append(group)
        elif facts.members:
            say_members(facts, "it cannot be deleted")
            failures.append(
                RotaError(f"group {group} is {facts.state} and was not deleted: stop its members first")
            )
        else:
            able[group] = commits
    if missing:
        failures.append(RotaError(missing_words(missing)))
    if not able:
        raise_all(failures)
        raise RotaError("there is no group to delete")
    return able


def _print(
    answers: Mapping[str, RotaError | None],
    before: Mapping[str, Mapping[TopicPartition, Wanted]],
    rollback: str | None,
    *,
    as_json: bool,
) -> None:
    """A line for each that was deleted, or JSON with all."""
    if as_json:
        emit_json(
            [
                {
                    "group": group,
                    "deleted": answer is None,
                    "error": str(answer) if answer else None,
                    "rollbackFile": rollback,
                }
                for group, answer in answers.items()
            ]
        )
        return
    for group, answer in answers.items():
        if answer is None:
            emit(printable(f"Deleted group {group} ({count_of(len(before[group]), 'committed offset')})."))


def _what(able: Mapping[str, Mapping[TopicPartition, Commit]]) -> str:
    offsets = count_of(sum(map(len, able.values())), "committed offset")
    if len(able) == 1:
        (group,) = able
        return f"This deletes group {group} and its {offsets}: whoever joins it then starts by auto.offset.reset."
    names = ", ".join(list(able)[:10]) + (" …" if len(able) > 10 else "")
    return f"This deletes {len(able)} groups and their {offsets}: {names}."
