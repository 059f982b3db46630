"""The client's configuration: what the runtime owns, what it sets, and what was meant by a name that does
not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULTS", "effective_config", "shown"]

DEFAULTS: dict[str, Any] = {
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",
    "fetch.queue.backoff.ms": 5,
}
"""Where Rota's defaults are not librdkafka's. A consumer that is quicker than its fetches waits
`fetch.queue.backoff.ms` for the next one: 1,000 unless told otherwise, a sixth of the speed. A group that
begins reads what is there. A rebalance takes only the partitions that move.
"""

_OWNED = {
    "enable.auto.commit": "Rota commits what handlers have finished",
    "enable.auto.offset.store": "Rota commits what handlers have finished",
}
_SECRET = ("password", "secret", "key.pem", "private")


def effective_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the client is made with. Raises RotaError for what cannot be: a missing name, or one that Rota
    owns.
    """
    for name, why in _OWNED.items():
        if name in config:
            raise RotaError(
                f"{name} cannot be set: {why}, and nothing else; take it out of the configuration"
            )
    for name in ("bootstrap.servers", "group.id"):
        if not config.get(name):
            raise RotaError(f"{name} is missing from the configuration of the consumer")
    defaults = dict(DEFAULTS)
    if config.get("group.protocol") == "consumer":
        del defaults["partition.assignment.strategy"]  # the broker assigns
    return {**defaults, **config, "enable.auto.commit": False, "enable.auto.offset.store": False}


def shown(config: Mapping[str, Any]) -> str:
    """The configuration for a log line, without secrets."""
    return " ".join(
        f"{name}={'***' if any(word in name for word in _SECRET) else value}"
        for name, value in sorted(config.items())
        if not callable(value)
    )
