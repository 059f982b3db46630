"""The client's configuration: what the runtime owns, what it sets, and what was meant by a name that does
not exist.
"""

from __future__ import annotations

import difflib
import re
import socket
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rota.client_properties import KNOWN, client_properties
from rota.consumer.core.offset_metadata import CEILING, LONGEST
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.consumer.core.state import Limits

__all__ = [
    "DEFAULTS",
    "check_limits",
    "differences",
    "effective_config",
    "refused",
    "shown",
    "static_id",
    "visible",
]

DEFAULTS: dict[str, tuple[Any, str, str]] = {
    "auto.offset.reset": ("earliest", "latest", "a group that begins reads what is there"),
    "fetch.queue.backoff.ms": (
        5,
        "1000",
        "a consumer that is quicker than its fetches waits so long for the next one",
    ),
    "heartbeat.interval.ms": (
        1000,
        "3000",
        "a member hears with its next heartbeat that another has come or gone",
    ),
    "partition.assignment.strategy": (
        "cooperative-sticky",
        "range,roundrobin",
        "a rebalance takes only the partitions that move",
    ),
    "reconnect.backoff.max.ms": (
        1000,
        "10000",
        "a broker that comes back is found sooner, as by Java's clients",
    ),
}
"""Where Rota's defaults are not librdkafka's: ours, librdkafka's, and why."""

_OWNED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
}
_TAKEN = {
    **dict.fromkeys(_OWNED, "Rota commits what handlers have finished, and nothing else"),
    "auto.commit.interval.ms": "Rota commits by itself; say Limits(commit_interval=…)",
    "on_commit": "Rota hears of commits itself; give the App an observer",
    "enable.partition.eof": "the end of a partition is no record, and no handler is called for it",
}
_BROKER_DECIDES = {
    "session.timeout.ms": "it is the group's config consumer.session.timeout.ms",
    "heartbeat.interval.ms": "it is the group's config consumer.heartbeat.interval.ms",
    "partition.assignment.strategy": "say group.remote.assignor=uniform or range",
    "group.protocol.type": "there is nothing to choose",
}
_SECRET = re.compile(r"password|secret|key\.pem|private|token|\.config$|credential", re.IGNORECASE)

_MORE_NAMES = (
    "broker.address.family",
    "check.crcs",
    "client.dns.lookup",
    "connections.max.idle.ms",
    "debug",
    "error_cb",
    "fetch.error.backoff.ms",
    "fetch.message.max.bytes",
    "fetch.queue.backoff.ms",
    "log_level",
    "metadata.max.age.ms",
    "oauth_cb",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.ms",
    "sasl.mechanisms",
    "sasl.oauthbearer.config",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.receive.buffer.bytes",
    "ssl.ca.pem",
    "ssl.certificate.pem",
    "ssl.key.pem",
    "statistics.interval.ms",
    "stats_cb",
    "topic.blacklist",
    "topic.metadata.refresh.interval.ms",
)
_MAX_POLL_INTERVAL_MS = 300_000
_SESSION_TIMEOUT_MS = 45_000
_LEAST = dict.fromkeys(("in_flight", "in_flight_per_partition", "commit_every", "slow"), 1)
"""What a limit must be at least, where that is not 0."""


