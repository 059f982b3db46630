"""The sparse indexes of a segment, in memory and in Kafka's files.

``.index``: (offset - base offset int32, position int32), the last offset of a batch and where that batch begins.
``.timeindex``: (timestamp int64, offset - base offset int32), the largest timestamp up to there and its offset.
Both get an entry each ``index.interval.bytes``. They are written when the segment is closed or flushed, and hold
nothing that a scan of the segment does not give again.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from operator import lt
from pathlib import Path
from typing import Final

__all__ = ["OffsetIndex", "TimeIndex"]

_OFFSET_ENTRY: Final = 8
_TIME_ENTRY: Final = struct.Struct(">qi")


class OffsetIndex:
    """From offsets to positions; offsets are relative to the segment's base."""

    __slots__ = ("offsets", "positions")

    def __init__(self) -> None:
        self.offsets = array("i")
        self.positions = array("i")

    def __len__(self) -> int:
        return len(self.offsets)

    def append(self, offset: int, position: int) -> None:
        self.offsets.append(offset)
        self.positions.append(position)

    def offset_at(self, position: int) -> int:
        """The offset of the entry for ``position``, or of the one before it; -1 if there is none."""
        index = bisect_right(self.positions, position) - 1
        return self.offsets[index] if index >= 0 else -1

    def position_before(self, offset: int) -> int:
        """Where to begin to look for ``offset``: a batch at or before the one that holds it."""
        index = bisect_right(self.offsets, offset) - 1
        return self.positions[index] if index >= 0 else 0

    def boundary_before(self, position: int) -> int:
        """The last known start of a batch that is not past ``position``."""
        index = bisect_right(self.positions, position) - 1
        return self.positions[index] if index >= 0 else 0

    def to_bytes(self) -> bytes:
        both = array("i", bytes(len(self.offsets) * _OFFSET_ENTRY))
        both[0::2] = self.offsets
        both[1::2] = self.positions
        if sys.byteorder == "little":
            both.byteswap()
        return both.tobytes()

    @classmethod
    def load(cls, path: Path, log_size: int) -> OffsetIndex | None:
        """The index in a file; None if there is none or it cannot be right for a log of that size."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(data) % _OFFSET_ENTRY:
            return None
        both = array("i", data)
        if sys.byteorder == "little":
            both.byteswap()
        index = cls()
        index.offsets, index.positions = both[0::2], both[1::2]
        # Kafka preallocates the active segment's index with zeros.
        while index.offsets and not index.offsets[-1] and not index.positions[-1]:
            index.offsets.pop()
            index.positions.pop()
        if index.positions and not 0 <= index.positions[0] <= index.positions[-1] < log_size:
            return None
        if not all(map(lt, index.positions, index.positions[1:])):
            return None
        if not all(map(lt, index.offsets, index.offsets[1:])):
            return None
        return index


class TimeIndex:
    """From timestamps to offsets; timestamps strictly increase."""

    __slots__ = ("offsets", "timestamps")

    def __init__(self) -> None:
        self.timestamps = array("q")
        self.offsets = array("i")

    def __len__(self) -> int:
        return len(self.timestamps)

    def maybe_append(self, timestamp: int, offset: int) -> None:
        """Add an entry unless the last one is as late; offsets are relative."""
        if timestamp >= 0 and (not self.timestamps or timestamp > self.timestamps[-1]):
            self.timestamps.append(timestamp)
            self.offsets.append(offset)

    def offset_before(self, timestamp: int) -> int:
        """A relative offset before which every timestamp is smaller than ``timestamp``; 0 if nothing is known.

        An entry says that nothing up to the batch that ends in its offset is later than its timestamp.
        """
        index = bisect_right(self.timestamps, timestamp - 1) - 1
        return self.offsets[index] if index >= 0 else 0

    def to_bytes(self) -> bytes:
        return b"".join(map(_TIME_ENTRY.pack, self.timestamps, self.offsets))

    @classmethod
    def load(cls, path: Path) -> TimeIndex | None:
        """The index in a file; None if there is none or it is damaged."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(data) % _TIME_ENTRY.size:
            return None
        index = cls()
        last = -1
        for timestamp, offset in _TIME_ENTRY.iter_unpack(data):
            if timestamp <= last:
                break  # zeros of a preallocated file, or damage: what follows is not needed
            index.timestamps.append(timestamp)
            index.offsets.append(offset)
            last = timestamp
        return index

    @staticmethod
    def last_entry(path: Path) -> tuple[int, int] | None:
        """Timestamp and relative offset of the last entry, without reading the file as a whole."""
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                if size < _TIME_ENTRY.size or size % _TIME_ENTRY.size:
                    return None
                file.seek(size - _TIME_ENTRY.size)
                timestamp, offset = _TIME_ENTRY.unpack(file.read(_TIME_ENTRY.size))
        except FileNotFoundError:
            return None
        return (timestamp, offset) if timestamp > 0 else None
