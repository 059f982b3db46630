"""Random ids, as ``uuid.uuid4`` makes them; importing ``uuid`` asks the operating system what machine this is."""

from __future__ import annotations

import os

__all__ = ["random_uuid", "uuid_text"]


def random_uuid() -> bytes:
    """16 random bytes, marked as a random UUID (RFC 9562, version 4)."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


def uuid_text(raw: bytes) -> str:
    """The usual text of a UUID, 36 characters."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
