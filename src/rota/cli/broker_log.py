"""``--broker-log``: what the coordinator has written of its groups, for what ``__consumer_offsets`` does not say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.output import note
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.watching.offsets_topic import OffsetsTopic

__all__ = ["broker_log_option", "use_log"]

_F = TypeVar("_F", bound="Callable[..., Any]")


def broker_log_option(good_for: str) -> Callable[[_F], _F]:
    """``--broker-log``; the command receives ``broker_log``."""
    return click.option(
        "--broker-log",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help=f"The coordinator's log (server.log), which {good_for}.",
    )


def use_log(topic: OffsetsTopic, path: Path) -> None:
    """Let what is read of the topic be completed by the log. Raises ``RotaError`` if that cannot be read."""
    from rota.monitor.rebalances.broker_log import read_log

    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            found = list(read_log(lines))
    except OSError as error:
        raise RotaError(f"cannot read {path}: {error.strerror}") from None
    if not found:
        note(f"{path} says nothing of groups: is it the log of their coordinator, at level INFO?")
    topic.use(lambda reader: reader.learn_log(found))
