"""What parent and child say to each other: frames through two pipes.

A frame is a length and a body; a body is a letter and what belongs to it. Records cross with `marshal` (both
ends are the same Python, and it is several times quicker than pickle for tuples of bytes and numbers).
"""

from __future__ import annotations

import contextlib
import marshal
import os
import pickle  # between a program and itself
import struct
import sys
import traceback
from typing import TYPE_CHECKING, Any

from rota.consumer.clients.headers import headers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.clients.client import Message

__all__ = [
    "MAIN",
    "HandlerTraceError",
    "PackedFailure",
    "RemoteError",
    "SentMessage",
    "pack_failure",
    "pack_records",
    "receive",
    "send",
    "unpack_failure",
    "unpack_records",
]

MAIN = "__rota_worker__"
"""In a child, the name of the program's main script."""

_LENGTH = struct.Struct("!I")
_LONGEST_TRACE = 64_000

PackedFailure = tuple[bytes | None, str, str, str, str]
"""Pickled, if it can be; module and name of its type; its text; its traceback."""


def send(pipe: int, kind: bytes, body: bytes = b"") -> None:
    """Waits until the pipe has taken all of it. OSError: nobody reads any more."""
    frame = memoryview(_LENGTH.pack(len(body) + 1) + kind + body)
    while frame:
        frame = frame[os.write(pipe, frame) :]


def receive(pipe: int) -> tuple[bytes, bytes]:
    """Waits for a frame. EOFError: nobody writes any more."""
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    frame = _exactly(pipe, length)
    return frame[:1], frame[1:]


def _exactly(pipe: int, count: int) -> bytes:
    found = os.read(pipe, count)
    if len(found) == count:
        return found
    parts = [found]
    left = count - len(found)
    while parts[-1]:
        parts.append(os.read(pipe, min(left, 1 << 20)))
        left -= len(parts[-1])
        if not left:
            return b"".join(parts)
    raise EOFError


class SentMessage:
    """A record that came from the parent."""

    __slots__ = ("_row",)

    def __init__(self, row: tuple[Any, ...]) -> None:
        self._row = row

    def topic(self) -> str:
        return self._row[0]  # type: ignore[no-any-return]

    def partition(self) -> int:
        return self._row[1]  # type: ignore[no-any-return]

    def offset(self) -> int:
        return self._row[2]  # type: ignore[no-any-return]

    def key(self) -> bytes | None:
        return self._row[3]  # type: ignore[no-any-return]

    def value(self) -> bytes | None:
        return self._row[4]  # type: ignore[no-any-return]

    def headers(self) -> Any:
        if self._row[5] is None:
            raise SystemError("the client could not read them")  # as it said itself: see `headers_of`
        return self._row[5]

    def timestamp(self) -> tuple[int, int]:
        return self._row[6]  # type: ignore[no-any-return]

    def error(self) -> object | None:
        return None


def pack_records(messages: Sequence[Message], most_bytes: int) -> list[tuple[Any, ...]]:
    """As many of the first as fit, but one at least."""
    rows: list[tuple[Any, ...]] = []
    room = most_bytes
    for message in messages:
        key, value = message.key(), message.value()
        room -= 100 + (len(value) if value else 0) + (len(key) if key else 0)
        if room < 0 and rows:
            break
        rows.append(
            (
                message.topic(), message.partition(), message.offset(), key, value,
                headers_of(message), message.timestamp(),
            )
        )  # fmt: skip
    return rows


def unpack_records(body: bytes) -> tuple[int, list[SentMessage]]:
    """The attempt, and the records."""
    attempt, rows = marshal.loads(body)  # noqa: S302  # from our parent
    return attempt, [SentMessage(row) for row in rows]


class RemoteError(Exception):
    """What a handler raised in its process, where the exception itself could not cross. Its class is made anew
    with the name of the original.
    """


class HandlerTraceError(Exception):
    """The cause of an exception that came from another process: its traceback there, as text."""

    def __init__(self, trace: str) -> None:
        super().__init__(trace)
        self.trace = trace

    def __str__(self) -> str:
        return f'\n"""\n{self.trace}"""'


def pack_failure(failure: BaseException) -> PackedFailure:
    """In the child."""
    kind = type(failure)
    pickled = None
    with contextlib.suppress(Exception):
        pickled = pickle.dumps(failure)
    try:
        text = str(failure)
    except Exception as error:
        text = f"(its text raised {type(error).__name__})"
    trace = "".join(traceback.format_exception(failure))
    return pickled, kind.__module__, kind.__qualname__, text, trace[-_LONGEST_TRACE:]


def unpack_failure(packed: PackedFailure) -> BaseException:
    """In the parent: the exception, as like the original as can be; its cause is the traceback as text."""
    pickled, module, name, text, trace = packed
    failure = _loaded(pickled) or _made(module, name, text)
    if failure is None:
        failure = type(name.rpartition(".")[2], (RemoteError,), {"__module__": module})(text)
    failure.__cause__ = HandlerTraceError(trace)
    return failure


def _loaded(pickled: bytes | None) -> BaseException | None:
    if pickled is None:
        return None
    try:
        found = pickle.loads(pickled)  # noqa: S301  # from our child
        str(found)
    except Exception:  # its __init__ wants other arguments than its args
        return None
    return found if isinstance(found, BaseException) else None


def _made(module: str, name: str, text: str) -> BaseException | None:
    """An instance of its type that did not go through __init__, so that ``except`` and ``isinstance`` work."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        return None
    try:
        failure: BaseException = found.__new__(found, text)
        failure.args = (text,)
        str(failure)
    except Exception:
        return None
    return failure
