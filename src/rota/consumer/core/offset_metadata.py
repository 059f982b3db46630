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

from rota.consumer.core.progress import Range, join_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CEILING", "LONGEST", "decode_done", "encode_after", "encode_done"]

LONGEST = 4095
"""Bytes of metadata that a broker takes unless told otherwise (``offset.metadata.max.bytes``, 4096), less
the NUL that librdkafka counts in.
"""

CEILING = 32_767
"""The longest string that a commit can carry, whatever the broker's settings."""

_MARK = "rota1:"
_MOST_RANGES = 4096
_LARGEST = (1 << 63) - 1


def encode_done(offset: int, done: Sequence[Range], longest: int = LONGEST) -> str:
    """The text for a commit of ``offset``, at most ``longest`` characters; what does not fit is left out
    from the end.
    """
    return _text(offset, _with_room(offset, (), done, _room(longest)))


def encode_after(
    before: Sequence[Range], offset: int, done: Sequence[Range], longest: int = LONGEST
) -> str | None:
    """The same where ``before`` was named by the commit before: what of it lies beyond ``offset`` is named again,
    and what is new only in the room that is left. None if it does not fit.

    With the ``longest`` of the commit before it always fits: ranges only grow together.
    """
    if not before:
        return encode_done(offset, done, longest)
    room = _room(longest)
    grown, named = _named_again(before, offset, done)
    for wanted in (grown, named):
        if _fits(offset, wanted, room):
            chosen = _with_room(offset, wanted, done, room) if wanted is grown else wanted
            return _text(offset, chosen)
    return None


def _named_again(
    before: Sequence[Range], offset: int, done: Sequence[Range]
) -> tuple[list[Range], list[Range]]:
    """Of ``done`` the ranges that have something of ``before`` in them: as they are now, and as they were."""
    grown: list[Range] = []
    named: list[Range] = []
    index = 0
    for first, end in join_ranges(before):
        while index < len(done) and done[index].end < end:
            index += 1
        if index == len(done):
            break
        now = done[index]
        if first > offset and now.first <= first:
            named.append(Range(first, end))
            if not grown or grown[-1] is not now:
                grown.append(now)
    return grown, named


def _with_room(offset: int, wanted: Sequence[Range], done: Sequence[Range], room: int) -> list[Range]:
    """``wanted``, which fits, and of the other ranges of ``done`` the first ones that fit as well."""
    left = room - _size(offset, wanted)
    count = _MOST_RANGES - len(wanted)
    chosen: list[Range] = []
    at, index, more = offset, 0, True
    for item in done:
        following = wanted[index] if index < len(wanted) else None
        if item is following:
            index += 1
        elif more:
            cost = len(_pair(at, item))
            if following is not None:
                cost += len(_leb128(following.first - item.end)) - len(_leb128(following.first - at))
            more = cost <= left and count > 0
            if not more:
                continue
            left -= cost
            count -= 1
        elif following is None:
            break
        else:
            continue
        chosen.append(item)
        at = item.end
    return chosen


def _fits(offset: int, ranges: Sequence[Range], room: int) -> bool:
    return len(ranges) <= _MOST_RANGES and _size(offset, ranges) <= room


def _room(longest: int) -> int:
    """Bytes that a text of this length holds."""
    return (longest - len(_MARK)) * 3 // 4


def _size(offset: int, ranges: Sequence[Range]) -> int:
    return len(_encoded(offset, ranges))


def _text(offset: int, ranges: Sequence[Range]) -> str:
    encoded = _encoded(offset, ranges)
    return _MARK + base64.b64encode(encoded).decode().rstrip("=") if encoded else ""


def _encoded(offset: int, ranges: Sequence[Range]) -> bytes:
    encoded = bytearray()
    at = offset
    for item in ranges:
        encoded += _pair(at, item)
        at = item.end
    return bytes(encoded)


def _pair(at: int, item: Range) -> bytes:
    return _leb128(item.first - at) + _leb128(item.end - item.first - 1)


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
