"""One connection to one broker: requests go out at once, their answers come in the same order.

Bytes from the network are believed in nothing: a frame's length only says how long to collect, an answer that
nobody waits for or that cannot be read ends the connection, and so does a broker that owes an answer and is silent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from rota.admin.errors import ConnectionFailedError
from rota.admin.versions import FIRST_ASKED, Versions, question
from rota.model import ErrorCode
from rota.wire.apis import APIS
from rota.wire.codec import decoder
from rota.wire.errors import WireError
from rota.wire.frames import request_frame, skip_tags
from rota.wire.messages.api_versions import ApiVersionsResponse

if TYPE_CHECKING:
    from rota.wire.schema import Message

__all__ = ["Answer", "Connection"]

LARGEST_FRAME = 128 * 1024 * 1024
"""What an answer may have at most. Questions are put so that answers stay far below it."""

TLS_ALERT = b"\x15\x03"
"""How the answer of a port begins that expects TLS."""

_M = TypeVar("_M", bound="Message")


class Answer:
    """One response as it came: its bytes, where its body begins, its version."""

    __slots__ = ("body", "frame", "version")

    def __init__(self, frame: bytes, body: int, version: int) -> None:
        self.frame = frame
        self.body = body
        self.version = version

    def read(self, cls: type[_M]) -> _M:
        """The message. Raises ``WireError``."""
        message, end = decoder(cls, self.version)(self.frame, self.body)
        if end != len(self.frame):
            raise WireError(f"{cls.__name__} v{self.version}: {len(self.frame) - end} bytes too many")
        return message  # type: ignore[no-any-return]


class Connection(asyncio.Protocol):
    """Made by ``rota.admin.opening``. Everything here runs in the event loop's thread.

    ``address`` is for people; a broker that owes an answer and says nothing for ``silence_s`` is given up. It may be
    changed; what is asked from then on is waited for so long.
    """

    def __init__(self, address: str, client_id: str, silence_s: float) -> None:
        self.address = address
        self.versions: Versions | None = None
        self.failure: ConnectionFailedError | None = None
        self.expires_at = float("inf")
        self._client_id = client_id
        self.silence_s = silence_s
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: deque[tuple[int, asyncio.Future[bytes]]] = deque()
        self._correlation_id = 0
        self._heard_at = 0.0
        self._watching: asyncio.TimerHandle | None = None

    # Asking

    @property
    def is_idle(self) -> bool:
        """Whether no answer is owed."""
        return not self._waiting

    async def ask(self, request: Message, expected: type[_M], *, most: int | None = None) -> _M:
        """Send a request in the best version (up to ``most``) and return its response.

        Raises:
            KafkaError: UNSUPPORTED_VERSION.
            ConnectionFailedError: the connection has ended, or what came cannot be read.
        """
        answer = await self.ask_raw(request, most=most)
        try:
            return answer.read(expected)
        except WireError as error:
            raise self.fail(f"{self.address} sent what is no answer of Kafka's: {error}") from None

    async def ask_raw(self, request: Message, *, most: int | None = None) -> Answer:
        """The same, its response unread."""
        assert self.versions is not None
        return await self.ask_in(request, self.versions.best(request.api_key, most))

    async def ask_in(self, request: Message, version: int) -> Answer:
        """The same in a version that is known to be right."""
        frame = await self._send(request, version)
        try:
            flexible = APIS[request.api_key].response_header_version(version) >= 1
            return Answer(frame, skip_tags(frame, 4) if flexible else 4, version)
        except WireError as error:
            raise self.fail(f"{self.address} sent what is no answer of Kafka's: {error}") from None

    async def negotiate(self) -> None:
        """Learn which versions the broker knows."""
        answer = await self.ask_in(question(), FIRST_ASKED)
        try:
            # Whoever does not know the version that was asked in answers in version 0.
            if int.from_bytes(answer.frame[answer.body : answer.body + 2], "big") == int(
                ErrorCode.UNSUPPORTED_VERSION
            ):
                answer = await self.ask_in(question(), 0)
            found = answer.read(ApiVersionsResponse)
        except WireError as error:
            raise self.fail(f"{self.address} sent what is no answer of Kafka's: {error}") from None
        if found.error_code:
            raise self.fail(f"{self.address} does not say which versions it knows (error {found.error_code})")
        self.versions = Versions(found)

    def close(self) -> None:
        """End it; whoever waits is told."""
        self.fail(f"the connection to {self.address} was closed")

    def fail(self, words: str) -> ConnectionFailedError:
        """End it with these words for whoever waits."""
        failure = self.failure or ConnectionFailedError(words)
        self._end(failure)
        return failure

    def _send(self, request: Message, version: int) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        promise: asyncio.Future[bytes] = loop.create_future()
        if self.failure is not None or self._transport is None:
            promise.set_exception(self.failure or ConnectionFailedError(f"{self.address} is not connected"))
            return promise
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        api = APIS[request.api_key]
        chunks = request_frame(api, version, self._correlation_id, self._client_id, request)
        if not self._waiting:
            self._heard_at = loop.time()
            self._watch(self.silence_s)
        self._waiting.append((self._correlation_id, promise))
        self._transport.write(b"".join(chunks))
        return promise

    # Silence

    def _watch(self, after_s: float) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._watching = asyncio.get_running_loop().call_later(after_s, self._look)

    def _look(self) -> None:
        self._watching = None
        if not self._waiting:
            return
        left_s = self._heard_at + self.silence_s - asyncio.get_running_loop().time()
        if left_s > 0:
            self._watch(left_s)
        else:
            self.fail(f"{self.address} does not answer (silent for {self.silence_s:g} s)")

    # What the loop calls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 4:
            size = int.from_bytes(buffer[at : at + 4], "big", signed=True)
            if not 4 <= size <= LARGEST_FRAME or not self._waiting:
                self.fail(f"{self.address} sent what is no answer of Kafka's; {_hint(buffer[at : at + 4])}")
                return
            if len(buffer) - at - 4 < size:
                break
            with memoryview(buffer) as view:
                frame = bytes(view[at + 4 : at + 4 + size])
            at += 4 + size
            if not self._answer(frame):
                return
        if at:
            del buffer[:at]

    def eof_received(self) -> None:
        self.fail(f"{self.address} closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        why = f" ({exc})" if exc is not None else ""
        self.fail(f"the connection to {self.address} broke{why}")

    def _answer(self, frame: bytes) -> bool:
        correlation_id, promise = self._waiting.popleft()
        if int.from_bytes(frame[:4], "big", signed=True) != correlation_id:
            self._waiting.appendleft((correlation_id, promise))
            self.fail(f"{self.address} sent what is no answer of Kafka's; {_hint(b'')}")
            return False
        if not promise.done():  # nobody waits any longer for one whose question was given up
            promise.set_result(frame)
        return True

    def _end(self, failure: ConnectionFailedError) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        waiting, self._waiting = self._waiting, deque()
        for _, promise in waiting:
            if not promise.done():
                promise.set_exception(failure)
        self._buffer = bytearray()
        if self._transport is not None:
            self._transport.abort()


def _hint(start: bytes | bytearray) -> str:
    if start[:2] == TLS_ALERT:
        return "it speaks TLS: set security.protocol in the file given as --command-config"
    return "is it a Kafka broker's port?"
