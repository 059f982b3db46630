"""Records as confluent-kafka hands them out, made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StoredMessage:
    """`rota.consumer.clients.client.Message`; without a timestamp where ``at_ms`` is -1."""

    its_topic: str = "orders"
    its_partition: int = 0
    its_offset: int = 0
    its_key: bytes | None = None
    its_value: bytes | None = b""
    its_headers: Any = None
    at_ms: int = -1

    def topic(self) -> str:
        return self.its_topic

    def partition(self) -> int:
        return self.its_partition

    def offset(self) -> int:
        return self.its_offset

    def key(self) -> bytes | None:
        return self.its_key

    def value(self) -> bytes | None:
        return self.its_value

    def headers(self) -> Any:
        return self.its_headers

    def timestamp(self) -> tuple[int, int]:
        return (0, -1) if self.at_ms < 0 else (1, self.at_ms)

    def error(self) -> object | None:
        return None
