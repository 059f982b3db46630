"""The codecs a record batch may be compressed with, under their ids in the batch's attributes.

snappy is what the Java client writes: the framing of snappy-java ("xerial"), blocks of raw snappy behind a magic
number; other clients send one block of raw snappy. Both are read. lz4 is the frame format, gzip and zstd their own.

cramjam is imported when something is compressed: most of what tests send is not.

A few bytes can claim to be gigabytes: ``decompress`` gives up at ``limit``, so that what it allocates is bounded.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from rota.wire.errors import WireError

__all__ = ["CODECS", "CODEC_IDS", "DEFAULT_LIMIT", "LargerThanLimitError", "compress", "decompress"]

Buffer = bytes | bytearray | memoryview

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
CODEC_IDS: Final = {name: number for number, name in enumerate(CODECS)}
DEFAULT_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that one batch may decompress to. A batch is at most ``max.message.bytes`` (1 MB by default) compressed."""

# Members that may follow each other in one gzip. Writers make one; to step over one costs a look at all that follow.
_GZIP_MEMBERS = 1000
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + struct.pack(">ii", 1, 1)
_XERIAL_BLOCK = 32 * 1024
# A snappy element of 3 bytes copies at most 64: a length that claims more than this is a lie.
_SNAPPY_MAX_RATIO = 32
# A frame of version 1 with blocks of at most 64 kB that do not depend on each other (the Java client reads no
# other), without checksums; the third byte is the header's own checksum.
_LZ4_HEADER = b"\x04\x22\x4d\x18" + b"\x60\x40\x82"
_LZ4_BLOCK = 64 * 1024
_LZ4_STORED = 1 << 31
# How cramjam says that the output does not fit; anything else means that the input is malformed.
_TOO_SMALL = "failed to write whole buffer"
_INT32 = struct.Struct(">i")


class LargerThanLimitError(WireError):
    """What was compressed is larger than ``limit``, and nothing else is known of it."""


def compress(codec: str, data: Buffer, level: int | None = None) -> bytes:
    """``data`` compressed by one of ``CODECS``; ``level`` is that of gzip or zstd (None: its default)."""
    match codec:
        case "none":
            return bytes(data)
        case "gzip":
            packer = zlib.compressobj(-1 if level is None else level, zlib.DEFLATED, 31)
            return packer.compress(data) + packer.flush()
        case "snappy":
            return _compress_xerial(data)
        case "lz4":
            return _compress_lz4(data)
        case "zstd":
            import cramjam

            return bytes(cramjam.zstd.compress(bytes(data), level=3 if level is None else level))
    raise AssertionError(f"no such codec: {codec}")


def decompress(codec: str, data: Buffer, limit: int = DEFAULT_LIMIT) -> bytes | memoryview:
    """The bytes ``data`` was made from. Raises ``WireError`` if it is malformed or larger than ``limit``."""
    match codec:
        case "none":
            return memoryview(data)
        case "gzip":
            return _decompress_gzip(data, limit)
        case "snappy":
            return _decompress_snappy(data, limit)
        case "lz4" | "zstd":
            return _decompress_frame(codec, data, limit)
    raise AssertionError(f"no such codec: {codec}")


def _decompress_gzip(data: Buffer, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    rest: Buffer = data
    while len(rest):
        unpacker = zlib.decompressobj(31)
        try:
            part = unpacker.decompress(rest, room + 1)
        except zlib.error as error:
            raise WireError(f"gzip: {error}") from error
        room -= len(part)
        if room < 0:
            raise LargerThanLimitError(f"gzip: more than {limit} bytes")
        if not unpacker.eof:
            raise WireError("gzip: the data ends early")
        parts.append(part)
        if len(parts) > _GZIP_MEMBERS:
            raise WireError(f"gzip: more than {_GZIP_MEMBERS} members")
        rest = unpacker.unused_data
    if not parts:
        raise WireError("gzip: no data")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _compress_xerial(data: Buffer) -> bytes:
    import cramjam

    view = memoryview(data)
    out = bytearray(_XERIAL_HEADER)
    for start in range(0, len(view), _XERIAL_BLOCK):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK]))
        out += _INT32.pack(len(block))
        out += block
    return bytes(out)


def _compress_lz4(data: Buffer) -> bytes:
    import cramjam

    view = memoryview(data)
    out = bytearray(_LZ4_HEADER)
    for start in range(0, len(view), _LZ4_BLOCK):
        plain = view[start : start + _LZ4_BLOCK]
        block: Buffer = bytes(cramjam.lz4.compress_block(plain, store_size=False))
        size = len(block)
        if size >= len(plain):
            block, size = plain, len(plain) | _LZ4_STORED
        out += size.to_bytes(4, "little")
        out += block
    out += bytes(4)
    return bytes(out)


def _decompress_snappy(data: Buffer, limit: int) -> bytes:
    view = memoryview(data)
    if bytes(view[:8]) != _XERIAL_MAGIC:
        return _decompress_snappy_block(view, limit)
    parts: list[bytes] = []
    position = 16
    while position < len(view):
        if position + 4 > len(view):
            raise WireError("snappy: the data ends early")
        (size,) = _INT32.unpack_from(view, position)
        position += 4
        if size < 0 or position + size > len(view):
            raise WireError("snappy: the data ends early")
        part = _decompress_snappy_block(view[position : position + size], limit)
        limit -= len(part)
        parts.append(part)
        position += size
    return b"".join(parts)


def _decompress_snappy_block(block: memoryview, limit: int) -> bytes:
    import cramjam

    try:
        size = cramjam.snappy.decompress_raw_len(block)
        if size > limit:
            raise LargerThanLimitError(f"snappy: more than {limit} bytes")
        if size > len(block) * _SNAPPY_MAX_RATIO:
            raise WireError("snappy: the length is not possible")
        return bytes(cramjam.snappy.decompress_raw(block))
    except (cramjam.DecompressionError, ValueError) as error:
        raise WireError(f"snappy: {error}") from error


def _decompress_frame(codec: str, data: Buffer, limit: int) -> memoryview:
    """Try ever larger outputs, up to ``limit``: the frame's own idea of its size is not to be believed."""
    import cramjam

    into = cramjam.lz4.decompress_into if codec == "lz4" else cramjam.zstd.decompress_into
    view = memoryview(data)
    room = min(limit, max(64 * 1024, 8 * len(view)))
    while True:
        # The bytes of a new bytearray are zero pages that cost nothing until they are written.
        out = bytearray(room)
        try:
            return memoryview(out)[: into(view, out)]
        except (cramjam.DecompressionError, ValueError, OSError) as error:
            if _TOO_SMALL not in str(error):
                raise WireError(f"{codec}: {error}") from error
            if room >= limit:
                raise LargerThanLimitError(f"{codec}: more than {limit} bytes") from error
        room = min(limit, room * 8)
