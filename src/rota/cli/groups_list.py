"""``rota groups list``: names, or a table with types and states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rota.cli.groups_options import TYPES, consumer_groups
from rota.cli.options import admin_options, json_option
from rota.cli.output import emit, emit_csv, emit_json
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.admin import Admin

__all__ = ["list_groups"]

STATES = (
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
)


@click.command("list")
@click.option(
    "--state",
    is_flag=False,
    flag_value="",
    metavar="[STATE,…]",
    help="Show states; only these if any are named.",
)
@click.option(
    "--type",
    "kind",
    is_flag=False,
    flag_value="",
    metavar="[TYPE,…]",
    help="Show types (classic, consumer); only these if any are named.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header: group,type,state.")
@json_option()
@admin_options
def list_groups(state: str | None, kind: str | None, as_csv: bool, as_json: bool, admin: Admin) -> None:
    """List the groups of consumers, one name a line; with --state or --type as a table.

    \b
    Examples:
      rota groups list
      rota groups list --state --type
      rota groups list --state preparingrebalance,empty
    """
    from rota.cli.groups_text import list_lines

    if as_csv and as_json:
        raise RotaError("--csv and --json exclude each other: choose one", exit_code=2)
    states, kinds = _names(state, STATES, "state"), _names(kind, TYPES, "type")
    found, failure = consumer_groups(admin, states, kinds)
    if as_json:
        emit_json([{"group": group.group, "type": group.type, "state": group.state} for group in found])
    elif as_csv:
        emit_csv(("group", "type", "state"), ((group.group, group.type, group.state) for group in found))
    else:
        for line in list_lines(found, with_type=kind is not None, with_state=state is not None):
            emit(line)
    if failure is not None:
        raise failure


def _names(given: str | None, known: Sequence[str], what: str) -> list[str]:
    """The named states or types under Kafka's spelling; whatever the case they were typed in."""
    by_lower = {name.lower(): name for name in known}
    wanted = [word.strip() for word in (given or "").split(",") if word.strip()]
    wrong = [word for word in wanted if word.lower() not in by_lower]
    if wrong:
        raise RotaError(f"no {what} {', '.join(wrong)}: the {what}s are {', '.join(known)}", exit_code=2)
    return sorted({by_lower[word.lower()] for word in wanted})
