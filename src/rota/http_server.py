"""A small HTTP server for probes and scrapes: GET and HEAD, one request a connection, nothing believed.

One thread reads and writes, for all connections and never waiting for one of them; two others work the answers
out. What a stranger can take is bounded: bytes of a request, the time that it may come in, the number of
connections (the oldest gives way), the time that reading an answer takes.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import SimpleQueue
from typing import TYPE_CHECKING

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Request", "Response", "Server", "parse"]

log = logging.getLogger("rota.http")

MOST_BYTES = 8_192
"""Of a request's line and headers."""
MOST_HEADERS = 100
MOST_CONNECTIONS = 128
READ_S = 5.0
WRITE_S = 10.0
LINGER_S = 1.0
"""How long what a peer still sends is read and thrown away: closing at once would take the answer from it."""
ANSWERERS = 2


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` without the query; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """``kind``: the media type."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(status: HTTPStatus, words: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """A line of text."""
        return Response(status, f"{words or status.phrase}\n".encode(), headers=headers)

    def encode(self, *, head_only: bool = False) -> bytes:
        lines = [
            f"HTTP/1.1 {int(self.status)} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.kind}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else self.body)


def parse(head: bytes) -> Request | Response:
    """A request from its bytes, up to the empty line; or what to answer if it cannot be served."""
    try:
        first, *lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        return Response.of(HTTPStatus.BAD_REQUEST)
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/"):
        return Response.of(HTTPStatus.BAD_REQUEST)
    method, target, version = parts
    if not version.startswith("HTTP/1."):
        return Response.of(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if method not in {"GET", "HEAD"}:
        return Response.of(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", "GET, HEAD"),))
    if target.startswith("http://"):  # the form that proxies send
        target = "/" + target[len("http://") :].partition("/")[2]
    if not target.startswith("/") or not target.isprintable():
        return Response.of(HTTPStatus.BAD_REQUEST)
    if len(lines) > MOST_HEADERS:
        return Response.of(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or not line.replace("\t", " ").isprintable():
            return Response.of(HTTPStatus.BAD_REQUEST)
        headers[name.lower()] = value.strip()
    return Request(method, target.partition("?")[0], headers)


class _Connection:
    """One peer: first its request is read, then it waits for the answer, then that is written."""

    def __init__(self, peer: socket.socket, until: float) -> None:
        self.peer = peer
        self.received = bytearray()
        self.sending = memoryview(b"")
        self.until: float | None = until
        """When it is given up; None while the answer is worked out."""
        self.answered = False


class Server:
    """Listens from its making on; ``answer`` is called by threads of its own. A port of 0: any that is free.

    Raises RotaError if it cannot listen there.
    """

    def __init__(self, answer: Callable[[Request], Response], host: str, port: int) -> None:
        self._answer = answer
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
        except (OSError, OverflowError, TypeError) as error:  # TypeError: a name that DNS has no letters for
            told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            reason = told.partition(" (while attempting")[0]  # Python names the address again
            raise RotaError(
                f"cannot listen on {host}:{port} for health and metrics: {reason}; choose another address or port"
            ) from None
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._listener.setblocking(False)
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._connections: dict[socket.socket, _Connection] = {}
        self._asked: SimpleQueue[tuple[_Connection, Request] | None] = SimpleQueue()
        self._ready: SimpleQueue[tuple[_Connection, bytes]] = SimpleQueue()
        self._closing = False
        self._threads = [threading.Thread(target=self._run, name="rota-http", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, name=f"rota-http-answer-{number + 1}", daemon=True)
            for number in range(ANSWERERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop listening; who waits for an answer is cut off."""
        self._closing = True
        if not self._threads[0].is_alive():
            self._close_sockets()
            return
        self._wake()
        for _ in range(ANSWERERS):
            self._asked.put(None)
        for thread in self._threads:
            thread.join(READ_S)

    # The answers.

    def _work(self) -> None:
        while (job := self._asked.get()) is not None:
            connection, request = job
            try:
                response = self._answer(request)
            except Exception:
                log.exception("no answer to %s %s", request.method, request.path)
                response = Response.of(HTTPStatus.INTERNAL_SERVER_ERROR)
            self._ready.put((connection, response.encode(head_only=request.method == "HEAD")))
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it has been woken often enough, or is closed
            self._waker.send(b"\0")

    # The connections; all of this is one thread's.

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        try:
            while not self._closing:
                for key, _ in self._selector.select(self._patience_s()):
                    self._serve(key)
                self._give_up(time.monotonic())
        finally:
            self._close_sockets()

    def _close_sockets(self) -> None:
        for each in (*self._connections, self._listener, self._woken, self._waker):
            each.close()
        self._selector.close()

    def _serve(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj is self._woken:
            self._woken.recv(4_096)
            while not self._ready.empty():
                connection, data = self._ready.get()
                self._begin_sending(connection, data)
        else:
            connection = key.data
            try:
                self._write(connection) if connection.sending else self._read(connection)
            except OSError:  # it is gone
                self._forget(connection)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor is left, as a rule: others may close some meanwhile
            log.warning("cannot accept a connection: %s", error)
            time.sleep(0.05)
            return
        if len(self._connections) >= MOST_CONNECTIONS and not self._make_room():
            peer.close()
            return
        peer.setblocking(False)
        connection = _Connection(peer, time.monotonic() + READ_S)
        self._connections[peer] = connection
        self._selector.register(peer, selectors.EVENT_READ, connection)

    def _make_room(self) -> bool:
        """Let the oldest go that is not being answered: rather one that says nothing than one that does not read."""
        waiting = [each for each in self._connections.values() if each.until is not None]
        oldest = next((each for each in waiting if not each.sending), waiting[0] if waiting else None)
        if oldest is not None:
            self._forget(oldest)
        return oldest is not None

    def _read(self, connection: _Connection) -> None:
        data = connection.peer.recv(MOST_BYTES)
        if not data:
            self._forget(connection)
            return
        if connection.answered or connection.until is None:
            return  # nobody asked for more
        connection.received += data
        end = connection.received.find(b"\r\n\r\n")
        if end < 0:
            if len(connection.received) > MOST_BYTES:
                refusal = Response.of(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                self._begin_sending(connection, refusal.encode())
            return
        request = parse(bytes(connection.received[:end]))
        if isinstance(request, Response):
            self._begin_sending(connection, request.encode())
            return
        connection.until = None
        self._selector.unregister(connection.peer)  # it is heard again when it is answered
        self._asked.put((connection, request))

    def _begin_sending(self, connection: _Connection, data: bytes) -> None:
        if connection.peer not in self._connections:
            return
        connection.sending = memoryview(data)
        connection.until = time.monotonic() + WRITE_S
        connection.answered = True
        self._listen(connection, selectors.EVENT_WRITE)

    def _write(self, connection: _Connection) -> None:
        sent = connection.peer.send(connection.sending)
        connection.sending = connection.sending[sent:]
        if not connection.sending:
            connection.peer.shutdown(socket.SHUT_WR)
            connection.until = time.monotonic() + LINGER_S
            self._listen(connection, selectors.EVENT_READ)

    def _listen(self, connection: _Connection, events: int) -> None:
        if connection.peer in self._selector.get_map():
            self._selector.modify(connection.peer, events, connection)
        else:
            self._selector.register(connection.peer, events, connection)

    def _patience_s(self) -> float | None:
        ends = [each.until for each in self._connections.values() if each.until is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _give_up(self, now: float) -> None:
        for connection in list(self._connections.values()):
            if connection.until is not None and now >= connection.until:
                self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        if self._connections.pop(connection.peer, None) is None:
            return
        if connection.peer in self._selector.get_map():
            self._selector.unregister(connection.peer)
        connection.peer.close()
