"""One hostile connection: it sends inputs, and looks at what comes back as closely as a good client would."""

from __future__ import annotations

import random
import socket
import struct
from collections import deque
from typing import Any

from tests.fuzz.inputs import Asked, Input

from rota.wire import WireError
from rota.wire.apis import APIS
from rota.wire.codec import decode
from rota.wire.schema import Message

__all__ = ["BadAnswerError", "Peer"]

_PRODUCE, _API_VERSIONS = 0, 18
_LARGEST_ANSWER = 128 * 1024 * 1024
_KEPT = 40
_LINGER_ZERO = struct.pack("ii", 1, 0)


class BadAnswerError(Exception):
    """Bytes from the broker that are no answer to what was asked."""


class Peer:
    """Never blocks. ``inputs`` are the last that it has sent."""

    def __init__(self, address: tuple[str, int], source: random.Random, lifetime: int) -> None:
        self.socket = socket.socket()
        # Many addresses of this machine: one alone runs out of ports when thousands of connections a second end.
        self.socket.bind((f"127.0.{source.randrange(1, 250)}.{source.randrange(1, 250)}", 0))
        self.socket.settimeout(30)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()
        host, port = self.socket.getsockname()
        self.name = f"{host}:{port}"
        self.inputs: deque[bytes] = deque(maxlen=_KEPT)
        self.lifetime = lifetime
        self._rest = b""
        self._asked: deque[Asked] = deque()
        self._in_step = True
        self._received = bytearray()

    @property
    def is_done(self) -> bool:
        return self.lifetime <= 0 and not self._rest

    def send(self, each: Input) -> bool:
        """Send an input, or as much of it as there is room for; False if the broker has closed the connection."""
        self.lifetime -= 1
        self.inputs.append(each.data)
        if each.asked is None:
            self._in_step = False
        else:
            self._asked.append(each.asked)
        self._rest += each.data
        return self.go_on()

    @property
    def has_room(self) -> bool:
        return not self._rest

    @property
    def unanswered(self) -> int:
        """How many answers are awaited, as far as that can be told."""
        return len(self._asked) if self._in_step else 0

    def go_on(self) -> bool:
        """Send what is left."""
        try:
            while self._rest:
                sent = self.socket.send(self._rest)
                self._rest = self._rest[sent:]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def receive(self) -> list[Message] | None:
        """The answers that have come; None at the end of the connection. Raises ``BadAnswerError``."""
        try:
            piece = self.socket.recv(262_144)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not piece:
            return None
        self._received += piece
        answers = []
        while len(self._received) >= 4:
            size = struct.unpack_from(">i", self._received)[0]
            if not 4 <= size <= _LARGEST_ANSWER:
                raise BadAnswerError(f"a frame of {size} bytes")
            if len(self._received) < 4 + size:
                break
            frame = bytes(self._received[4 : 4 + size])
            del self._received[: 4 + size]
            if self._in_step:
                answers.append(self._read(frame))
        return answers

    def close(self, *, reset: bool) -> None:
        """With a FIN, or with a RST."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.socket.close()

    def _read(self, frame: bytes) -> Message:
        correlation_id = struct.unpack_from(">i", frame)[0]
        while self._asked:
            asked = self._asked.popleft()
            if asked.correlation_id == correlation_id:
                try:
                    return _decoded(asked, frame)
                except BadAnswerError:
                    # An answer to a later request with the same id, if this one was not to be answered.
                    if asked.key != _PRODUCE or not self._is_awaited(correlation_id):
                        raise
            elif asked.key != _PRODUCE:  # which may be one with acks=0
                raise BadAnswerError(f"{asked} was not answered before {correlation_id}")
        raise BadAnswerError(f"an answer to {correlation_id}, which was not asked")

    def _is_awaited(self, correlation_id: int) -> bool:
        return any(asked.correlation_id == correlation_id for asked in self._asked)


def _decoded(asked: Asked, frame: bytes) -> Message:
    api = APIS[asked.key]
    version = asked.version
    if asked.key == _API_VERSIONS and not api.min_version <= version <= api.max_version:
        version = 0
    body = 4 + (api.response_header_version(version) >= 1)
    made: Any = api.response_type
    try:
        answer: Message = decode(made, version, frame[body:])
    except WireError as error:
        raise BadAnswerError(f"the answer to {asked} cannot be read: {error}") from error
    return answer
