"""Options that many commands share, and how they become a ``Cluster``."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.cluster import Cluster

__all__ = [
    "MOST_PARTITIONS",
    "MOST_REPLICAS",
    "FiniteRange",
    "admin_options",
    "check_group",
    "cluster_options",
    "connection_words",
    "json_option",
]

_F = TypeVar("_F", bound="Callable[..., Any]")

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"

MOST_PARTITIONS = 100_000
MOST_REPLICAS = 10_000
"""librdkafka's own limits."""


class FiniteRange(click.FloatRange):
    """A ``FloatRange`` without ``nan``, which is in every range, and without ``inf``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def cluster_options(command: _F) -> _F:
    """``--bootstrap-server`` and ``--command-config``; the command receives ``cluster``."""

    @functools.wraps(command)
    def with_cluster(*args: Any, bootstrap_server: str, command_config: Path | None, **kwargs: Any) -> Any:
        return command(*args, cluster=_cluster(bootstrap_server, command_config), **kwargs)

    return _with_where(with_cluster)  # type: ignore[return-value]


def admin_options(command: _F) -> _F:
    """The same and ``--timeout``; the command receives ``admin``, which is closed when it returns."""

    @functools.wraps(command)
    def with_admin(
        *args: Any, bootstrap_server: str, command_config: Path | None, timeout_ms: int, **kwargs: Any
    ) -> Any:
        from rota.admin import Admin

        with Admin(bootstrap_server, _properties(command_config), timeout_s=timeout_ms / 1000) as admin:
            return command(*args, admin=admin, **kwargs)

    timeout = click.option(
        "--timeout",
        "timeout_ms",
        type=click.IntRange(min=1, max=86_400_000),
        default=10_000,
        show_default=True,
        metavar="MS",
        help="How long each answer is waited for, in milliseconds.",
    )
    return _with_where(timeout(with_admin))  # type: ignore[return-value]


def _with_where(command: Callable[..., Any]) -> Callable[..., Any]:
    config = click.option(
        "--command-config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Client properties (security.protocol=…, sasl.…), as Kafka's own tools read them.",
    )
    server = click.option(
        "--bootstrap-server",
        "-b",
        envvar="ROTA_BOOTSTRAP_SERVER",
        default=DEFAULT_BOOTSTRAP,
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="A broker of the cluster; several with commas.",
    )
    return server(config(command))


def connection_words() -> tuple[str, ...]:
    """The options by which the command that runs reaches its cluster, for command lines that it shows."""
    given = click.get_current_context().params
    words = ["--bootstrap-server", str(given["bootstrap_server"])]
    if given.get("command_config"):
        words += ["--command-config", str(given["command_config"].absolute())]  # they may be run elsewhere
    return tuple(words)


def check_group(name: str) -> None:
    """A name that no group can have is wrong usage, before any broker is asked."""
    if not name.strip():
        raise RotaError(f"a group wants a name, not {name!r}", exit_code=2)


def json_option(what: str = "Print one JSON document.") -> Callable[[_F], _F]:
    """``--json``; the command receives ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def _cluster(bootstrap_server: str, command_config: Path | None) -> Cluster:
    from rota.cluster import Cluster

    return Cluster(bootstrap_server, _properties(command_config))


def _properties(command_config: Path | None) -> dict[str, str]:
    from rota.properties_file import read_properties

    properties = read_properties(command_config) if command_config is not None else {}
    properties.pop("bootstrap.servers", None)
    return properties
