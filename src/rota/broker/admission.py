"""Who may connect: Kafka's limits on connections, and how fast connections may come.

As in Apache Kafka, whoever comes when ``max.connections`` are open waits until one of them ends; whoever comes from
an address that has ``max.connections.per.ip`` is sent away at once; and faster than ``max.connection.creation.rate``
nobody is let in: to open a connection and drop it costs a client less than it costs the broker. Kafka's default is no
limit, and its broker has a thread for those who come. Here one thread does everything, so there is a limit of our own
where none is set: after a crowd of ``_CROWD``, ``_RATE`` a second, which is a twentieth of the thread's time.
"""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING

from rota.broker.storage_errors import complain

if TYPE_CHECKING:
    from rota.broker.settings import Settings

__all__ = ["Admission"]

_UNLIMITED = 2**31 - 1
_CROWD = 2000
_RATE = 500
_IN_VAIN = 20  # connections that cost the same
_LEAST_WAIT_S = 0.05


class Admission:
    """Counts open connections. Times are seconds of one clock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = 0
        self._by_ip: Counter[str] = Counter()
        self._overrides_text = ""
        self._overrides: dict[str, int] = {}
        self._tokens: float = _CROWD
        self._rate = _RATE
        self._counted_at = 0.0

    @property
    def is_full(self) -> bool:
        """Nobody else can be let in before somebody goes."""
        return self._open >= self._settings.int("max.connections")

    def wait_s(self, now: float) -> float:
        """How long nobody is to be let in, because too many came lately."""
        rate = self._settings.int("max.connection.creation.rate")
        rate, crowd = (_RATE, _CROWD) if rate == _UNLIMITED else (rate, max(rate, 1))
        self._rate = rate
        self._tokens = min(crowd, self._tokens + (now - self._counted_at) * rate)
        self._counted_at = now
        # Not one by one: to be woken costs as much as to let somebody in.
        return 0.0 if self._tokens >= 1 else max(_LEAST_WAIT_S, min(1 / max(rate, 1), 1.0))

    def admit(self, ip: str) -> str | None:
        """Count one more connection from there, or say why not."""
        self._tokens -= 1
        most = self._most_from(ip)
        if self._by_ip[ip] >= most:
            return f"connection from {ip} refused: max.connections.per.ip={most}"
        self._by_ip[ip] += 1
        self._open += 1
        return None

    def _most_from(self, ip: str) -> int:
        text = self._settings.text("max.connections.per.ip.overrides")
        if text != self._overrides_text:
            self._overrides_text, self._overrides = text, _overrides(text)
        return self._overrides.get(ip, self._settings.int("max.connections.per.ip"))

    def in_vain(self) -> None:
        """A connection had to be closed for what it sent: those who send such things come back the more slowly.

        Thousands that do it at once, having come in peace, lock nobody out for longer than a second.
        """
        self._tokens = max(self._tokens - _IN_VAIN, -self._rate)

    def left(self, ip: str) -> None:
        """A connection that was let in has ended."""
        self._open -= 1
        self._by_ip[ip] -= 1
        if not self._by_ip[ip]:
            del self._by_ip[ip]


def _overrides(text: str) -> dict[str, int]:
    """``host:count,…``; a host that is no address is looked up once. What cannot be read is told, and left out."""
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        host, _, count = part.rpartition(":")
        try:
            found[socket.getaddrinfo(host.strip("[]"), None)[0][4][0]] = int(count)  # type: ignore[index]
        except (OSError, ValueError, UnicodeError):
            complain(
                f"use {part!r} of max.connections.per.ip.overrides", "it is no HOST:COUNT of a known host"
            )
    return found
