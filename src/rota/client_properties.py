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

__all__ = ["check_names", "client_properties", "nearest"]

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


OTHERS = frozenset(
    """
    acks api.version.fallback.ms api.version.request api.version.request.timeout.ms auto.commit.enable
    batch.num.messages broker.address.family broker.address.ttl broker.version.fallback builtin.features
    check.crcs client.dns.lookup client.software.name client.software.version compression.codec
    compression.level connections.max.idle.ms consume.callback.max.messages
    coordinator.query.interval.ms debug delivery.report.only.error delivery.timeout.ms dr_cb dr_msg_cb
    enable.auto.offset.store enable.gapless.guarantee enable.metrics.push enable.random.seed
    enable.sasl.oauthbearer.unsecure.jwt enable.sparse.connections enable.ssl.certificate.verification
    error_cb fetch.error.backoff.ms fetch.message.max.bytes fetch.queue.backoff.ms group.protocol.type
    https.ca.location https.ca.pem internal.termination.signal log.connection.close log.queue
    log.thread.name log_cb log_level max.in.flight max.in.flight.requests.per.connection
    max.partition.fetch.bytes message.copy.max.bytes message.send.max.retries message.timeout.ms
    metadata.broker.list metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms
    metadata.recovery.strategy msg_order_cmp oauthbearer_token_refresh_cb offset.store.method
    offset.store.path offset.store.sync.interval.ms plugin.library.paths produce.offset.report
    queue.buffering.backpressure.threshold queue.buffering.max.kbytes queue.buffering.max.messages
    queue.buffering.max.ms queued.max.messages.kbytes queued.min.messages queuing.strategy
    receive.message.max.bytes reconnect.backoff.jitter.ms reconnect.backoff.max.ms reconnect.backoff.ms
    request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms sasl.kerberos.keytab
    sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin sasl.kerberos.principal
    sasl.kerberos.service.name sasl.mechanisms sasl.oauthbearer.assertion.algorithm
    sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds
    sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include
    sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub
    sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.jwt.template.file
    sasl.oauthbearer.assertion.private.key.file sasl.oauthbearer.assertion.private.key.passphrase
    sasl.oauthbearer.assertion.private.key.pem sasl.oauthbearer.client.credentials.client.id
    sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.client.id
    sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions
    sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method
    sasl.oauthbearer.scope sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url
    share.acknowledgement.mode socket.blocking.max.ms socket.connection.setup.timeout.ms
    socket.keepalive.enable socket.max.fails socket.nagle.disable socket.receive.buffer.bytes
    socket.send.buffer.bytes ssl.ca.certificate.stores ssl.ca.pem ssl.certificate.pem ssl.cipher.suites
    ssl.crl.location ssl.curves.list ssl.engine.id ssl.engine.location ssl.key.pem ssl.providers
    ssl.sigalgs.list statistics.interval.ms stats_cb sticky.partitioning.linger.ms throttle_cb
    topic.blacklist topic.metadata.propagation.max.ms topic.metadata.refresh.fast.cnt
    topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms
    topic.metadata.refresh.sparse transaction.timeout.ms transactional.id
    """.split()
)
"""The rest of those that librdkafka 2 has."""


def check_names(properties: Mapping[str, str]) -> None:
    """Refuse a name that librdkafka does not have, as it does itself. Raises ``RotaError``."""
    for name in properties:
        if name not in KNOWN and name not in OTHERS:
            raise RotaError(f"unknown client property {name}{nearest(name)}", exit_code=2)


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