def effective_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the client is made with. Raises RotaError for what cannot be: a missing name, or one that Rota
    owns.
    """
    if "metadata.broker.list" in config and "bootstrap.servers" not in config:  # librdkafka's older name
        config = {**config, "bootstrap.servers": config["metadata.broker.list"]}
    for name, why in _TAKEN.items():
        if name in config:
            raise RotaError(f"{name} cannot be set: {why}; take it out of the configuration", exit_code=2)
    for name in ("bootstrap.servers", "group.id"):
        if not config.get(name):
            raise RotaError(f"{name} is missing from the configuration of the consumer", exit_code=2)
    defaults = {name: ours for name, (ours, _, _) in DEFAULTS.items()}
    if _number(config, "reconnect.backoff.ms", 0) > defaults["reconnect.backoff.max.ms"]:
        del defaults["reconnect.backoff.max.ms"]  # the client wants it to be the larger one
    session_ms = _number(config, "session.timeout.ms", _SESSION_TIMEOUT_MS)
    defaults["heartbeat.interval.ms"] = min(defaults["heartbeat.interval.ms"], max(1, session_ms // 3))
    if str(config.get("group.protocol", "")).lower() == "consumer":
        del defaults["partition.assignment.strategy"], defaults["heartbeat.interval.ms"]  # the broker says
        for name, instead in _BROKER_DECIDES.items():
            if name in config:
                raise RotaError(
                    f"{name} cannot be set with group.protocol=consumer, where the broker decides: {instead}",
                    exit_code=2,
                )
    return {**defaults, **client_properties(dict(config)), **_OWNED}


def refused(problem: str) -> RotaError:
    """What librdkafka says of a configuration that it does not take, and the name that was meant."""
    problem = " ".join(problem.removeprefix("Failed to create consumer: ").split())
    unknown = re.search(r'No such configuration property: "([^"]*)"', problem)
    if unknown is None:
        return RotaError(f"the client does not take its configuration: {problem}", exit_code=2)
    close = difflib.get_close_matches(unknown[1], {*KNOWN, *_MORE_NAMES}, n=1)
    hint = (
        f"did you mean {close[0]}?" if close else "librdkafka's CONFIGURATION.md lists those that there are"
    )
    return RotaError(f"the client has no configuration property {unknown[1]}: {hint}", exit_code=2)


def check_limits(limits: Limits, config: Mapping[str, Any]) -> None:
    """Refuse limits that cannot work."""
    for field in fields(limits):
        least, value = _LEAST.get(field.name, 0), getattr(limits, field.name)
        if field.name == "note":
            if not isinstance(value, str):
                raise RotaError(f"Limits: note is {value!r}; it must be text")
        elif not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RotaError(f"Limits: {field.name} is {value!r}; it must be a whole number, {least} or more")
    if len(limits.note.encode()) > LONGEST:
        raise RotaError(f"Limits: note has more than {LONGEST} bytes; brokers take no more with a commit")
    if limits.metadata_bytes > CEILING:
        raise RotaError(
            f"Limits: metadata_bytes is {limits.metadata_bytes}; a commit can carry {CEILING:,} at most, and a broker "
            f"takes {LONGEST:,} unless its offset.metadata.max.bytes says more"
        )
    longest = _number(config, "max.poll.interval.ms", _MAX_POLL_INTERVAL_MS)
    if 2 * limits.revoke_drain > longest:
        raise RotaError(
            f"Limits: revoke_drain is {limits.revoke_drain} ms, more than half of max.poll.interval.ms ({longest}): "
            "the group would put this member out while it waits; lower the one or raise the other"
        )


def differences(config: Mapping[str, Any]) -> list[str]:
    """What Rota sets and librdkafka would not, in words."""
    return [
        f"{name}={ours} (librdkafka: {theirs}; {why})"
        for name, (ours, theirs, why) in DEFAULTS.items()
        if config.get(name) == ours
    ]


def shown(config: Mapping[str, Any]) -> str:
    """The configuration for a log line, without secrets."""
    return " ".join(f"{name}={value}" for name, value in visible(config).items())


def visible(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration for people, without secrets, by name."""
    return {
        name: "***" if _SECRET.search(name) else str(value)
        for name, value in sorted(config.items())
        if not callable(value)
    }


def static_id(prefix: str = "") -> str:
    """A ``group.instance.id`` from the host's name, for one consumer of a group on each host: a pod of a
    StatefulSet keeps its name, and so its partitions, through a restart.
    """
    name = re.sub(r"[^a-zA-Z0-9._-]", "-", f"{prefix}{socket.gethostname()}")
    return name[:249]


def _number(config: Mapping[str, Any], name: str, default: int) -> int:
    try:
        return int(config.get(name, default))
    except (TypeError, ValueError):
        raise RotaError(
            f"{name} is {config[name]!r}; it must be a number of milliseconds", exit_code=2
        ) from None
