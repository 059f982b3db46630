"""Bytes in the middle of a segment that are no batch: a flipped bit, a sector that was lost.

A start after a crash cuts a log where it is damaged, if that may be the crash's doing. Elsewhere the rest is kept, and
served: what lies between two whole batches is passed over.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from rota.wire.records import HEADER_SIZE, CorruptBatchError, check_batch

__all__ = ["next_batch"]

_MAGIC_AT: Final = 16
_MAGIC: Final = b"\x02"
_MAX_INT32: Final = 2**31 - 1


def next_batch(path: Path, position: int, size: int, base_offset: int) -> int:
    """Where the next whole batch behind ``position`` begins, its checksum right; ``size`` if there is none.

    ``base_offset`` is the segment's: offsets that cannot be in it are none.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            at = position + 1
            while True:
                found = mapped.find(_MAGIC, at + _MAGIC_AT, size)
                if found < 0 or found - _MAGIC_AT + HEADER_SIZE > size:
                    return size
                at = found - _MAGIC_AT
                if base_offset <= int.from_bytes(view[at : at + 8]) <= base_offset + _MAX_INT32:
                    try:
                        check_batch(view, at)
                    except CorruptBatchError:
                        pass
                    else:
                        return at
                at += 1
        finally:
            view.release()
