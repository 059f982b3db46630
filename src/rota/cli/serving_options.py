"""Options of the commands that look at groups again and again and serve what they saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.options import FiniteRange

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["listen_options", "look_options"]

_F = TypeVar("_F", bound="Callable[..., Any]")


def listen_options(port: int, host_help: str) -> Callable[[_F], _F]:
    """``--host`` and ``--port``; the command receives ``host`` and ``port``."""

    def decorate(command: _F) -> _F:
        address = click.option(
            "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help=host_help
        )
        number = click.option(
            "--port",
            "-p",
            default=port,
            show_default=True,
            type=click.IntRange(0, 65_535),
            help="0: any that is free.",
        )
        return address(number(command))

    return decorate


def look_options(interval_s: float, least_s: float) -> Callable[[_F], _F]:
    """``--group``, ``--interval``, ``--window``; the command receives ``groups``, ``interval_s``, ``window_s``."""

    def decorate(command: _F) -> _F:
        groups = click.option(
            "--group",
            "-g",
            "groups",
            multiple=True,
            metavar="NAME",
            help="Watch this group only; several times.",
        )
        interval = click.option(
            "--interval",
            "interval_s",
            default=interval_s,
            show_default=True,
            type=FiniteRange(min=least_s, max=3600),
            metavar="SECONDS",
            help="How often to look at the cluster.",
        )
        window = click.option(
            "--window",
            "window_s",
            default=600.0,
            show_default=True,
            type=FiniteRange(min=10, max=86_400),
            metavar="SECONDS",
            help="Over which rates and levels are judged.",
        )
        return groups(interval(window(command)))

    return decorate
