"""The broker configs that can be set while a broker runs: Kafka's table, and names that are in no table.

Among these are the throttles of reassignments, the configs of one listener (``listener.name.<listener>.<config>``), and
whatever nobody knows, which Apache Kafka keeps for plugins and never shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.broker.configs import BROKER
from rota.broker.configs.definition import ConfigDef
from rota.plain import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["THREADS", "broker_definition", "can_be_cluster_wide"]

_THROTTLES: Final[Mapping[str, ConfigDef]] = {
    name: ConfigDef(name, "long", str(2**63 - 1), "0..")
    for name in (
        "follower.replication.throttled.rate",
        "leader.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    )
}
THREADS: Final = frozenset(
    {
        "background.threads",
        "log.cleaner.threads",
        "num.io.threads",
        "num.network.threads",
        "num.recovery.threads.per.data.dir",
        "num.replica.fetchers",
    }
)
"""Numbers of threads: they can be at most doubled and at most halved in one step."""

_LISTENER: Final = "listener.name."
_LISTENERS_CLUSTER_WIDE: Final = {"max.connections", "max.connection.creation.rate", "num.network.threads"}


def broker_definition(name: str) -> ConfigDef | None:
    """What is known of a broker config; None if nothing is."""
    found = BROKER.get(name) or _THROTTLES.get(name)
    if found is None and (base := BROKER.get(_of_listener(name))) is not None:
        return replace(base, name=name, mode="read-only")
    return found


def can_be_cluster_wide(name: str) -> bool:
    """Whether a name that is not in Kafka's table can be set for all brokers at once."""
    return not name.startswith(_LISTENER) or _of_listener(name) in _LISTENERS_CLUSTER_WIDE


def _of_listener(name: str) -> str:
    """The config that ``listener.name.<listener>.<config>`` is about."""
    if not name.startswith(_LISTENER):
        return ""
    return name.removeprefix(_LISTENER).partition(".")[2]
