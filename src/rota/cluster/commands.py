"""Commands in messages: copied to a shell as they stand, they do what the message says."""

from __future__ import annotations

import shlex

__all__ = ["create_topic", "list_topics"]


def create_topic(topic: str, bootstrap: str, partitions: int | None = None) -> str:
    """``rota topics create orders --bootstrap-server 127.0.0.1:9092 --partitions 3``."""
    many = f" --partitions {partitions}" if partitions else ""
    return f"rota topics create {shlex.quote(topic)}{_at(bootstrap)}{many}"


def list_topics(bootstrap: str) -> str:
    """``rota topics list --bootstrap-server 127.0.0.1:9092``."""
    return f"rota topics list{_at(bootstrap)}"


def _at(bootstrap: str) -> str:
    return f" --bootstrap-server {shlex.quote(bootstrap)}" if bootstrap else ""
