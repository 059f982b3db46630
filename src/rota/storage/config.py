"""What a partition's log goes by: Kafka's topic configs, under their names, with Kafka 4.1's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rota.plain import Plain

__all__ = ["LogConfig"]

_FOREVER: Final = 2**63 - 1


class LogConfig(Plain):
    """Topic configs that concern the log. Sizes in bytes, times in milliseconds, -1 for no limit."""

    segment_bytes: int = 1024 * 1024 * 1024
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 * 1024 * 1024
    index_interval_bytes: int = 4096
    retention_bytes: int = -1
    retention_ms: int = 7 * 24 * 3600 * 1000
    max_message_bytes: int = 1024 * 1024 + 12
    message_timestamp_type: str = "CreateTime"
    message_timestamp_before_max_ms: int = _FOREVER
    message_timestamp_after_max_ms: int = 3600 * 1000
    cleanup_policy: Sequence[str] = ("delete",)
    compression_type: str = "producer"
    delete_retention_ms: int = 24 * 3600 * 1000
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = _FOREVER
    flush_messages: int = _FOREVER
    flush_ms: int = _FOREVER
    file_delete_delay_ms: int = 60_000
    producer_id_expiration_ms: int = 24 * 3600 * 1000
