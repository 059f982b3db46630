"""``rota broker`` as a command of click's: its help, and the words for mistakes. See ``rota.cli.broker_start``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rota.cli.broker_start import LEVELS, OPTIONS, Option, start

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["broker"]


def _options(command: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(OPTIONS):
        names = [option.short] if option.short else []
        command = click.option(
            *names,
            option.name,
            option.parameter,
            help=option.help,
            hidden=option.hidden,
            metavar=option.metavar,
            **_kind(option),
        )(command)
    return command


def _kind(option: Option) -> dict[str, Any]:
    """What click calls a kind of option."""
    match option.kind:
        case "flag":
            return {"is_flag": True}
        case "texts":
            return {"multiple": True}
        case "directory":
            return {"type": click.Path(path_type=Path, file_okay=False)}
        case "file":
            return {"type": click.Path(path_type=Path, dir_okay=False)}
    type_ = {"port": click.IntRange(0, 65535), "level": click.Choice(LEVELS, case_sensitive=False)}.get(
        option.kind
    )
    default = {} if option.default is None else {"default": option.default, "show_default": True}
    return {"type": type_, **default}


@click.command()
@_options
def broker(**values: Any) -> int:
    """Run a Kafka-compatible broker until Ctrl+C.

    It is one node for laptops, tests and lessons: no JVM, no container, and any Kafka client connects to it.
    Settings have Kafka's names and defaults. When it is ready it prints one line with its address.

    \b
    Examples:
      rota broker
      rota broker --data ./kafka-data --port 9093
      rota broker --port 0 --memory --config group.initial.rebalance.delay.ms=0
    """
    return start(**values)
