"""A client made of bytes: what a test wants to say, in the version it wants to say it in."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.kafka.ports import PATIENCE_S

from rota.wire.apis import APIS
from rota.wire.codec import decode
from rota.wire.frames import request_frame
from rota.wire.schema import Message

__all__ = ["RawClient"]

_M = TypeVar("_M", bound=Message)
_KEYS = {api.name: key for key, api in APIS.items()}


class RawClient:
    """One connection; ``call`` sends a request and reads its response. Waits ``timeout_s`` at most."""

    def __init__(self, address: str, *, timeout_s: float = PATIENCE_S, client_id: str = "raw") -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout_s)
        self._client_id = client_id
        self._correlation_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, request: Message, version: int) -> int:
        """Send a request and do not wait; its correlation id."""
        self._correlation_id += 1
        api = APIS[_KEYS[type(request).__name__.removesuffix("Request")]]
        chunks = request_frame(api, version, self._correlation_id, self._client_id, request)
        self.socket.sendall(b"".join(bytes(chunk) for chunk in chunks))
        return self._correlation_id

    def receive(self, expected: type[_M], version: int) -> _M:
        """The next response, which must answer the oldest request that is open."""
        frame = self.receive_frame()
        api = APIS[_KEYS[expected.__name__.removesuffix("Response")]]
        body = 4
        if api.response_header_version(version) >= 1:
            assert frame[4] == 0, "no tags are expected in a response header"
            body = 5
        return decode(expected, version, frame[body:])

    def call(self, request: Message, version: int, expected: type[_M]) -> _M:
        """Send a request and return its response."""
        self.send(request, version)
        return self.receive(expected, version)

    def receive_frame(self) -> bytes:
        """One response frame without its length."""
        size = struct.unpack(">i", self._exactly(4))[0]
        return self._exactly(size)

    def is_closed_by_broker(self) -> bool:
        """True once the broker has closed the connection (waits for it)."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            piece: Any = self.socket.recv(count - len(received))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            received += piece
        return bytes(received)
