"""Conversations about batches whose records are not what the header says, for ``test_like_kafka``."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.broker.like_kafka_records import records
from tests.broker.talk import Talk

from rota.wire.compression import CODECS, compress
from rota.wire.crc import crc32c
from rota.wire.messages.produce import ProduceResponse
from rota.wire.records import HEADER_SIZE, build_batch

__all__ = ["CASES", "PROVOKED"]

_LENGTH_AT, _CRC_AT, _CHECKED_FROM = 8, 17, 21


def records_that_are_not_there(talk: Talk) -> None:
    """More or fewer than claimed, none, and bytes that are no record; the same within each codec."""
    name = talk.topic()
    two = _records(2)
    for codec in CODECS:
        for count, body in (
            (3, two),
            (1, two),
            (1, b""),
            (1, bytes(20)),
            (1, b"\1" + bytes(20)),
            (2, two + b"xx"),
            (2, two[:-1]),
            (2, two),
        ):
            batch = _batch(count, codec, compress(codec, body))
            talk.ask(records(name, bytes(batch)), 9, ProduceResponse)


def records_that_cannot_be_decompressed(talk: Talk) -> None:
    name = talk.topic()
    for codec in CODECS[1:]:
        for body in (bytes(50), compress(codec, _records(2))[:-1]):
            batch = _batch(2, codec, body)
            talk.ask(records(name, bytes(batch)), 9, ProduceResponse)


def records_with_wrong_fields(talk: Talk) -> None:
    """Of an uncompressed batch only Kafka looks at them."""
    name = talk.topic()
    good = _records(1)
    for codec in CODECS[1:]:
        for position, value in ((4, 0x7E), (4, 0), (len(good) - 1, 2), (len(good) - 1, 1)):
            body = bytearray(good)
            body[position] = value
            batch = _batch(1, codec, compress(codec, body))
            talk.ask(records(name, bytes(batch)), 9, ProduceResponse)


def _records(count: int) -> bytes:
    batch = build_batch([(b"k", b"v%d" % number, 1_000, []) for number in range(count)])
    return bytes(batch[HEADER_SIZE:])


def _batch(count: int, codec: str, body: bytes) -> bytearray:
    """A batch that claims ``count`` records, with another body."""
    batch = build_batch([(b"k", b"v", 1_000, [])] * count, compression=codec)
    batch[HEADER_SIZE:] = body
    struct.pack_into(">i", batch, _LENGTH_AT, len(batch) - 12)
    struct.pack_into(">I", batch, _CRC_AT, crc32c(memoryview(batch)[_CHECKED_FROM:]))
    return batch


CASES: tuple[Callable[[Talk], None], ...] = (
    records_that_are_not_there,
    records_that_cannot_be_decompressed,
    records_with_wrong_fields,
)

PROVOKED: dict[str, set[str]] = {"Produce": {"INVALID_RECORD", "UNKNOWN_SERVER_ERROR"}}
"""The errors that Kafka answers here."""
