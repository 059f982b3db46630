"""Headers and frames: what stands before a message on the wire.

A frame is a length (int32) and as many bytes. Request header v1 is key, version, correlation id, client id; v2
adds tagged fields; response header v0 is the correlation id; v1 adds tagged fields.
"""

from __future__ import annotations

import struct
from typing import Any

from rota.wire.apis import Api
from rota.wire.codec import encoder
from rota.wire.errors import WireError
from rota.wire.schema import Message

__all__ = ["frame_head", "read_client_id", "request_frame", "skip_tags"]

_REQUEST_START = struct.Struct(">hhi")
_HEAD = struct.Struct(">ii")
_FLEXIBLE_HEAD = struct.Struct(">iix")
_CLIENT_ID_LENGTH = struct.Struct(">h")


def read_client_id(frame: bytes | memoryview, position: int) -> tuple[str | None, int]:
    """The client id at ``position``, and where it ends. Raises ``WireError``."""
    if len(frame) < position + 2:
        raise WireError("the request header is cut short")
    length = _CLIENT_ID_LENGTH.unpack_from(frame, position)[0]
    position += 2
    if length < 0:
        return None, position
    stop = position + length
    if stop > len(frame):
        raise WireError("the client id is cut short")
    try:
        return str(frame[position:stop], "utf-8"), stop
    except UnicodeDecodeError as error:
        raise WireError("the client id is not UTF-8") from error


def skip_tags(frame: bytes | memoryview, position: int) -> int:
    """Step over a header's tagged fields (KIP-482); none is defined. Raises ``WireError``."""
    count, position = _uvarint(frame, position)
    for _ in range(count):
        _, position = _uvarint(frame, position)
        size, position = _uvarint(frame, position)
        position += size
        if position > len(frame):
            break
    if position > len(frame):
        raise WireError("the header's tagged fields are cut short")
    return position


def _uvarint(frame: bytes | memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if position >= len(frame):
            break
        byte = frame[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise WireError("the header's tagged fields are cut short")


def request_frame(
    api: Api, version: int, correlation_id: int, client_id: str | None, request: Message
) -> list[Any]:
    """A whole request, length first, as chunks."""
    header = _REQUEST_START.pack(api.key, version, correlation_id)
    if client_id is None:
        header += b"\xff\xff"
    else:
        encoded = client_id.encode()
        header += _CLIENT_ID_LENGTH.pack(len(encoded)) + encoded
    if api.request_header_version(version) >= 2:
        header += b"\0"
    body: list[Any] = []
    encoder(type(request), version)(request, body)
    size = len(header) + sum(map(len, body))
    return [struct.pack(">i", size) + header, *body]


def frame_head(*, flexible: bool) -> struct.Struct:
    """What stands before a response: its length without these four bytes, and the correlation id.

    ``flexible`` is the header's kind, not the body's: no tagged fields follow, which is told by a zero.
    """
    return _FLEXIBLE_HEAD if flexible else _HEAD
