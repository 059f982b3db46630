"""How the coordinators' topics are made: compacted, and with segments that suit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.broker.broker import Broker

__all__ = ["create_own_log"]

# What is in the last segment cannot be compacted, and memory is not as plenty as disk.
_MEMORY_SEGMENT_BYTES: Final = 1024 * 1024
_LEAST_SEGMENT_BYTES: Final = 1024 * 1024


def create_own_log(
    broker: Broker, topic: str, *, partitions: str, segment_bytes: str, configs: Mapping[str, str]
) -> None:
    """Make a coordinator's topic, unless it is there. Raises ``KafkaError``.

    ``partitions`` and ``segment_bytes`` are the names of the broker's settings for it.
    """
    if topic in broker.topics:
        return
    size = broker.settings.int(segment_bytes)
    if broker.directory.path is None and not broker.settings.is_set(segment_bytes):
        size = _MEMORY_SEGMENT_BYTES
    # A topic's segment.bytes may not be less than 1 MB; the broker's setting for this one may.
    name = "internal.segment.bytes" if size < _LEAST_SEGMENT_BYTES else "segment.bytes"
    broker.topics.create(
        topic,
        broker.settings.int(partitions),
        {"cleanup.policy": "compact", **configs, name: str(size)},
    )
