"""Damage that needs no idea of what the bytes mean."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

__all__ = ["BYTE_MUTATIONS", "EDGES", "damaged", "lying_length", "splice"]

EDGES = (
    *(
        0,
        1,
        -1,
        2,
        -2,
        3,
        7,
        63,
        64,
        127,
        128,
        -128,
        255,
        256,
        32_766,
        32_767,
        32_768,
        -32_768,
        65_535,
        65_536,
    ),
    *(2**31 - 2, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**62, 2**63 - 2, 2**63 - 1, -(2**63)),
)
_VARINTS = (
    *(
        b"\x00",
        b"\x01",
        b"\x02",
        b"\x7f",
        b"\x80\x01",
        b"\xff\xff\x01",
        b"\x80\x80\x02",
        b"\xff\xff\xff\xff\x0f",
    ),
    *(
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80" * 11,
        b"\x80\x80\x80\x80\x00",
        b"\xff\xff\xff\xff\x7f",
    ),
)


def _flip(data: bytearray, source: random.Random) -> bytearray:
    for _ in range(source.choice((1, 1, 1, 2, 4, 16))):
        if data:
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    return data


def _truncate(data: bytearray, source: random.Random) -> bytearray:
    return data[: source.randint(0, len(data))]


def _append(data: bytearray, source: random.Random) -> bytearray:
    return data + source.randbytes(source.choice((1, 2, 4, 16, 300)))


def _insert(data: bytearray, source: random.Random) -> bytearray:
    at = source.randint(0, len(data))
    data[at:at] = source.randbytes(source.choice((1, 2, 4, 8)))
    return data


def _remove(data: bytearray, source: random.Random) -> bytearray:
    at = source.randint(0, len(data))
    del data[at : at + source.choice((1, 2, 4, 8, 40))]
    return data


def _repeat(data: bytearray, source: random.Random) -> bytearray:
    """Part of it, again and again: elements of arrays, if it hits their bounds."""
    start = source.randint(0, len(data))
    piece = data[start : start + source.choice((1, 4, 16, 60))]
    times = source.choice((1, 2, 3, 50, 2000))
    data[start:start] = piece * times
    return data


def _number(data: bytearray, source: random.Random) -> bytearray:
    """A number from the edges of its type, over what is there."""
    size, format_ = source.choice(((1, ">b"), (2, ">h"), (4, ">i"), (8, ">q")))
    if len(data) >= size:
        number = source.choice(EDGES)
        limit = 1 << (size * 8)
        number = (number + limit // 2) % limit - limit // 2
        struct.pack_into(format_, data, source.randint(0, len(data) - size), number)
    return data


def _varint(data: bytearray, source: random.Random) -> bytearray:
    at = source.randint(0, len(data))
    data[at : at + source.choice((0, 1, 1, 2))] = source.choice(_VARINTS)
    return data


def _noise(data: bytearray, source: random.Random) -> bytearray:
    at = source.randint(0, len(data))
    size = source.choice((4, 16, 64))
    data[at : at + size] = source.randbytes(min(size, len(data) - at))
    return data


BYTE_MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    *(_flip, _truncate, _append, _insert, _remove, _repeat, _number, _varint, _noise),
)


def damaged(data: bytes, source: random.Random) -> bytes:
    """One to three kinds of damage, one upon the other."""
    result = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 3))):
        result = source.choice(BYTE_MUTATIONS)(result, source)
    return bytes(result)


def splice(one: bytes, other: bytes, source: random.Random) -> bytes:
    """The beginning of one and the end of another."""
    return one[: source.randint(0, len(one))] + other[source.randint(0, len(other)) :]


def lying_length(frame: bytes, source: random.Random) -> bytes:
    """A frame behind a length that is not its own."""
    lie = source.choice(
        (len(frame) + source.randint(1, 100), len(frame) - source.randint(1, 20), *EDGES[:24])
    )
    return struct.pack(">I", lie & 0xFFFFFFFF) + frame
