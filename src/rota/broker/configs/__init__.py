"""Kafka's broker, topic and group configs: every name of Apache Kafka 4.1, with type, default and valid values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from rota.broker.configs.broker_table import ROWS as _BROKER_ROWS
from rota.broker.configs.definition import TYPE_CODES, ConfigDef, Value
from rota.broker.configs.group_table import ROWS as _GROUP_ROWS
from rota.broker.configs.topic_table import ROWS as _TOPIC_ROWS

__all__ = ["BROKER", "GROUP", "TOPIC", "TYPE_CODES", "ConfigDef", "Value", "nearest"]

_EFFECTIVE: Final = frozenset(
    """
    auto.create.topics.enable compression.type connections.max.idle.ms delete.topic.enable fetch.max.bytes
    group.initial.rebalance.delay.ms group.max.session.timeout.ms group.max.size group.min.session.timeout.ms
    log.cleanup.policy log.flush.interval.messages log.flush.interval.ms log.index.interval.bytes
    log.index.size.max.bytes log.message.timestamp.after.max.ms log.message.timestamp.before.max.ms
    log.message.timestamp.type log.retention.bytes log.retention.check.interval.ms log.retention.hours
    log.retention.minutes log.retention.ms log.roll.hours log.roll.ms log.segment.bytes
    max.connections max.incremental.fetch.session.cache.slots max.request.partition.size.limit
    message.max.bytes node.id num.partitions offset.metadata.max.bytes offsets.retention.check.interval.ms
    offsets.retention.minutes offsets.topic.num.partitions offsets.topic.segment.bytes
    producer.id.expiration.ms socket.listen.backlog.size socket.request.max.bytes socket.send.buffer.bytes
    cleanup.policy flush.messages flush.ms index.interval.bytes internal.segment.bytes max.message.bytes
    message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type
    retention.bytes retention.ms segment.bytes segment.index.bytes segment.ms
    """.split()
)


def _definition(name: str, type_: str, default: str | None, valid: str, *rest: str) -> ConfigDef:
    mode = rest[0] if rest else ""
    # The second to last field of a topic's row names broker configs, of a broker's row whether it is dynamic.
    is_mode = mode in {"dynamic", "read-only", "internal"}
    return ConfigDef(
        name,
        type_,
        default,
        valid,
        is_dynamic=mode == "dynamic",
        is_internal="internal" in rest,
        synonyms=() if is_mode or not mode else tuple(mode.split(",")),
        effective=name in _EFFECTIVE,
    )


def _table(rows: Iterable[tuple[str | None, ...]]) -> dict[str, ConfigDef]:
    return {str(row[0]): _definition(*row) for row in rows}  # type: ignore[arg-type]


BROKER: Final[Mapping[str, ConfigDef]] = _table(_BROKER_ROWS)
TOPIC: Final[Mapping[str, ConfigDef]] = _table(_TOPIC_ROWS)
GROUP: Final[Mapping[str, ConfigDef]] = _table(_GROUP_ROWS)


def nearest(name: str, known: Iterable[str] = BROKER) -> str | None:
    """The known name most like ``name``, if one is much like it."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return found[0] if found else None
