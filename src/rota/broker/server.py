"""The listening socket and the connections it has accepted, on one event loop."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING

from rota.broker.connection import Connection
from rota.broker.dispatch import Dispatch
from rota.model import RotaError

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.loop import Loop

__all__ = ["Server"]

log = logging.getLogger(__name__)

_RECEIVE_BUFFER = 256 * 1024
_ACCEPT_AT_ONCE = 128
_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
_ACCEPT_AGAIN_AFTER_S = 0.2


class Server:
    """Accepts connections for a broker. ``advertised`` is the address that clients are told to use."""

    def __init__(
        self,
        broker: Broker,
        loop: Loop,
        *,
        host: str,
        port: int,
        advertised: tuple[str, int] | None = None,
    ) -> None:
        self.broker = broker
        self.loop = loop
        self.dispatch = Dispatch()
        self.receive_buffer = memoryview(bytearray(_RECEIVE_BUFFER))
        self.max_request_bytes = broker.settings.int("socket.request.max.bytes")
        self._send_buffer = broker.settings.int("socket.send.buffer.bytes")
        self._max_connections = broker.settings.int("max.connections")
        self._idle_limit_s = broker.settings.int("connections.max.idle.ms") / 1000
        self._connections: set[Connection] = set()
        self._listener = _listen(host, port, broker.settings.int("socket.listen.backlog.size"))
        bound = self._listener.getsockname()
        self.address: tuple[str, int] = (bound[0], bound[1])
        self.advertised = advertised or (host if host not in _EVERYWHERE else _own_name(), bound[1])
        loop.add_reader(self._listener.fileno(), self._on_connection)
        if self._idle_limit_s > 0:
            self._sweep = loop.call_later(min(self._idle_limit_s, 30.0), self._close_idle)

    def _on_connection(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    raise
                # Waiting in the backlog is kinder than a loop that spins on the same failure.
                log.warning("cannot accept connections for now: %s", error.strerror)
                self.loop.remove_reader(self._listener.fileno())
                self.loop.call_later(_ACCEPT_AGAIN_AFTER_S, self._accept_again)
                return
            if len(self._connections) >= self._max_connections:
                log.warning(
                    "connection from %s refused: max.connections=%d", address[0], self._max_connections
                )
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._send_buffer > 0:
                # Kafka's own size; measured, a larger one costs fetches a third of their speed on loopback.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
            self._connections.add(Connection(self, sock, address))

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.loop.add_reader(self._listener.fileno(), self._on_connection)

    def _close_idle(self) -> None:
        oldest = self.loop.time() - self._idle_limit_s
        for connection in [each for each in self._connections if each.last_active < oldest]:
            connection.close("closed by the broker: idle (connections.max.idle.ms)")
        self._sweep = self.loop.call_later(min(self._idle_limit_s, 30.0), self._close_idle)

    def forget(self, connection: Connection) -> None:
        """Called by a connection that has closed."""
        self._connections.discard(connection)

    def stop_listening(self) -> None:
        """Accept no one else; the open connections go on."""
        if self._listener.fileno() >= 0:
            self.loop.remove_reader(self._listener.fileno())
            self._listener.close()

    def close(self) -> None:
        """Stop listening and end every connection."""
        self.stop_listening()
        if self._idle_limit_s > 0:
            self._sweep.cancel()
        for connection in list(self._connections):
            connection.close("closed by the broker: shutting down")


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(max(backlog, 1024))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise RotaError(
            f"cannot listen on {host}:{port}: {reason}; choose another --port, or --port 0 for a free one"
        ) from error
    return listener


def _own_name() -> str:
    return socket.gethostname()
