"""``rota groups remove-members``: static members that are gone for good give up their partitions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rota.cli.confirm import confirm, yes_option
from rota.cli.groups_options import existing_group, raise_all
from rota.cli.groups_reset_text import member_words
from rota.cli.options import admin_options, check_group, json_option
from rota.cli.output import count_of, emit, emit_json, printable
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.admin import Admin
    from rota.monitor.facts import GroupFacts, MemberFacts

__all__ = ["remove_members"]


@click.command("remove-members")
@click.argument("group")
@click.option(
    "--instance",
    "instances",
    multiple=True,
    metavar="ID",
    help="A member's group.instance.id; may be repeated.",
)
@click.option("--all-static", is_flag=True, help="All members that have one.")
@click.option(
    "--reason", default="removed by hand", show_default=True, help="What the broker's log is to say."
)
@yes_option
@json_option()
@admin_options
def remove_members(
    group: str,
    instances: Sequence[str],
    all_static: bool,
    reason: str,
    yes: Sequence[str],
    as_json: bool,
    admin: Admin,
) -> int:
    """Remove static members from GROUP, so that others get their partitions before the session is over.

    For members whose process is gone and will not come back: a static member keeps its partitions until its session
    expires. One that still runs joins again. Asks for the group's name.

    Exit codes: 0 removed; 1 refused or failed, at least in part.

    \b
    Examples:
      rota groups remove-members tour --instance pod-2
      rota groups remove-members tour --all-static --yes tour
    """
    check_group(group)
    if bool(instances) == all_static:
        raise RotaError("say who: --instance ID, or --all-static for all static members", exit_code=2)
    members = _chosen(existing_group(admin, group), instances)
    lines = [
        f"  {member_words(member)}, {count_of(len(member.assignment), 'partition')}" for member in members
    ]
    who = count_of(len(members), "static member")
    confirm([group], yes, f"This removes {who} from group {group}, which rebalances:", lines)
    answers = admin.remove_members(group, [member.instance_id or "" for member in members], reason)
    _print(group, answers, as_json=as_json)
    raise_all([answer for answer in answers.values() if answer is not None])
    return 0


def _print(group: str, answers: Mapping[str, RotaError | None], *, as_json: bool) -> None:
    """A line for each that was removed, or JSON with all."""
    if as_json:
        emit_json(
            [
                {
                    "groupInstanceId": instance,
                    "removed": answer is None,
                    "error": str(answer) if answer else None,
                }
                for instance, answer in answers.items()
            ]
        )
        return
    for instance, answer in answers.items():
        if answer is None:
            emit(printable(f"Removed {instance} from group {group}."))


def _chosen(facts: GroupFacts, instances: Sequence[str]) -> list[MemberFacts]:
    """The static members that are meant; none, or one that is not there, is an error that names those there are."""
    static = {member.instance_id or "": member for member in facts.members if member.instance_id}
    absent = [instance for instance in instances if instance not in static]
    if absent or not static:
        what = f"no static member {', '.join(absent)}" if absent else "no static member"
        there = f"; there are {', '.join(sorted(static))}" if static else ""
        raise RotaError(f"group {facts.group} has {what}{there}")
    return [static[instance] for instance in dict.fromkeys(instances)] if instances else list(static.values())
