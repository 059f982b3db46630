"""A topic's settings: what was set for it, else the broker's value of the same thing, else Kafka's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from rota.broker.configs import TOPIC, Value
from rota.model import ErrorCode, KafkaError
from rota.storage import LogConfig

if TYPE_CHECKING:
    from rota.broker.settings import Settings

__all__ = ["broker_value", "check_together", "log_config"]

_MS_PER_UNIT: Final = {".hours": 3_600_000, ".minutes": 60_000}
_FIELDS: Final = {field.replace("_", "."): field for field in LogConfig.fields}


def broker_value(name: str, settings: Settings) -> tuple[str, Value] | None:
    """The broker config that decides a topic config that is not set, and its value in the topic's unit.

    Of several (``log.retention.ms``, ``.minutes``, ``.hours``) the first that is set wins.
    """
    for synonym in TOPIC[name].synonyms:
        if settings.is_set(synonym):
            value = settings.get(synonym)
            factor = next((ms for unit, ms in _MS_PER_UNIT.items() if synonym.endswith(unit)), 1)
            if isinstance(value, int) and factor != 1 and value >= 0:
                value *= factor
            return synonym, value
    return None


def log_config(configs: Mapping[str, str], settings: Settings) -> LogConfig:
    """What a topic's logs go by."""
    values: dict[str, Value] = {}
    for name, field in _FIELDS.items():
        definition = TOPIC.get(name)
        if definition is None:
            continue
        if name in configs:
            values[field] = definition.parse(configs[name])
        else:
            inherited = broker_value(name, settings)
            if inherited is not None:
                values[field] = inherited[1]
    if "internal.segment.bytes" in configs:
        values["segment_bytes"] = TOPIC["internal.segment.bytes"].parse(configs["internal.segment.bytes"])
    values["producer_id_expiration_ms"] = settings.int("producer.id.expiration.ms")
    return LogConfig(**values)  # type: ignore[arg-type]


def check_together(configs: Mapping[str, str], settings: Settings) -> None:
    """Raise ``KafkaError`` INVALID_CONFIG if a topic's configs, each valid, cannot be had together or here."""
    lag = log_config(configs, settings)
    if lag.min_compaction_lag_ms > lag.max_compaction_lag_ms:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"config min.compaction.lag.ms={lag.min_compaction_lag_ms} is more than"
            f" max.compaction.lag.ms={lag.max_compaction_lag_ms}",
        )
    if TOPIC["remote.storage.enable"].parse(configs.get("remote.storage.enable", "false")):
        raise KafkaError(
            ErrorCode.INVALID_CONFIG, "config remote.storage.enable=true: this broker has no remote storage"
        )
