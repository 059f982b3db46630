"""Record batches that are wrong inside, and whose checksum is right: what is behind the checksum is reached."""

from __future__ import annotations

import random
import struct
import time
from functools import cache

from tests.fuzz.damage import EDGES, damaged

from rota.wire.compression import CODECS, compress
from rota.wire.crc import crc32c
from rota.wire.records import HEADER_SIZE, build_batch

__all__ = ["any_batch", "bomb", "with_checksum"]

_LENGTH_AT, _CRC_AT, _ATTRIBUTES_AT = 8, 17, 21
# Where the fields of a header are that the checksum covers, and how they are packed.
_FIELDS = ((21, ">h"), (23, ">i"), (27, ">q"), (35, ">q"), (43, ">q"), (51, ">h"), (53, ">i"), (57, ">i"))
_LAST_OFFSET_DELTA_AT, _COUNT_AT = 23, 57
_BOMB_SIZE = 64 * 1024 * 1024
_BOMB_RECORDS = 300_000


def any_batch(source: random.Random, found: bytes | None, producer: tuple[int, int] | None) -> bytes:
    """A batch: good, or with a damaged header, damaged records, another codec; rarely a bomb."""
    base = bytes(found) if found and source.random() < 0.5 else _good(source, producer)
    choice = source.random()
    if choice < 0.25:
        return base
    if choice < 0.45:
        return with_checksum(_header_field(base, source))
    if choice < 0.75:
        return with_checksum(base[:HEADER_SIZE] + damaged(base[HEADER_SIZE:], source))
    if choice < 0.85:
        return _recompressed(base, source)
    if choice < 0.95:
        return damaged(base, source)
    if choice < 0.952:
        return bomb(source.choice(CODECS[1:]), of_records=source.random() < 0.5)
    return base + _good(source, producer)


def with_checksum(batch: bytes) -> bytes:
    """The batch with its own length and the checksum of what it holds now."""
    if len(batch) < HEADER_SIZE:
        return batch
    made = bytearray(batch)
    struct.pack_into(">i", made, _LENGTH_AT, len(made) - 12)
    struct.pack_into(">I", made, _CRC_AT, crc32c(memoryview(made)[_ATTRIBUTES_AT:]))
    return bytes(made)


def _good(source: random.Random, producer: tuple[int, int] | None) -> bytes:
    now_ms = int(time.time() * 1000)
    entries = [
        (source.choice((None, b"k", b"key-%d" % number)), source.choice((None, b"", b"v" * 30)), now_ms, ())
        for number in range(source.choice((1, 1, 2, 5, 40)))
    ]
    producer_id, epoch = producer or (-1, -1)
    return bytes(
        build_batch(
            entries,
            compression=source.choice(CODECS),
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=-1 if producer is None else source.choice((0, 0, 1, 5, 2**31 - 1)),
            transactional=producer is not None and source.random() < 0.5,
        )
    )


def _header_field(batch: bytes, source: random.Random) -> bytes:
    made = bytearray(batch)
    if len(made) < HEADER_SIZE:
        return batch
    at, format_ = source.choice(_FIELDS)
    bits = struct.calcsize(format_) * 8
    value = source.choice((*EDGES, source.getrandbits(bits)))
    struct.pack_into(format_, made, at, (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1))
    return bytes(made)


def _recompressed(batch: bytes, source: random.Random) -> bytes:
    """Records that are rubbish, well compressed; or compressed records that are damaged; or called another codec."""
    number = source.randrange(1, len(CODECS))
    records = compress(CODECS[number], source.randbytes(source.choice((0, 1, 50, 3000))))
    if source.random() < 0.5:
        records = damaged(records, source)
    made = bytearray(batch[:HEADER_SIZE] + records)
    if len(made) >= HEADER_SIZE:
        struct.pack_into(">h", made, _ATTRIBUTES_AT, number)
    return with_checksum(bytes(made))


@cache
def bomb(codec: str, *, of_records: bool) -> bytes:
    """A small batch of many megabytes of zeros, or of very many small records."""
    made = bytearray(build_batch([(b"k", b"v", int(time.time() * 1000), ())], compression=codec))
    if of_records:
        one = build_batch([(b"k", None, int(time.time() * 1000), ())])[HEADER_SIZE:]
        made[HEADER_SIZE:] = compress(codec, one * _BOMB_RECORDS)
        struct.pack_into(">i", made, _LAST_OFFSET_DELTA_AT, _BOMB_RECORDS - 1)
        struct.pack_into(">i", made, _COUNT_AT, _BOMB_RECORDS)
    else:
        made[HEADER_SIZE:] = compress(codec, bytes(_BOMB_SIZE))
    return with_checksum(bytes(made))
