"""Kafka's broker, topic and group configs: each name of Apache Kafka 4.1, its type, default, valid values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.broker.configs.broker_table import ROWS as _BROKER_ROWS
from rota.broker.configs.definition import TYPE_CODES, ConfigDef, Value
from rota.broker.configs.group_table import ROWS as _GROUP_ROWS
from rota.broker.configs.topic_table import ROWS as _TOPIC_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["BROKER", "GROUP", "TOPIC", "TYPE_CODES", "ConfigDef", "Value", "nearest"]

_ACTED_ON: Final = """
    auto.create.topics.enable broker.rack compression.type connections.max.idle.ms delete.topic.enable fetch.max.bytes
    consumer.heartbeat.interval.ms consumer.session.timeout.ms group.consumer.assignors
    group.consumer.heartbeat.interval.ms group.consumer.max.heartbeat.interval.ms
    group.consumer.max.session.timeout.ms group.consumer.max.size group.consumer.migration.policy
    group.consumer.min.heartbeat.interval.ms
    group.consumer.min.session.timeout.ms group.consumer.session.timeout.ms
    group.initial.rebalance.delay.ms group.max.session.timeout.ms group.max.size group.min.session.timeout.ms
    log.cleaner.backoff.ms log.cleaner.dedupe.buffer.size log.cleaner.delete.retention.ms log.cleaner.enable
    log.cleaner.max.compaction.lag.ms log.cleaner.min.cleanable.ratio log.cleaner.min.compaction.lag.ms
    log.cleanup.policy log.flush.interval.messages log.flush.interval.ms
    log.flush.offset.checkpoint.interval.ms log.index.interval.bytes log.initial.task.delay.ms
    log.index.size.max.bytes log.message.timestamp.after.max.ms log.message.timestamp.before.max.ms
    log.message.timestamp.type log.retention.bytes log.retention.check.interval.ms log.retention.hours
    log.retention.minutes log.retention.ms log.roll.hours log.roll.ms log.segment.bytes
    max.connection.creation.rate max.connections max.connections.per.ip max.connections.per.ip.overrides
    max.incremental.fetch.session.cache.slots max.request.partition.size.limit
    message.max.bytes node.id num.partitions offset.metadata.max.bytes offsets.retention.check.interval.ms
    offsets.retention.minutes offsets.topic.num.partitions offsets.topic.segment.bytes
    producer.id.expiration.ms queued.max.request.bytes
    socket.listen.backlog.size socket.request.max.bytes socket.send.buffer.bytes
    cleanup.policy delete.retention.ms flush.messages flush.ms index.interval.bytes internal.segment.bytes
    max.compaction.lag.ms max.message.bytes min.cleanable.dirty.ratio min.compaction.lag.ms
    message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type
    retention.bytes retention.ms segment.bytes segment.index.bytes segment.ms
    transaction.abort.timed.out.transaction.cleanup.interval.ms transaction.max.timeout.ms
    transaction.partition.verification.enable transaction.remove.expired.transaction.cleanup.interval.ms
    transaction.state.log.num.partitions transaction.state.log.segment.bytes transactional.id.expiration.ms
"""
_EFFECTIVE: Final = frozenset(_ACTED_ON.split())


def _definition(name: str, type_: str, default: str | None, valid: str, *rest: str) -> ConfigDef:
    # Next comes a broker config's mode, or the broker configs that a topic config falls back to.
    extra = rest[0] if rest else ""
    is_mode = extra in {"read-only", "per-broker", "cluster-wide"}
    return ConfigDef(
        name,
        type_,
        default,
        valid,
        mode=extra if is_mode else "read-only",
        is_internal="internal" in rest,
        synonyms=() if is_mode or not extra else tuple(extra.split(",")),
        effective=name in _EFFECTIVE,
    )


def _table(rows: Iterable[tuple[str | None, ...]]) -> dict[str, ConfigDef]:
    return {str(row[0]): _definition(*row) for row in rows}  # type: ignore[arg-type]


BROKER: Final[Mapping[str, ConfigDef]] = _table(_BROKER_ROWS)
TOPIC: Final[Mapping[str, ConfigDef]] = _table(_TOPIC_ROWS)
GROUP: Final[Mapping[str, ConfigDef]] = _table(_GROUP_ROWS)


def nearest(name: str, known: Iterable[str] = BROKER) -> str | None:
    """The known name most like ``name``, if one is much like it."""
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return found[0] if found else None
