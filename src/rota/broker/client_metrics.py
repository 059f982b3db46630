"""Subscriptions to clients' metrics (KIP-714): kept and described.

Nobody here receives metrics, as in Apache Kafka without such a plugin, so clients are not asked for any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rota.broker.configs.definition import ConfigDef
from rota.model import ErrorCode, KafkaError

__all__ = ["CONFIGS", "TABLE", "check"]

TABLE: Final = "client_metrics_configs"
CONFIGS: Final[Mapping[str, ConfigDef]] = {
    "interval.ms": ConfigDef("interval.ms", "int", "300000"),
    "match": ConfigDef("match", "list", ""),
    "metrics": ConfigDef("metrics", "list", ""),
}
_INTERVAL_MS: Final = range(100, 3_600_000 + 1)
_MATCHED: Final = frozenset(
    {
        *("client_instance_id", "client_id", "client_software_name", "client_software_version"),
        *("client_source_address", "client_source_port"),
    }
)


def check(configs: Mapping[str, str]) -> None:
    """What goes beyond the types of a subscription's values. Raises ``KafkaError``."""
    interval = configs.get("interval.ms")
    if interval is not None and int(interval) not in _INTERVAL_MS:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"config interval.ms={interval}: allowed is {_INTERVAL_MS[0]} to {_INTERVAL_MS[-1]}",
        )
    for pattern in filter(None, configs.get("match", "").split(",")):
        name, _, expression = pattern.partition("=")
        if name.strip() not in _MATCHED or "=" in expression or not _is_expression(expression.strip()):
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"config match: {pattern!r} is no name=expression")


def _is_expression(text: str) -> bool:
    import re

    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return False
    return bool(text)
