"""Client properties: Java's names in, librdkafka's names out.

So that one file works here and for Kafka's own tools: the few Java-only names that matter to a client are
translated, and a name that librdkafka has no use for is an error rather than silence.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["client_properties", "nearest"]

_JAAS_OPTION = re.compile(r'(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"')

_INSTEAD = {
    "ssl.truststore.location": "ssl.ca.location (a PEM file)",
    "ssl.truststore.type": "ssl.ca.location (a PEM file)",
    "ssl.truststore.password": "ssl.ca.location (a PEM file)",
    "ssl.keystore.type": "ssl.keystore.location (PKCS#12) or ssl.certificate.location (PEM)",
    "default.api.timeout.ms": "socket.timeout.ms",
    "request.timeout.ms": "socket.timeout.ms",
    "max.poll.records": "nothing: librdkafka hands out records one at a time",
}

KNOWN = (
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "batch.size",
    "bootstrap.servers",
    "client.id",
    "client.rack",
    "compression.type",
    "enable.auto.commit",
    "enable.idempotence",
    "enable.partition.eof",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "max.poll.interval.ms",
    "message.max.bytes",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
)
"""The properties worth suggesting for a misspelt one; librdkafka knows more and accepts them all."""


def client_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """Translate Java's spellings into librdkafka's; names neither has are left for the client to refuse."""
    translated: dict[str, str] = {}
    for name, value in properties.items():
        if name == "sasl.jaas.config":
            translated.update(_login(value))
        elif name in _INSTEAD:
            raise RotaError(
                f"client property {name} belongs to Java clients; use {_INSTEAD[name]}", exit_code=2
            )
        elif name == "ssl.endpoint.identification.algorithm":
            translated[name] = value or "none"
        else:
            translated[name] = value
    return translated


def nearest(name: str) -> str:
    """`; did you mean "x"?` for a name close to a known one, else nothing."""
    close = difflib.get_close_matches(name, KNOWN, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _login(jaas: str) -> dict[str, str]:
    """User name and password out of a Plain or SCRAM login module's line."""
    options = {key: re.sub(r"\\(.)", r"\1", value) for key, value in _JAAS_OPTION.findall(jaas)}
    if not {"username", "password"} <= options.keys():
        raise RotaError('sasl.jaas.config holds no username="…" and password="…"', exit_code=2)
    return {"sasl.username": options["username"], "sasl.password": options["password"]}
