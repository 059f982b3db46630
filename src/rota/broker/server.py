"""The listening socket and the connections it has accepted, on one event loop."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING

from rota.broker.admission import Admission
from rota.broker.closings import Closings
from rota.broker.connection import Connection
from rota.broker.dispatch import Dispatch
from rota.broker.fairness import Fairness
from rota.broker.request_memory import RequestMemory
from rota.broker.storage_errors import complain
from rota.model import RotaError

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.loop import Loop

__all__ = ["Server"]

log = logging.getLogger(__name__)

_RECEIVE_BUFFER = 256 * 1024
_SEND_BUFFER_CONFIG = "socket.send.buffer.bytes"
# Where that is not set. Of a fetch of 4 MiB on loopback, Kafka's default (100 KiB) costs broker and client a fifth more
# processor time each; what the kernel would choose (megabytes, more than the caches hold) a half more.
_SEND_BUFFER = 300 * 1024
_ACCEPT_AT_ONCE = 128
_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
_ACCEPT_AGAIN_AFTER_S = 0.2
_ROOM_AGAIN_AFTER_S = 1.0
# What accept says of a connection that is gone again, or of its network: the next one may be good.
_OF_ONE_CONNECTION = {
    *(errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.EPERM, errno.ETIMEDOUT),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOPROTOOPT),
}


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
        settings = broker.settings
        self._send_buffer = (
            settings.int(_SEND_BUFFER_CONFIG) if settings.is_set(_SEND_BUFFER_CONFIG) else _SEND_BUFFER
        )
        self._admission = Admission(broker.settings)
        self._waits_for_room = False
        self._closings = Closings(loop)
        self.fairness = Fairness()
        self.request_memory = RequestMemory(broker.settings.int("queued.max.request.bytes"))
        self._idle_limit_s = broker.settings.int("connections.max.idle.ms") / 1000
        self._connections: set[Connection] = set()
        self._listener = _listen(host, port, broker.settings.int("socket.listen.backlog.size"))
        bound = self._listener.getsockname()
        self.address: tuple[str, int] = (bound[0], bound[1])
        self.advertised = advertised or (host if host not in _EVERYWHERE else _own_name(), bound[1])
        self._is_accepting = False
        self._accept()
        if self._idle_limit_s > 0:
            self._sweep = loop.call_later(min(self._idle_limit_s, 30.0), self._close_idle)

    def _on_connection(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            if self._admission.is_full:
                complain(
                    "accept connections", "max.connections are open; who comes waits until one of them ends"
                )
                self._waits_for_room = True
                self._pause_accepting()
                self.loop.call_later(_ROOM_AGAIN_AFTER_S, self._accept)  # the limit may have been raised
                return
            if wait_s := self._admission.wait_s(self.loop.time()):
                self._pause_accepting()
                self.loop.call_later(wait_s, self._accept)
                return
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _OF_ONE_CONNECTION:
                    continue
                # Waiting in the backlog is kinder than a loop that spins on the same failure.
                complain("accept connections", error.strerror)
                self._pause_accepting()
                self.loop.call_later(_ACCEPT_AGAIN_AFTER_S, self._accept)
                return
            self._let_in(sock, address)

    def _let_in(self, sock: socket.socket, address: tuple[str, int]) -> None:
        refusal = self._admission.admit(address[0])
        if refusal is not None:
            self._closings.tell(refusal)
            sock.close()
            return
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._send_buffer > 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        except OSError:  # macOS, when the peer is gone already
            self._admission.left(address[0])
            sock.close()
            return
        self._connections.add(Connection(self, sock, address))

    def _pause_accepting(self) -> None:
        self._is_accepting = False
        self.loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        if not self._is_accepting and self._listener.fileno() >= 0:
            self._is_accepting = True
            self.loop.add_reader(self._listener.fileno(), self._on_connection)

    def _close_idle(self) -> None:
        oldest = self.loop.time() - self._idle_limit_s
        for connection in [each for each in self._connections if each.last_active < oldest]:
            connection.close("closed by the broker: idle (connections.max.idle.ms)")
        self._sweep = self.loop.call_later(min(self._idle_limit_s, 30.0), self._close_idle)

    def charge(self, connection: Connection, spent_s: float) -> float:
        """Its requests took so long, and are asked rarely or are wide; for how long it is not to be read from."""
        now = self.loop.time()
        return self.fairness.charge(connection, now - spent_s, now, self._connections)

    def tell(self, connection: Connection, reason: str) -> None:
        """Why a connection had to be closed."""
        self._closings.tell(f"connection {connection.peer}: {reason}")
        self._admission.in_vain()

    def forget(self, connection: Connection) -> None:
        """Called by a connection that has closed."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._admission.left(connection.client_host[1:])
            self.fairness.forget(connection)
            if self._waits_for_room:
                self._waits_for_room = False
                self._accept()

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
