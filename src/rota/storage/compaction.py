"""Compacting a log: of each key only the latest record stays, of what was deleted nothing in the end (KIP-58, KIP-534).

Two passes, as in Kafka: the dirty part is read to learn the last offset of every key in it; then all segments up to
its end are copied without what is outdated, several small ones into one, and each copy takes the place of its
originals (``rota.storage.swap``). A tombstone stays ``delete.retention.ms`` from the first copy on. What stays keeps
its offset. An empty batch stays for the last batch of a producer that is remembered, and for the end of the round.

All of it is a generator of small steps, for one thread serves everybody. It yields None where others may have a
turn, and a function where something takes long (reading, writing, syncing, a large batch's codec): whoever drives it
calls that, in another thread if it likes, and sends in what it returned, or throws what it raised. Segments belong to
the log meanwhile: it may drop them, and then the copy is thrown away.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from rota.storage.cleanable import Cleanable
from rota.storage.cleaned_transactions import CleanedTransactions
from rota.storage.segment import Segment
from rota.storage.stores import FileHandle, FileStore
from rota.storage.swap import CLEANED, discard, swap_in
from rota.wire.compression import compress, decompress
from rota.wire.record_filter import Span, empty_batch, record_body, record_spans, sealed_batch
from rota.wire.records import HEADER_SIZE, BatchHeader, check_batch, read_end_marker, read_header

__all__ = ["Compacted", "Steps", "compact", "run_now"]

T = TypeVar("T")
Work = Callable[[], object]
Steps = Generator[Work | None, Any, T]
Reader = Callable[[int, int], bytes]  # length and position

_CHUNK: Final = 1024 * 1024
_TURN: Final = 128  # records between two turns of others
_LARGE: Final = 16 * 1024  # bytes whose codec is worth a change of thread
_MAX_GROUP: Final = 100  # segments that become one: their files are renamed in one go
_MAX_INT32: Final = 2**31 - 1
_INDEX_ENTRY: Final = 12


class Compacted(NamedTuple):
    """A round that was carried out: the log is clean up to ``end_offset``."""

    end_offset: int
    bytes_before: int
    bytes_after: int
    records_removed: int


def run_now(steps: Steps[T]) -> T:
    """All steps at once, in this thread."""
    try:
        work = next(steps)
        while True:
            sent: object = None
            if work is not None:
                try:
                    sent = work()
                except Exception as error:
                    work = steps.throw(error)
                    continue
            work = steps.send(sent)
    except StopIteration as stop:
        result: T = stop.value
        return result


def compact(what: Cleanable, now_ms: int, *, max_keys: int = 1_000_000) -> Steps[Compacted | None]:
    """Compact a log; None if it changed so much meanwhile that the round does not count.

    ``max_keys`` bounds the memory: where a dirty part has more keys, a round ends there and another may follow.
    Raises ``OSError``, ``KafkaError`` or ``WireError`` (records that nobody can read); what was swapped in stays.
    """
    return _Round(what, now_ms, max_keys).run()


class _Round:
    def __init__(self, what: Cleanable, now_ms: int, max_keys: int) -> None:
        self.log = what.log
        self.first_dirty = what.first_dirty
        self.upper_bound = what.end
        self.end_offset = what.end
        self.now_ms = now_ms
        self.max_keys = max_keys
        self.last: dict[bytes, int] = {}  # key -> offset of its last record in the dirty part
        self.removed = 0
        # Those that ended before the dirty part say nothing about it, and their markers are not read with it.
        self.transactions = CleanedTransactions(
            each for each in self.log.aborted if each.last_offset >= self.first_dirty
        )

    def run(self) -> Steps[Compacted | None]:
        segments = self.log.segments[:-1]
        try:
            return (yield from self._run())
        except FileNotFoundError:
            if all(each in self.log.segments for each in segments):
                raise
            return None  # the log has dropped it

    def _run(self) -> Steps[Compacted | None]:
        yield from self._learn_keys()
        self.transactions = CleanedTransactions(self.log.aborted)
        before = after = 0
        for group in self._groups():
            before += sum(each.size for each in group)
            copy = yield from self._replace(group)
            if copy is None:
                return None
            after += copy
        return Compacted(self.end_offset, before, after, self.removed)

    # --- the keys -------------------------------------------------------------------------------------------

    def _learn_keys(self) -> Steps[None]:
        for segment in self.log.segments[:-1]:
            if segment.next_offset <= self.first_dirty or segment.base_offset >= self.upper_bound:
                continue
            start = segment.find(self.first_dirty) if segment.base_offset < self.first_dirty else 0
            read = yield from _open(segment)
            position = start
            while position < segment.size:
                data = yield from _read_batches(segment, read, position)
                end = 0
                for at, header in _headers(data):
                    if header.base_offset >= self.upper_bound:
                        return
                    if len(self.last) >= self.max_keys:
                        self.end_offset = header.base_offset
                        return
                    yield from self._learn_batch(data, at, header)
                    end = at + header.size
                position += end

    def _learn_batch(self, data: bytes, at: int, header: BatchHeader) -> Steps[None]:
        yield None
        if header.is_control:
            self.transactions.is_needless(header, read_end_marker(data, at))
            return
        if self.transactions.is_aborted(header) or not header.record_count:
            return
        records, start, end = yield from _unpacked(data, at, header)
        last, base, first = self.last, header.base_offset, self.first_dirty
        for number, span in enumerate(record_spans(records, start, end, header.record_count), 1):
            offset = base + span.offset_delta
            if span.key is not None and offset >= first:
                last[span.key] = offset
            if not number % _TURN:
                yield None

    # --- the copies -----------------------------------------------------------------------------------------

    def _groups(self) -> list[list[Segment]]:
        """Neighbours that fit into one segment together."""
        config = self.log.config
        most = min(config.segment_bytes, _MAX_INT32)
        most = min(most, config.segment_index_bytes // _INDEX_ENTRY * max(config.index_interval_bytes, 1))
        groups: list[list[Segment]] = []
        size = 0
        for segment in self.log.segments[:-1]:
            if segment.base_offset >= self.end_offset:
                break
            group = groups[-1] if groups else []
            fits = (
                0 < len(group) < _MAX_GROUP
                and size + segment.size <= most
                and segment.next_offset - group[0].base_offset <= _MAX_INT32
            )
            if fits:
                group.append(segment)
                size += segment.size
            else:
                groups.append([segment])
                size = segment.size
        return groups

    def _replace(self, group: list[Segment]) -> Steps[int | None]:
        """Copy ``group`` into one segment and swap it in; how large it is. None: the log dropped some of it."""
        copy = _Copy(group, self.log.directory is None, self.log.config.index_interval_bytes)
        self.transactions.aborted = []
        try:
            for segment in group:
                yield from self._copy_segment(segment, copy)
            yield from copy.finish(self.transactions.aborted)
            log = self.log
            first = bisect_left(log.bases, group[0].base_offset)
            if log.segments[first : first + len(group)] != group or log.segments[-1] is group[-1]:
                return None
            if len(group) == 1 and not copy.has_changed:
                return copy.segment.size
            tidy = swap_in(log, group, copy.segment, self.transactions.aborted)
            copy.is_swapped = True
        finally:
            if not copy.is_swapped:
                discard(copy.segment)
        yield tidy
        return copy.segment.size

    def _copy_segment(self, segment: Segment, copy: _Copy) -> Steps[None]:
        read = yield from _open(segment)
        position = 0
        while position < segment.size:
            data = yield from _read_batches(segment, read, position)
            view = memoryview(data)
            end = 0
            for at, header in _headers(data):
                yield None
                check_batch(view, at)
                end = at + header.size
                yield from self._filter(data, at, header, copy)
            position += end
            yield from copy.write()

    def _filter(self, data: bytes, at: int, header: BatchHeader, copy: _Copy) -> Steps[None]:
        """Copy what stays of one batch.

        A segment may go on behind the end of the round (a batch or two too many keys): there all stays but what was
        aborted. Transactions are followed to the end of it, as in Kafka: the copy tells of every abort in it.
        """
        is_needless_marker = False
        if header.is_control:
            is_needless_marker = self.transactions.is_needless(header, read_end_marker(data, at))
            horizon = header.delete_horizon_ms
            drops_all = is_needless_marker and horizon is not None and horizon <= self.now_ms
        else:
            drops_all = self.transactions.is_aborted(header)
            if header.base_offset >= self.end_offset and not drops_all:
                copy.add(header, data[at : at + header.size])  # its keys were not learned
                return
        kept: list[Span] = []
        records, start, end = b"", 0, 0
        if not drops_all and header.record_count:
            records, start, end = yield from _unpacked(data, at, header)
            yield from self._choose(record_spans(records, start, end, header.record_count), header, kept)
        self.removed += header.record_count - len(kept)
        if not kept:
            if self._must_stay(header):
                copy.add(*empty_batch(header))
            copy.has_changed |= header.record_count > 0 or not self._must_stay(header)
            return
        horizon_ms = None
        if header.delete_horizon_ms is None and (
            is_needless_marker or not all(span.has_value for span in kept)
        ):
            horizon_ms = self.now_ms + self.log.config.delete_retention_ms
        if len(kept) == header.record_count and horizon_ms is None:
            copy.add(header, data[at : at + header.size])
            return
        copy.has_changed = True
        shift = 0 if horizon_ms is None else header.base_timestamp - horizon_ms
        body = bytearray()
        for first in range(0, len(kept), _TURN):
            body += record_body(records, kept[first : first + _TURN], shift)
            yield None
        payload = yield from _packed(bytes(body), header)
        copy.add(*sealed_batch(header, kept, payload, horizon_ms=horizon_ms))

    def _choose(self, spans: Iterator[Span], header: BatchHeader, kept: list[Span]) -> Steps[None]:
        if header.is_control:
            kept.extend(spans)
            return
        last, base = self.last, header.base_offset
        horizon = header.delete_horizon_ms
        keeps_tombstones = horizon is None or self.now_ms < horizon
        for number, span in enumerate(spans, 1):
            offset = base + span.offset_delta
            key = span.key
            if key is not None and offset >= last.get(key, -1) and (keeps_tombstones or span.has_value):
                kept.append(span)
            if not number % _TURN:
                yield None

    def _must_stay(self, header: BatchHeader) -> bool:
        """Whether a batch stays even if nothing in it does."""
        if header.next_offset == self.upper_bound:
            return True
        state = self.log.producers.by_id.get(header.producer_id) if header.producer_id >= 0 else None
        if state is None:
            return False
        if state.last_offset >= 0:
            return header.last_offset == state.last_offset
        return header.is_control and header.producer_epoch == state.producer_epoch


class _Copy:
    """The segment that takes the place of others. On disk its files end in ``.cleaned`` until it does."""

    def __init__(self, group: Sequence[Segment], in_memory: bool, index_interval: int) -> None:
        first, last = group[0], group[-1]
        self.segment = Segment(
            None if in_memory else first.directory,
            first.base_offset,
            created_ms=last.created_ms,
            index_interval=index_interval,
        )
        self._store = self.segment.store
        if isinstance(self._store, FileStore):
            self._store.path = self._store.path.with_name(self._store.path.name + CLEANED)
            self._store.path.unlink(missing_ok=True)
        self._ends_at = last.next_offset
        self._modified_as = last
        self._chunks: list[bytes] = []
        self._size = 0
        self.has_changed = False
        self.is_swapped = False

    def add(self, header: BatchHeader, batch: bytes) -> None:
        """Add a batch; ``write`` brings it to the store."""
        self.segment.note(self._size, header, header.last_offset)
        self._size += len(batch)
        self._chunks.append(batch)

    def write(self) -> Steps[None]:
        if self._chunks:
            data = memoryview(b"".join(self._chunks))
            self._chunks = []
            if isinstance(self._store, FileStore):
                yield partial(self._store.append, data)
            else:
                self._store.append(data)
                yield None

    def finish(self, aborted: Sequence[Any]) -> Steps[None]:
        """Everything on the disk, under its ``.cleaned`` names."""
        yield from self.write()
        self.segment.next_offset = self._ends_at
        if isinstance(self._store, FileStore):
            yield partial(self._sync, list(aborted))

    def _sync(self, aborted: list[Any]) -> None:
        from rota.storage.producer_files import write_aborted

        assert isinstance(self._store, FileStore)
        self._store.create()
        self._store.flush()
        source = self._modified_as.store
        assert isinstance(source, FileStore)
        state = source.path.stat()
        os.utime(self._store.path, ns=(state.st_atime_ns, state.st_mtime_ns))
        self.segment.write_indexes(CLEANED, sync=True)
        if aborted or self.segment.path(".txnindex").exists():
            # Without a trace of it, an abort must not be told of: its marker may be gone as well.
            write_aborted(self.segment.path(".txnindex" + CLEANED), aborted)


# --- reading ------------------------------------------------------------------------------------------------


def _open(segment: Segment) -> Steps[Reader]:
    """How to read a segment, even after the log has dropped it."""
    store = segment.store
    if not isinstance(store, FileStore) or not segment.size:
        return lambda length, position: bytes(store.pread(length, position))
    handle: FileHandle = yield partial(FileHandle, store.path, os.O_RDONLY)
    return lambda length, position: os.pread(handle.fd, length, position)


def _read_batches(segment: Segment, read: Reader, position: int) -> Steps[bytes]:
    """About 1 MB from ``position`` on, with at least one whole batch; the last one may be cut short."""
    wanted = _CHUNK
    while True:
        length = min(wanted, segment.size - position)
        if isinstance(segment.store, FileStore):
            data: bytes = yield partial(read, length, position)
        else:
            data = read(length, position)
            yield None
        size = read_header(data).size if len(data) >= HEADER_SIZE else 0
        if size < HEADER_SIZE or position + size > segment.size:
            raise segment.damaged(position)
        if size <= length:
            return data
        wanted = size


def _headers(data: bytes) -> Iterator[tuple[int, BatchHeader]]:
    """The batches that are whole."""
    at, end = 0, len(data)
    while at + HEADER_SIZE <= end:
        header = read_header(data, at)
        following = at + header.size
        if header.size < HEADER_SIZE or following > end:
            return
        yield at, header
        at = following


def _unpacked(data: bytes, at: int, header: BatchHeader) -> Steps[tuple[bytes, int, int]]:
    """The bytes that hold a batch's records, and where in them they lie."""
    start, end = at + HEADER_SIZE, at + header.size
    codec = header.compression
    if codec == "none":
        return data, start, end
    work = partial(_decompress, codec, data[start:end])
    if end - start < _LARGE:
        records = work()
    else:
        records = yield work
    return records, 0, len(records)


def _decompress(codec: str, data: bytes) -> bytes:
    return bytes(decompress(codec, data))


def _packed(body: bytes, header: BatchHeader) -> Steps[bytes]:
    codec = header.compression
    if codec == "none":
        return body
    if len(body) < _LARGE:
        return compress(codec, body)
    packed: bytes = yield partial(compress, codec, body)
    return packed
