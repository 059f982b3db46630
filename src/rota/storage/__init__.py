"""Partition logs on disk, in Kafka's formats, or in memory. Synchronous; no network, no protocol."""

from __future__ import annotations

from rota.storage.config import LogConfig
from rota.storage.directory import LogDirectory
from rota.storage.log import AppendInfo, Log, Slice
from rota.storage.metadata import MetadataStore, StoredTopic
from rota.storage.producers import ProducerState
from rota.storage.stores import FileRegion

__all__ = [
    "AppendInfo",
    "FileRegion",
    "Log",
    "LogConfig",
    "LogDirectory",
    "MetadataStore",
    "ProducerState",
    "Slice",
    "StoredTopic",
]
