"""The topics that failed records go to: looked at, and made if that is wanted, before the consumer begins.

A topic that is missing would otherwise be found out with the first record that fails, perhaps at night.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rota.cluster.commands import create_topic
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rota.cluster import Cluster, TopicDescription
    from rota.consumer.core.policy import Policy

__all__ = [
    "Facts",
    "Wanted",
    "connection_settings",
    "facts_of",
    "look_at",
    "timestamp_for",
    "wanted_by",
]

_CONNECTION = (
    "api.version.",
    "broker.address.",
    "broker.version.fallback",
    "client.",
    "connections.max.idle.ms",
    "debug",
    "enable.metrics.push",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "https.",
    "log_level",
    "metadata.",
    "oauth",
    "plugin.library.paths",
    "reconnect.",
    "retry.backoff.",
    "sasl.",
    "security.",
    "socket.",
    "ssl.",
    "topic.metadata.",
    "bootstrap.servers",
)
"""The beginnings of names that mean the connection, whatever kind of client it is for."""


_DEFAULT_RETENTION_MS = 604_800_000
"""Kafka's, for topics whose settings nobody may tell us."""


class Wanted(NamedTuple):
    """A topic that failed records of the topic ``source`` go to; ``delay_ms``: 0 for dead letters."""

    topic: str
    source: str
    delay_ms: int
    create: bool


class Facts(NamedTuple):
    """What is known of a topic: its largest batch in bytes (None: not known), for how long it keeps records, in
    milliseconds (None: for ever), and how far before and after its own clock it takes a timestamp to be (None: not
    known).
    """

    max_bytes: int | None = None
    keeps_ms: int | None = _DEFAULT_RETENTION_MS
    before_ms: int | None = None
    after_ms: int | None = None


def connection_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a consumer's configuration what another client needs to connect as it does."""
    return {name: value for name, value in config.items() if name.startswith(_CONNECTION)}


def wanted_by(policies: Iterable[tuple[Sequence[str], Policy]]) -> list[Wanted]:
    """What handlers of these topics write to, each topic once."""
    found: dict[str, Wanted] = {}
    for topics, policy in policies:
        for hop in policy.hops.values():
            found.setdefault(hop.topic, Wanted(hop.topic, hop.source, hop.delay_ms, policy.create_hops))
        letter = policy.dead_letter
        if letter is not None:
            found.setdefault(letter.topic, Wanted(letter.topic, topics[0], 0, letter.create))
    return list(found.values())


def look_at(cluster: Cluster, wanted: Sequence[Wanted]) -> dict[str, Facts]:
    """What is known of these topics; those that are missing and may be are made first.

    Raises:
        RotaError: one is missing and may not be made, nobody may see it, or it would lose records.
    """
    from rota.cluster.client import is_missing

    found = cluster.describe_topics([each.topic for each in wanted])
    missing = [each for each in wanted if is_missing(found[each.topic])]
    if missing:
        _make(cluster, missing)
        found |= cluster.describe_topics([each.topic for each in missing])
    facts = {}
    for each in wanted:
        answer = found[each.topic]
        if isinstance(answer, RotaError):
            raise answer
        facts[each.topic] = _checked(each, answer)
    return facts


def _make(cluster: Cluster, missing: Sequence[Wanted]) -> None:
    """Those that are wanted to be made; the others are told, with the command that makes them."""
    sources = cluster.describe_topics([each.source for each in missing], configs=False)
    counts = {
        name: len(answer.partitions) for name, answer in sources.items() if not isinstance(answer, RotaError)
    }
    absent = [each for each in missing if not each.create]
    if absent:
        names = ", ".join(each.topic for each in absent)
        commands = "; ".join(
            create_topic(each.topic, cluster.bootstrap, counts.get(each.source)) for each in absent
        )
        raise RotaError(
            f"failed records are to go to {names}, which {'does' if len(absent) == 1 else 'do'} not exist at "
            f"{cluster.bootstrap}: `{commands}`, or create=True where the handler names them"
        )
    for each in missing:
        # Nobody but its reader knows how long a dead letter is needed; a retry topic is read after its delay.
        configs = {} if each.delay_ms else {"retention.ms": "-1"}
        partitions = counts.get(each.source, -1)  # of a pattern nobody knows: the broker's default
        cluster.create_topic(each.topic, partitions=partitions, configs=configs, if_not_exists=True)


def facts_of(topic: TopicDescription) -> Facts:
    """What its settings say."""
    values = {config.name: config.value for config in topic.configs}
    keeps_ms = _number(values.get("retention.ms", str(_DEFAULT_RETENTION_MS)))
    keeps_ms = _DEFAULT_RETENTION_MS if keeps_ms is None else keeps_ms
    # Until Kafka 4.0 one setting may say both.
    both = values.get("message.timestamp.difference.max.ms", "")
    before, after = (
        [_number(text) for text in (values.get(f"message.timestamp.{side}.max.ms", ""), both)]
        for side in ("before", "after")
    )
    return Facts(
        _number(values.get("max.message.bytes", "")),
        None if keeps_ms < 0 else keeps_ms,
        min((each for each in before if each is not None), default=None),
        min((each for each in after if each is not None), default=None),
    )


def timestamp_for(timestamp_ms: int, facts: Facts, now_ms: int) -> int | None:
    """The timestamp with which a record goes to a topic: its own, unless it has none or the topic would soon
    delete it as too old; None: the time of the sending.
    """
    too_old = facts.keeps_ms is not None and timestamp_ms < now_ms - facts.keeps_ms // 2
    return None if timestamp_ms < 0 or too_old else timestamp_ms


def _checked(wanted: Wanted, topic: TopicDescription) -> Facts:
    policy = next((config.value for config in topic.configs if config.name == "cleanup.policy"), "")
    if "compact" in policy:
        raise RotaError(
            f"{wanted.topic} is compacted (cleanup.policy): of the failed records of one key it would keep the "
            "last only; they need a topic with cleanup.policy=delete"
        )
    facts = facts_of(topic)
    if facts.keeps_ms is not None and facts.keeps_ms < 2 * wanted.delay_ms:
        raise RotaError(
            f"{wanted.topic} keeps records for {facts.keeps_ms:,} ms (retention.ms), and they wait there for "
            f"{wanted.delay_ms:,} ms: give it twice the time at least"
        )
    return facts


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
