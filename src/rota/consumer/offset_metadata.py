"""What was finished out of order, kept in the metadata of a committed offset.

A commit says "everything before this offset is done". What is done beyond it would be repeated after a
restart or a rebalance; so it is written into the text that Kafka keeps beside a committed offset.

The text, version 1: ``rota1:`` and base64 (RFC 4648, without padding) of unsigned LEB128 numbers in pairs,
for each range of done offsets, in order: how many offsets lie between the end of the range before (at first
the committed offset) and its first offset; how many offsets it has, less one. Offsets 8, 9 and 12 beyond a
committed 7: pairs (1, 1), (2, 0). A reader that does not know the text (another program's, a later
version's, a damaged one's) begins at the offset: nothing is lost, some records come again.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from rota.consumer.progress import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST", "decode_done", "encode_done"]

LONGEST = 4095
"""Bytes of metadata that a broker takes unless told otherwise (``offset.metadata.max.bytes``, 4096), less
the NUL that librdkafka counts in.
"""

_MARK = "rota1:"
_MOST_RANGES = 4096
_LARGEST = (1 << 63) - 1


def encode_done(offset: int, done: Sequence[Range], longest: int = LONGEST) -> str:
    """The text for a commit of ``offset``, at most ``longest`` characters; what does not fit is left out
    from the end.
    """
    room = (longest - len(_MARK)) * 3 // 4
    encoded = bytearray()
    at = offset
    for first, end in done:
        pair = _leb128(first - at) + _leb128(end - first - 1)
        if len(encoded) + len(pair) > room:
            break
        encoded += pair
        at = end
    return _MARK + base64.b64encode(encoded).decode().rstrip("=") if encoded else ""


def decode_done(offset: int, text: str | None) -> tuple[Range, ...]:
    """The ranges that ``text`` names beyond ``offset``; none if it is not ours, or damaged.

    A NUL at the end is ignored: librdkafka counts one into what it sends.
    """
    text = (text or "").rstrip("\0")
    if not text.startswith(_MARK):
        return ()
    body = text[len(_MARK) :]
    try:
        numbers = _numbers(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ()
    if len(numbers) % 2 or len(numbers) > 2 * _MOST_RANGES:
        return ()
    found = []
    at = offset
    for gap, more in zip(numbers[::2], numbers[1::2], strict=True):
        first, end = at + gap, at + gap + more + 1
        if (
            end > _LARGEST or gap == 0
        ):  # ranges that touch are written as one, and the offset itself is not done
            return ()
        found.append(Range(first, end))
        at = end
    return tuple(found)


def _leb128(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _numbers(data: Iterable[int]) -> list[int]:
    numbers = []
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if shift > 70:
            raise ValueError("a number longer than an offset")
        if byte < 128:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise ValueError("ends within a number")
    return numbers
