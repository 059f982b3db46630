"""``rota groups delete-offsets``: a group forgets what it has committed of some topics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli.confirm import confirm, yes_option
from rota.cli.groups_options import existing_group, raise_all
from rota.cli.groups_rollback import rollback_options, say_undo, write_rollback
from rota.cli.options import admin_options, check_group, json_option
from rota.cli.output import count_of, emit, emit_json, printable
from rota.model import RotaError
from rota.monitor.reset import Wanted
from rota.monitor.reset_words import scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.admin import Admin
    from rota.model import TopicPartition

__all__ = ["delete_offsets"]


@click.command("delete-offsets")
@click.argument("group")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    required=True,
    metavar="TOPIC[:0,1]",
    help="These partitions; may be repeated.",
)
@yes_option
@rollback_options
@json_option()
@admin_options
def delete_offsets(
    group: str,
    topics: Sequence[str],
    yes: Sequence[str],
    rollback: Path | None,
    no_rollback: bool,
    as_json: bool,
    admin: Admin,
) -> int:
    """Delete what GROUP has committed of some topics. Its members must not be subscribed to them.

    Asks for the group's name. What was committed is written to a file before, and the command that brings it back is
    printed.

    Exit codes: 0 deleted; 1 refused or failed, at least in part.

    \b
    Examples:
      rota groups delete-offsets tour --topic web
      rota groups delete-offsets tour --topic web:0,2 --yes tour
    """
    check_group(group)
    from rota.admin.resets import partitions_of

    scopes = list(map(scope_of, topics))
    existing_group(admin, group)
    partitions = partitions_of(admin, scopes)
    mine = _committed(admin, group, partitions, topics)
    what = f"This deletes {count_of(len(mine), 'committed offset')} of group {group}"
    confirm([group], yes, f"{what}: whoever gets such a partition then starts by auto.offset.reset.")
    # A person takes a while to type: what was committed meanwhile belongs into the file too.
    mine = _committed(admin, group, partitions, topics)
    path = None if no_rollback else write_rollback({group: mine}, datetime.now(UTC), rollback)
    answers = admin.delete_offsets(group, partitions)
    _print(group, answers, str(path) if path else None, as_json=as_json)
    failures = [RotaError(f"{tp}: {answer}") for tp, answer in sorted(answers.items()) if answer is not None]
    if len(failures) < len(answers):
        say_undo(path, {group: mine})
    raise_all(failures)
    return 0


def _committed(
    admin: Admin, group: str, partitions: Sequence[TopicPartition], topics: Sequence[str]
) -> dict[TopicPartition, Wanted]:
    """What is committed of these now. Raises ``RotaError`` if that is nothing."""
    commits = admin.commits([group])[group]
    if isinstance(commits, RotaError):
        raise commits
    mine = {tp: Wanted(commits[tp]) for tp in partitions if tp in commits}
    if not mine:
        raise RotaError(f"group {group} has committed nothing there: {', '.join(topics)}")
    return mine


def _print(
    group: str, answers: Mapping[TopicPartition, RotaError | None], rollback: str | None, *, as_json: bool
) -> None:
    """Kafka's table, or JSON."""
    if as_json:
        emit_json(
            {
                "group": group,
                "rollbackFile": rollback,
                "partitions": [
                    {
                        "topic": tp.topic,
                        "partition": tp.partition,
                        "deleted": answer is None,
                        "error": str(answer) if answer else None,
                    }
                    for tp, answer in sorted(answers.items())
                ],
            }
        )
        return
    width = max([15, *(len(tp.topic) for tp in answers)])
    emit()
    emit(f"{'TOPIC':<{width}} {'PARTITION':<10} {'STATUS':<15}")
    for tp, answer in sorted(answers.items()):
        status = "Successful" if answer is None else f"Error: {answer}"
        emit(printable(f"{tp.topic:<{width}} {tp.partition:<10} {status:<15}"))
