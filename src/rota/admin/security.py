"""How a connection is protected and who logs in, from client properties under librdkafka's or Java's names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.model import RotaError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

__all__ = ["Security", "addresses"]

DEFAULT_PORT = 9092
_ADDRESS = re.compile(r"(?:\w+://)?(\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+)(?::(\d{1,5}))?")
_PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")


def addresses(bootstrap: str) -> list[tuple[str, int]]:
    """``HOST:PORT[,…]`` as hosts and ports. Raises ``RotaError``."""
    found = []
    for text in bootstrap.split(","):
        match = _ADDRESS.fullmatch(text.strip())
        port = DEFAULT_PORT if match is None or match[2] is None else int(match[2])
        if match is None or not 1 <= port <= 65535:
            raise RotaError(f"{bootstrap!r} is no broker's address: expected HOST:PORT[,…]", exit_code=2)
        found.append((match[1].strip("[]"), port))
    return found


@dataclass(frozen=True, slots=True)
class Security:
    """``tls`` is None for plain text, ``mechanism`` empty where nobody logs in."""

    tls: ssl.SSLContext | None = None
    check_host: bool = True
    mechanism: str = ""
    username: str = ""
    password: str = ""

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Security:
        """From client properties under librdkafka's names. Raises ``RotaError``."""
        protocol = properties.get("security.protocol", "plaintext").lower()
        if protocol not in _PROTOCOLS:
            raise RotaError(
                f"client property security.protocol is {protocol!r}: expected one of {', '.join(_PROTOCOLS)}",
                exit_code=2,
            )
        if protocol != "plaintext":
            raise RotaError("not yet", exit_code=2)
        return cls()
