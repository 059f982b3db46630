"""A segment: batches in a row, and what is needed to find one by offset or by timestamp.

Finding is by the sparse index, then by reading batch headers from there. Two things make the usual reads cheaper:
of the batches after the last index entry the positions are known exactly, and the position at which a read stopped
is remembered, because that is where the next one begins.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rota.model import ErrorCode, KafkaError
from rota.storage.damage import next_batch
from rota.storage.files import replace_file
from rota.storage.indexes import OffsetIndex, TimeIndex
from rota.storage.stores import FileRegion, FileStore, MemoryStore, OpenFiles, Store
from rota.wire import WireError
from rota.wire.records import HEADER_SIZE, BatchHeader, Record, iter_records, read_header

__all__ = ["Segment", "file_name"]

_MAX_INT32 = 2**31 - 1
_WINDOW = 8 * 1024
_MAX_HINTS = 32
_MAGIC = 2

logger = logging.getLogger(__name__)


def file_name(offset: int, suffix: str) -> str:
    """Kafka's name of a file that begins with that offset."""
    return f"{offset:020d}{suffix}"


class Segment:
    """Batches from ``base_offset`` up to ``next_offset``; only the last segment of a log is appended to."""

    __slots__ = (
        "_hints",
        "_index",
        "_index_interval",
        "_since_index",
        "_skips",
        "_tail_offsets",
        "_tail_positions",
        "_times",
        "base_offset",
        "created_ms",
        "directory",
        "first_timestamp",
        "max_timestamp",
        "max_timestamp_offset",
        "next_offset",
        "store",
    )

    def __init__(
        self,
        directory: Path | None,
        base_offset: int,
        *,
        created_ms: int,
        index_interval: int,
        size: int = 0,
        files: OpenFiles | None = None,
    ) -> None:
        self.directory = directory
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.created_ms = created_ms  # or when it was last written to, for a segment that was there already
        self.store: Store = MemoryStore() if directory is None else FileStore(self.path(".log"), size, files)
        self.first_timestamp = -1
        self.max_timestamp = -1
        self.max_timestamp_offset = base_offset
        self._index_interval = index_interval
        self._since_index = 0
        self._index: OffsetIndex | None = OffsetIndex()
        self._times: TimeIndex | None = TimeIndex()
        # The batches since the last index entry: last offset and position.
        self._tail_offsets = array("q")
        self._tail_positions = array("q")
        self._hints: dict[int, int] = {}
        self._skips: dict[int, int] = {}  # where damage was found, and where the next batch begins

    def path(self, suffix: str) -> Path:
        """The file of this segment with that suffix."""
        assert self.directory is not None
        return self.directory / file_name(self.base_offset, suffix)

    @property
    def size(self) -> int:
        """Bytes of records."""
        return self.store.size

    # --- appending ------------------------------------------------------------------------------------------

    def has_room(self, length: int, last_offset: int, segment_bytes: int, index_bytes: int) -> bool:
        """Whether ``length`` more bytes up to ``last_offset`` fit into this segment's file and indexes."""
        size = self.store.size
        if not size:
            return True
        if size + length > segment_bytes or size + length > _MAX_INT32:
            return False
        assert self._index is not None
        return last_offset - self.base_offset <= _MAX_INT32 and (len(self._index) + 1) * 12 <= index_bytes

    def append(self, data: memoryview, headers: list[tuple[int, BatchHeader]], next_offset: int) -> None:
        """Append batches that are stamped already; ``headers``: where each begins in ``data``, and its header.

        The headers' base offsets may still be the client's: the offsets end before ``next_offset``.
        """
        position = self.store.size
        self.store.append(data)
        if len(headers) == 1:
            self.note(position, headers[0][1], next_offset - 1)
            return
        last = self.next_offset - 1
        for start, header in headers:
            last += header.last_offset_delta + 1
            self.note(position + start, header, last)
        assert last == next_offset - 1

    def note(self, position: int, header: BatchHeader, last_offset: int) -> None:
        """Index one batch that lies at ``position``."""
        timestamp = header.max_timestamp
        if timestamp > self.max_timestamp:
            self.max_timestamp = timestamp
            self.max_timestamp_offset = last_offset
        if not position:
            self.first_timestamp = timestamp
        if self._since_index > self._index_interval:
            self._index_batch(position, last_offset)
        self._tail_offsets.append(last_offset)
        self._tail_positions.append(position)
        self._since_index += header.batch_length + 12
        self.next_offset = last_offset + 1

    def _index_batch(self, position: int, last_offset: int) -> None:
        base = self.base_offset
        assert self._index is not None
        assert self._times is not None
        self._index.append(last_offset - base, position)
        self._times.maybe_append(self.max_timestamp, self.max_timestamp_offset - base)
        self._since_index = 0
        del self._tail_offsets[:], self._tail_positions[:]

    # --- finding --------------------------------------------------------------------------------------------

    @property
    def index(self) -> OffsetIndex:
        if self._index is None:
            self._load_indexes()
            assert self._index is not None
        return self._index

    @property
    def times(self) -> TimeIndex:
        if self._times is None:
            self._load_indexes()
            assert self._times is not None
        return self._times

    def _load_indexes(self) -> None:
        self._index = OffsetIndex.load(self.path(".index"), self.size)
        self._times = TimeIndex.load(self.path(".timeindex"))
        if self._index is None or self._times is None:
            self._restore_indexes()

    def _restore_indexes(self) -> None:
        """Make the lost indexes of a closed segment again; it ends where the next one begins, as before."""
        next_offset = self.next_offset
        self.rebuild_indexes()
        self.next_offset = next_offset
        with suppress(OSError):  # a full disk: they are made again the next time as well
            self.write_indexes(sync=True)

    def find(self, offset: int) -> int:
        """Position of the first batch that ends at ``offset`` or later; the segment's size if there is none."""
        position = self._hints.get(offset)
        if position is not None:
            return position
        if offset >= self.next_offset:
            return self.size
        tail = self._tail_offsets
        if tail and offset >= tail[0]:
            # A compacted segment may end before the next one begins.
            at = bisect_left(tail, offset)
            return self._tail_positions[at] if at < len(tail) else self.size
        start = self.index.position_before(offset - self.base_offset)
        if start and self._indexed_at(start) is None:
            start = self.index.position_before(offset - self.base_offset)
        for position, header in self.scan(start):
            if header.last_offset >= offset:
                return position
        return self.size

    def boundary(self, position: int, minimum: int) -> tuple[int, int | None]:
        """The last boundary between batches in ``minimum`` … ``position``; ``minimum`` is one.

        And the offset with which the batch begins that lies there, if it was looked at. What lies between the two
        boundaries is whole, as far as anybody knows.
        """
        limit = self.sound_until(minimum)
        if position >= limit:
            return limit, None
        start = self.index.boundary_before(position)
        if start > minimum:
            indexed = self._indexed_at(start)
            if indexed is None:
                start = self.index.boundary_before(position)
            elif position < start + indexed.size <= self.size:
                return start, indexed.base_offset
        end = start = max(start, minimum)
        for at, header in self.scan(start):
            if at != end:
                break  # damage
            end = at + header.size
            if end > position:
                return at, header.base_offset
        return end, None

    def run_from(self, position: int, length: int) -> tuple[int, int]:
        """Where the next whole batches begin and end: about ``length`` bytes in a row, up to a damage, or none."""
        start = end = -1
        for at, header in self.scan(position):
            if start < 0:
                start = at
            elif at != end or end - start >= length:
                return start, end
            end = at + header.size
        return (start, end) if start >= 0 else (self.size, self.size)

    def size_at(self, position: int) -> int:
        """How large the batch at ``position`` is. Raises ``KafkaError`` if none begins there."""
        for at, header in self.scan(position):
            if at == position:
                return header.size
            break
        raise self.damaged(position)

    def base_offset_at(self, position: int) -> int | None:
        """The offset with which the batch at ``position`` begins; None if none begins there."""
        for _, header in self.scan(position, min(position + 1, self.size)):
            return header.base_offset
        return None

    def sound_until(self, position: int) -> int:
        """Where the next damage that is known begins; the segment's size if there is none."""
        if not self._skips:
            return self.size
        return min((each for each in self._skips if each >= position), default=self.size)

    def _indexed_at(self, position: int) -> BatchHeader | None:
        """The header of the batch of which the index tells; None if none begins there: the indexes are made again."""
        offset = self.index.offset_at(position)
        header = self.store.pread(HEADER_SIZE, position)
        if len(header) == HEADER_SIZE:
            found = read_header(header)
            if found.magic == _MAGIC and found.last_offset == self.base_offset + offset:
                return found
        if position not in self._skips:
            logger.error("%s does not fit its log: it is made again", self.path(".index"))
        self._restore_indexes()
        return None

    def remember(self, offset: int, position: int) -> None:
        """Note that the batch that holds ``offset`` begins at ``position``: the next read begins there."""
        hints = self._hints
        if len(hints) >= _MAX_HINTS:
            hints.clear()
        hints[offset] = position

    def scan(self, position: int = 0, end: int | None = None) -> Iterator[tuple[int, BatchHeader]]:
        """Position and header of each batch from ``position`` on, headers only; what is no batch is passed over."""
        stop = self.size if end is None else end
        store = self.store
        window_at = position
        window: bytes | memoryview = b""
        while position < stop:
            at = position - window_at
            if at + HEADER_SIZE > len(window):
                window_at, at = position, 0
                window = store.pread(min(_WINDOW, self.size - position), position)
            if at + HEADER_SIZE > len(window):
                position = self._behind_damage(position)
                continue
            header = read_header(window, at)
            following = position + header.batch_length + 12
            if header.batch_length + 12 < HEADER_SIZE or following > self.size or header.magic != _MAGIC:
                position = self._behind_damage(position)
                window = b""
                continue
            yield position, header
            position = following

    def _behind_damage(self, position: int) -> int:
        """Where to go on behind what is no batch at ``position``."""
        following = self._skips.get(position)
        if following is None:
            if self.directory is None:
                raise self.damaged(position)
            path = self.path(".log")
            following = next_batch(path, position, self.size, self.base_offset)
            self._skips[position] = following
            logger.error(
                "%s is damaged at byte %d: %d bytes are passed over", path, position, following - position
            )
        return following

    @property
    def _name(self) -> str:
        return f"segment {self.base_offset}" if self.directory is None else str(self.path(".log"))

    def damaged(self, position: int) -> KafkaError:
        """The error that says so."""
        return KafkaError(
            ErrorCode.KAFKA_STORAGE_ERROR,
            f"{self._name} is damaged: no batch at byte {position}",
        )

    def batch_at(self, position: int) -> bytes | memoryview:
        """The bytes of the batch that begins at ``position``."""
        try:
            header = read_header(self.store.pread(HEADER_SIZE, position))
        except WireError as error:
            raise self.damaged(position) from error
        return self.store.pread(header.size, position)

    def records_at(self, position: int) -> Iterator[Record]:
        """The records of the batch that begins at ``position``.

        Raises ``KafkaError`` CORRUPT_MESSAGE where they are malformed: of what a client wrote, not all is looked at.
        """
        try:
            yield from iter_records(self.batch_at(position))
        except WireError as error:
            raise KafkaError(
                ErrorCode.CORRUPT_MESSAGE,
                f"{self._name}: the batch at byte {position} cannot be read: {error}",
            ) from error

    def region(self, position: int, length: int) -> list[FileRegion | memoryview]:
        return self.store.region(position, length)

    # --- times ----------------------------------------------------------------------------------------------

    def offset_at_time(self, timestamp: int, from_offset: int) -> tuple[int, int] | None:
        """Offset and timestamp of the first record from ``from_offset`` on that is not before ``timestamp``."""
        if self.max_timestamp < timestamp:
            return None
        start = max(self.base_offset + self.times.offset_before(timestamp), from_offset)
        for position, header in self.scan(self.find(start)):
            if header.max_timestamp < timestamp:
                continue
            for record in self.records_at(position):
                if record.timestamp >= timestamp and record.offset >= from_offset:
                    return record.offset, record.timestamp
        return None

    # --- life -----------------------------------------------------------------------------------------------

    def forget_batches(self) -> None:
        """Go back to knowing of no batch; ``note`` tells of each again."""
        self._index, self._times = OffsetIndex(), TimeIndex()
        self._since_index = 0
        self.max_timestamp, self.max_timestamp_offset = -1, self.base_offset
        self.first_timestamp = -1
        self.next_offset = self.base_offset
        del self._tail_offsets[:], self._tail_positions[:]
        self._hints.clear()

    def rebuild_indexes(self) -> None:
        """Make both indexes, and the largest timestamp, again from the batches."""
        self.forget_batches()
        for position, header in self.scan():
            self.note(position, header, header.last_offset)

    def open_closed(self, next_offset: int) -> None:
        """Take over a segment that was written by an earlier run and is not the last one: nothing is read yet.

        Its end is where the next one begins.
        """
        self._index = self._times = None
        self.next_offset = next_offset
        last = TimeIndex.last_entry(self.path(".timeindex"))
        if last is None:
            if self.size:
                self._restore_indexes()
        else:
            self.max_timestamp, self.max_timestamp_offset = last[0], self.base_offset + last[1]

    def open_active(self) -> None:
        """Take over the last segment after a clean shutdown: the index is read, and what comes after its end."""
        index = OffsetIndex.load(self.path(".index"), self.size)
        times = TimeIndex.load(self.path(".timeindex"))
        if index is None or times is None:
            self.rebuild_indexes()
            return
        self._index, self._times = index, times
        if times.timestamps:
            self.max_timestamp = times.timestamps[-1]
            self.max_timestamp_offset = self.base_offset + times.offsets[-1]
        start = index.positions[-1] if index.positions else 0
        for number, (position, header) in enumerate(self.scan(start)):
            self.note(position, header, header.last_offset)
            if start and header.last_offset != self.base_offset + index.offset_at(start) and not number:
                logger.error("%s does not fit its log: it is made again", self.path(".index"))
                self.rebuild_indexes()
                return
            if start and not number:
                # The batch that the last entry points to: it is in the index, and counts from there.
                del self._tail_offsets[:], self._tail_positions[:]
        for position, following in self._skips.items():
            if following == self.size:
                raise self.damaged(position)
        if start:
            self.first_batch_timestamp()

    def write_indexes(self, ending: str = "", *, sync: bool = False) -> None:
        """Write both index files whole, with the closing time entry that Kafka adds; names end in ``ending``."""
        if self.directory is None or self._index is None or self._times is None:
            return
        self._times.maybe_append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
        for suffix, data in ((".index", self._index.to_bytes()), (".timeindex", self._times.to_bytes())):
            replace_file(self.path(suffix + ending), data, sync=sync)

    def adopt(self, store: Store) -> None:
        """Go on in another store, which holds the same bytes."""
        self.store.close()
        self.store = store

    def first_batch_timestamp(self) -> int:
        """The timestamp of the first batch, -1 if there is none; reads it if it is not known."""
        if self.first_timestamp < 0 and self.size:
            self.first_timestamp = read_header(self.store.pread(HEADER_SIZE, 0)).max_timestamp
        return self.first_timestamp

    def release(self) -> None:
        """Forget what can be read again, and let go of the file."""
        if self.directory is not None:
            self._index = self._times = None
            del self._tail_offsets[:], self._tail_positions[:]
        self._hints.clear()
        self.store.close()

    def delete(self) -> None:
        """Remove the segment's files. Regions that were handed out stay readable."""
        self.store.delete()
        if self.directory is not None:
            for suffix in (".index", ".timeindex", ".txnindex"):
                self.path(suffix).unlink(missing_ok=True)
