"""``rota top``: groups, one group, one member, live."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import click

from rota.cli.options import FiniteRange, admin_options, connection_words
from rota.cli.output import emit, printable
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.admin import Admin
    from rota.top.source import Changes, Done

__all__ = ["top"]

LOOK_TIMEOUT_S = 5.0
"""A live picture that cannot be refreshed says so sooner than a single question gives up."""


@click.command()
@click.argument("group", required=False)
@click.option(
    "--refresh",
    type=FiniteRange(min=0.1, max=3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look at the cluster; more often while a group rebalances.",
)
@click.option("--allow-changes", is_flag=True, help="Let keys reset offsets and delete groups.")
@click.option("--mouse", is_flag=True, help="Let clicks choose; the terminal's own marking needs Shift then.")
@admin_options
def top(group: str | None, refresh: float, allow_changes: bool, mouse: bool, admin: Admin) -> int:
    """Watch all groups, or begin with GROUP: who owns which partition, lag in records and in time, why it rebalances.

    Enter opens a group and then a member, esc goes back, d describes, / filters, : takes a command, ? shows all
    keys, q quits. Nothing can be changed without --allow-changes, and then only after the group's name was typed.

    \b
    Examples:
      rota top
      rota top tour --refresh 0.5
      rota top -b kafka-1:9092 --allow-changes
    """
    if importlib.util.find_spec("textual") is None:
        raise RotaError("`rota top` needs Textual, which is not installed: pip install 'rota[top]'")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        what = f"rota groups describe {group or '--all'}"
        raise RotaError(f"`rota top` needs a terminal; `{what}` prints the same once", exit_code=2)
    from rota.top.app import Top
    from rota.watching.live import Live

    admin.nodes()  # a wrong address is said once, at the start; later failures are shown and waited out
    admin.timeout_s = min(admin.timeout_s, LOOK_TIMEOUT_S)
    connection = connection_words()
    changes = _changes(admin, connection) if allow_changes else None
    try:
        with Live(admin, interval_s=refresh, connection=connection) as live:
            app = Top(live, admin.bootstrap, group=group, interval_s=refresh, changes=changes)
            app.run(mouse=mouse)
    finally:
        _say_changes(changes.made if changes is not None else ())
    return app.return_code or 0


def _changes(admin: Admin, connection: Sequence[str]) -> Changes:
    from rota.cli.groups_reset_text import diff_lines
    from rota.cli.groups_rollback import write_rollback
    from rota.top.changes import AdminChanges

    return AdminChanges(admin, write_rollback, diff_lines, connection)


def _say_changes(made: Sequence[Done]) -> None:
    """What was changed, and how to take it back, in lines that can be copied whole: the screen is gone."""
    from rota.top.text_screen import UNDO, UNDO_ANYWAY

    for done in made:
        emit(printable(done.words))
        if done.undo:
            emit(f"{UNDO_ANYWAY if done.failed else UNDO} {printable(done.undo)}")
