"""``rota groups``: look at groups as ``kafka-consumer-groups`` does, move their offsets, and remove them."""

from __future__ import annotations

import click

from rota.cli.lazy import LazyGroup

__all__ = ["groups"]


@click.group(
    cls=LazyGroup,
    lazy={
        "list": ("rota.cli.groups_list:list_groups", "List the groups, their types and states."),
        "describe": (
            "rota.cli.groups_describe:describe",
            "Show a group's offsets and lag, members or state.",
        ),
        "reset-offsets": (
            "rota.cli.groups_reset:reset_offsets",
            "Set where a group goes on reading; shows the difference first.",
        ),
        "delete": ("rota.cli.groups_delete:delete", "Delete groups with all they have committed."),
        "delete-offsets": (
            "rota.cli.groups_delete_offsets:delete_offsets",
            "Delete what a group has committed of some topics.",
        ),
        "remove-members": (
            "rota.cli.groups_remove_members:remove_members",
            "Take static members out of a group.",
        ),
        "rebalances": ("rota.cli.rebalances:rebalances", "Say why a group rebalanced, and what that cost."),
        "validate-regex": (
            "rota.cli.groups_validate:validate_regex",
            "Check a regular expression to subscribe by.",
        ),
        "offsets-log": ("rota.cli.offsets_log:offsets_log", "Read what groups have recorded, in words."),
    },
)
def groups() -> None:
    """List groups; describe their offsets, lag, members and state; read what they have recorded; reset and delete.

    Nothing here joins a group. `list`, `describe` and `offsets-log` only look, and so does `reset-offsets` without
    --execute; the others ask for the group's name before they change anything.
    """
