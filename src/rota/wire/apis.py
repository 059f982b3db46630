"""The APIs that are declared, and which message classes and headers belong to them."""

from __future__ import annotations

import importlib
from typing import Final

from rota.wire.messages.table import ROWS
from rota.wire.schema import Message

__all__ = ["APIS", "Api"]

_API_VERSIONS = 18


class Api:
    """One Kafka API. ``flexible_from`` is None where no version is flexible (KIP-482)."""

    __slots__ = ("flexible_from", "key", "max_version", "min_version", "name")

    def __init__(
        self, key: int, name: str, min_version: int, max_version: int, flexible_from: int | None
    ) -> None:
        self.key = key
        self.name = name
        self.min_version = min_version
        self.max_version = max_version
        self.flexible_from = flexible_from

    @property
    def request_type(self) -> type[Message]:
        """The request's class; its module is imported on first use."""
        return self._message("Request")

    @property
    def response_type(self) -> type[Message]:
        """The response's class."""
        return self._message("Response")

    def request_header_version(self, version: int) -> int:
        """2 where the version is flexible, else 1."""
        return 2 if self.flexible_from is not None and version >= self.flexible_from else 1

    def response_header_version(self, version: int) -> int:
        """1 where the version is flexible, else 0. ApiVersions: always 0, for the client does not know yet."""
        if self.key == _API_VERSIONS:
            return 0
        return 1 if self.flexible_from is not None and version >= self.flexible_from else 0

    def _message(self, kind: str) -> type[Message]:
        snake = "".join(f"_{each}" if each.isupper() else each for each in self.name).lower().lstrip("_")
        module = importlib.import_module(f"rota.wire.messages.{snake}")
        found: type[Message] = getattr(module, self.name + kind)
        return found

    def __repr__(self) -> str:
        return f"Api({self.key}, {self.name}, {self.min_version}-{self.max_version})"


APIS: Final[dict[int, Api]] = {row[0]: Api(*row) for row in ROWS}
