"""One partition's log: segments in a row, what they say of producers and leader epochs, and where it begins.

Everything is synchronous and belongs to one thread, but for ``flush_closed``. A log without a directory keeps its
records in memory and behaves alike. On one node every record is replicated at once: the high watermark is the end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rota.model import ErrorCode, KafkaError
from rota.storage import recovery
from rota.storage.checks import check_batches
from rota.storage.config import LogConfig
from rota.storage.epochs import LeaderEpochs
from rota.storage.files import sync_directory
from rota.storage.producer_files import write_aborted, write_snapshot
from rota.storage.producers import AbortedTransaction, Producers, ProducerState
from rota.storage.segment import Segment, file_name
from rota.storage.stores import FileRegion, FileStore, OpenFiles
from rota.storage.unsynced import Unflushed, Unsynced
from rota.wire.records import BatchHeader, read_end_marker, restamp, set_append_time

__all__ = ["AppendInfo", "Log", "Slice"]

_MAX_INT32 = 2**31 - 1
_LOAD_BYTES = 1024 * 1024
_MAX_OPEN_CLOSED_SEGMENTS = 4


class AppendInfo(NamedTuple):
    """What an append did; a repeated batch gets what it got the first time."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int


class Slice(NamedTuple):
    """Whole batches, unread: ``size`` bytes in ``chunks``. They end before ``end_offset``."""

    chunks: list[FileRegion | memoryview]
    size: int
    end_offset: int


class Log:
    """Append to it, read from it, and give it time to drop what is old. Made by ``Log.open``."""

    def __init__(self, directory: Path | None, config: LogConfig, files: OpenFiles | None = None) -> None:
        self.directory = directory
        self.files = files
        self.config = config
        self.segments: list[Segment] = []
        self.bases: list[int] = []  # the segments' base offsets, for bisection
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.recovery_point = 0  # everything before it is on the disk
        self.producers = Producers()
        self.epochs = LeaderEpochs(directory)
        self.aborted: list[AbortedTransaction] = []  # in the order of their markers
        self._open_closed: list[Segment] = []
        self._last_flush_ms = 0
        self._unsynced = Unsynced(directory)
        self._saved_end = -1  # the end of the log that the last segment's indexes on the disk tell of
        self.on_flush_due: Callable[[Log], None] | None = None
        """Called instead of ``flush`` when an append is to be on the disk; whoever is called has it done soon."""

    @classmethod
    def open(
        cls,
        directory: Path | None,
        config: LogConfig,
        *,
        now_ms: int,
        recover_from: int | None = 0,
        log_start_offset: int = 0,
        is_new: bool = False,
        has_holes: bool = False,
        files: OpenFiles | None = None,
    ) -> Log:
        """Open or create the log in ``directory``; None: in memory.

        ``recover_from`` is the offset before which everything was brought to the disk: what comes after it is
        read, checked and cut where it is no longer whole. None: it was closed cleanly, and nothing is read.
        ``is_new``: the directory was made just now. ``has_holes``: it was compacted once, so that missing offsets are
        no damage. ``files`` bounds how many files this log and others keep open.
        """
        log = cls(directory, config, files)
        log._last_flush_ms = now_ms
        if directory is not None and is_new:
            log._unsynced.wrote(directory / "partition.metadata")
        if directory is not None and not is_new:
            recovery.load(
                log, now_ms, recover_from, has_holes=has_holes or "compact" in config.cleanup_policy
            )
        if log.segments and log.segments[-1].next_offset < log_start_offset:
            # What lay after the start did not survive: offsets that were given out are not given out again.
            for lost in log.segments:
                lost.delete()
            log.segments, log.bases = [], []
            log.aborted = []
        if not log.segments:
            log.add_segment(log_start_offset, now_ms)
        if log.epochs.latest < 0:
            log.epochs.assign(0, log_start_offset)
        log.log_end_offset = log.segments[-1].next_offset
        if recover_from is None and not is_new:
            log._saved_end = log.log_end_offset
        log.recovery_point = (
            log.log_end_offset if recover_from is None else min(recover_from, log.log_end_offset)
        )
        log.log_start_offset = min(max(log_start_offset, log.bases[0]), log.log_end_offset)
        return log

    # --- appending ------------------------------------------------------------------------------------------

    def append(
        self, buf: bytearray | memoryview, now_ms: int, *, leader_epoch: int = 0, check: bool = True
    ) -> AppendInfo:
        """Append one batch or several, stamped in place with their offsets (and time, for ``LogAppendTime``).

        ``check`` is for a client's batches: checksum, record count, timestamps, sequence numbers, no control
        records. A batch that repeats one of its producer's last five is not appended again.
        Raises ``KafkaError``; ``OSError`` if it could not be written, in which case nothing was.
        """
        if self._unsynced.failure is not None:
            raise self._unsynced.failure
        data = buf if type(buf) is memoryview else memoryview(buf)
        config = self.config
        headers = check_batches(data, config, now_ms, from_client=check)
        base_offset = self.log_end_offset
        offset = base_offset
        for position, header in headers:
            if header.producer_id >= 0:
                repeated = self._check_producer(data, position, header, from_client=check)
                if repeated is not None:
                    if self.log_end_offset - self.recovery_point >= config.flush_messages:
                        self._flush_due(now_ms)  # the first answer may still wait for it
                    return repeated
            restamp(data, position, offset, leader_epoch)
            offset += header.last_offset_delta + 1
        append_time = -1
        if config.message_timestamp_type == "LogAppendTime":
            append_time = now_ms
            for number, (position, header) in enumerate(headers):
                set_append_time(data, position, now_ms)
                headers[number] = position, header._replace(max_timestamp=now_ms)
        segment = self.segments[-1]
        if not self._fits(segment, len(data), offset - 1, headers[0][1].max_timestamp, now_ms):
            segment = self.roll(now_ms)
        segment.append(data, headers, offset)
        self.log_end_offset = offset
        if leader_epoch > self.epochs.latest:
            self.epochs.assign(leader_epoch, base_offset)
        offset = base_offset
        for position, header in headers:
            if header.producer_id >= 0:
                self.note_producer(data, position, header, offset)
            offset += header.last_offset_delta + 1
        if (
            offset - self.recovery_point >= config.flush_messages
            or config.flush_ms <= now_ms - self._last_flush_ms
        ):
            self._flush_due(now_ms)
        return AppendInfo(base_offset, offset - 1, append_time, self.log_start_offset)

    def _flush_due(self, now_ms: int) -> None:
        self._last_flush_ms = now_ms
        if self.on_flush_due is None:
            self.flush()
        else:
            self.on_flush_due(self)

    def is_flush_overdue(self, now_ms: int) -> bool:
        """Whether something has waited for longer than ``flush.ms``."""
        waits = self.recovery_point < self.log_end_offset and self._unsynced.failure is None
        return waits and self.config.flush_ms <= now_ms - self._last_flush_ms

    def _check_producer(
        self, data: memoryview, position: int, header: BatchHeader, *, from_client: bool
    ) -> AppendInfo | None:
        if header.is_control:
            marker = read_end_marker(data, position)
            if marker is not None:
                self.producers.check_marker(header, marker)
            return None
        duplicate = self.producers.check(header, from_client=from_client)
        if duplicate is None:
            return None
        append_time = duplicate.timestamp if self.config.message_timestamp_type == "LogAppendTime" else -1
        return AppendInfo(duplicate.base_offset, duplicate.last_offset, append_time, self.log_start_offset)

    def note_producer(
        self,
        data: bytes | memoryview,
        position: int,
        header: BatchHeader,
        offset: int,
    ) -> None:
        """Take over a batch with a producer id that lies in the log at ``offset``; recovery calls it as well."""
        if not header.is_control:
            self.producers.appended(header, offset)
            return
        marker = read_end_marker(data, position)
        if marker is None:
            return
        aborted = self.producers.ended(header, offset, marker)
        if aborted is not None:
            self.aborted.append(aborted)

    # --- rolling --------------------------------------------------------------------------------------------

    def _fits(self, segment: Segment, length: int, last_offset: int, timestamp: int, now_ms: int) -> bool:
        config = self.config
        if not segment.has_room(length, last_offset, config.segment_bytes, config.segment_index_bytes):
            return False
        return not segment.size or self._age(segment, timestamp, now_ms) <= self._longest_segment_ms()

    def _longest_segment_ms(self) -> int:
        """What is in the last segment is not compacted: it must be closed in time for that."""
        config = self.config
        if "compact" in config.cleanup_policy:
            return min(config.segment_ms, config.max_compaction_lag_ms)
        return config.segment_ms

    @staticmethod
    def _age(segment: Segment, timestamp: int, now_ms: int) -> int:
        """By the records' own time where they have one, as Kafka does; else by the clock."""
        if segment.first_timestamp >= 0 and timestamp >= 0:
            return timestamp - segment.first_timestamp
        return now_ms - segment.created_ms

    def maybe_roll(self, now_ms: int) -> None:
        """Begin a new segment if the last one is older than ``segment.ms``."""
        segment = self.segments[-1]
        if segment.size and now_ms - segment.created_ms > self._longest_segment_ms():
            self.roll(now_ms)

    def roll(self, now_ms: int) -> Segment:
        """Close the last segment and begin a new one at the log's end."""
        active = self.segments[-1]
        if not active.size and active.base_offset == self.log_end_offset:
            return active
        self.write_indexes(active)
        self.save_producers(self.log_end_offset)
        self._save_epochs()
        segment = self.add_segment(self.log_end_offset, now_ms)
        # Only now: if the new file cannot be made, the old segment is still the one that is appended to.
        if self.directory is not None and active.size:
            active.release()
        return segment

    def add_segment(self, base_offset: int, now_ms: int) -> Segment:
        """Begin a segment; only an empty log's first one has no file yet."""
        segment = Segment(
            self.directory,
            base_offset,
            created_ms=now_ms,
            index_interval=self.config.index_interval_bytes,
            files=self.files,
        )
        if base_offset and isinstance(segment.store, FileStore):
            segment.store.create()
        self._unsynced.named()
        self.segments.append(segment)
        self.bases.append(base_offset)
        return segment

    def write_indexes(self, segment: Segment) -> None:
        """Write what tells of a segment: the indexes, and ``.txnindex``. A snapshot that counts on them comes after."""
        if self.directory is None:
            return
        segment.write_indexes()
        self.write_aborted(segment)
        self._unsynced.wrote(*(segment.path(suffix) for suffix in (".index", ".timeindex")))

    def write_aborted(self, segment: Segment) -> bool:
        """Write the ``.txnindex`` of a segment; False if there is nothing to be said."""
        first = bisect_left(self.aborted, segment.base_offset, key=lambda each: each.last_offset)
        last = bisect_left(self.aborted, segment.next_offset, key=lambda each: each.last_offset)
        if first < last:
            path = segment.path(".txnindex")
            write_aborted(path, self.aborted[first:last])
            self._unsynced.wrote(path)
        return first < last

    def _save_epochs(self) -> None:
        path = self.epochs.save()
        if path is not None:
            self._unsynced.wrote(path)

    def save_producers(self, offset: int) -> None:
        """Write a snapshot of the producers as they are at ``offset``, the log's end."""
        if self.directory is not None:
            path = self.directory / file_name(offset, ".snapshot")
            write_snapshot(path, self.producers.by_id.values())
            self._unsynced.wrote(path)
            self.producers.changed = False

    # --- reading --------------------------------------------------------------------------------------------

    @property
    def high_watermark(self) -> int:
        """Up to where consumers may read."""
        return self.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Up to where no transaction is open."""
        unstable = self.producers.first_unstable_offset
        return self.log_end_offset if unstable is None else max(unstable, self.log_start_offset)

    @property
    def size(self) -> int:
        """Bytes of records in all segments."""
        return sum(segment.size for segment in self.segments)

    def read(
        self, offset: int, max_bytes: int, *, min_one_batch: bool = True, up_to: int | None = None
    ) -> Slice:
        """Whole batches from the one that holds ``offset`` on, at most ``max_bytes``; unread.

        With ``min_one_batch`` the first batch comes even if it is larger. ``up_to``: only batches before that
        offset. Raises ``KafkaError`` OFFSET_OUT_OF_RANGE.
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        limit = self.log_end_offset if up_to is None else up_to
        if offset >= limit:
            return Slice([], 0, offset)
        for index in range(bisect_right(self.bases, offset) - 1, len(self.segments)):
            segment = self.segments[index]
            start = segment.find(offset)
            stop = segment.find(limit) if limit < segment.next_offset else segment.size
            if start < stop:
                end_offset = min(limit, segment.next_offset)
                return self._slice(segment, start, stop, end_offset, max_bytes, min_one_batch=min_one_batch)
            if limit < segment.next_offset:
                break
        return Slice([], 0, offset)

    def _slice(
        self,
        segment: Segment,
        start: int,
        stop: int,
        end_offset: int,
        max_bytes: int,
        *,
        min_one_batch: bool,
    ) -> Slice:
        end = stop = min(stop, segment.sound_until(start))
        if stop - start > max_bytes:
            end, following = segment.boundary(start + max(max_bytes, 0), start)
            if end == start and min_one_batch:
                end, following = start + segment.size_at(start), None
            if end > start:
                if following is None:
                    following = segment.base_offset_at(end)
                if following is not None:
                    segment.remember(following, end)
                    end_offset = min(end_offset, following)
        if end <= start:
            return Slice([], 0, end_offset)
        chunks = segment.region(start, end - start)
        if segment is not self.segments[-1]:
            self._keep_few_open(segment)
        return Slice(chunks, end - start, end_offset)

    def _keep_few_open(self, segment: Segment) -> None:
        """Closed segments that were read stay open, the last few of them: file descriptors are scarce."""
        kept = self._open_closed
        if kept and kept[-1] is segment:
            return
        if segment in kept:
            kept.remove(segment)
        kept.append(segment)
        if len(kept) > _MAX_OPEN_CLOSED_SEGMENTS:
            kept.pop(0).release()

    def forget_open(self, segment: Segment) -> None:
        """A segment that is no longer this log's needs not stay open."""
        if segment in self._open_closed:
            self._open_closed.remove(segment)

    def iter_batches_from(self, offset: int) -> Iterator[memoryview]:
        """The log from ``offset`` to its end: pieces of whole batches, about 1 MB each. For loading.

        The first batch may begin before ``offset``. Records appended meanwhile are included.
        """
        for segment in list(self.segments):
            if segment.next_offset <= offset:
                continue
            position = segment.find(offset)
            while position < segment.size:
                start, position = segment.run_from(position, _LOAD_BYTES)
                if position > start:
                    yield memoryview(segment.store.pread(position - start, start))
            if segment is not self.segments[-1]:
                self._keep_few_open(segment)

    # --- by time --------------------------------------------------------------------------------------------

    def offset_for_timestamp(self, timestamp: int) -> tuple[int, int] | None:
        """Offset and timestamp of the first record that is not before ``timestamp``; None if there is none."""
        for segment in self.segments:
            if segment.next_offset > self.log_start_offset:
                found = segment.offset_at_time(timestamp, self.log_start_offset)
                if segment is not self.segments[-1]:
                    self._keep_few_open(segment)
                if found is not None:
                    return found
        return None

    def max_timestamp(self) -> tuple[int, int] | None:
        """Offset and timestamp of the record with the largest timestamp (the first such); None for no records."""
        segments = [each for each in self.segments if each.size and each.next_offset > self.log_start_offset]
        if not segments:
            return None
        segment = max(segments, key=lambda each: each.max_timestamp)
        position = segment.find(max(segment.max_timestamp_offset, self.log_start_offset))
        records = [
            record for record in segment.records_at(position) if record.offset >= self.log_start_offset
        ]
        if not records:
            return None
        latest = max(records, key=lambda record: record.timestamp)
        return latest.offset, latest.timestamp

    # --- epochs, producers ----------------------------------------------------------------------------------

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """The largest known leader epoch not past ``epoch``, and the offset where it ends; (-1, -1) if unknown."""
        return self.epochs.end_offset(epoch, self.log_end_offset)

    def active_producers(self) -> list[ProducerState]:
        """The producers that this log remembers."""
        return list(self.producers.by_id.values())

    def has_open_transaction(self, producer_id: int, epoch: int) -> bool:
        """Whether the producer, in that epoch, has begun a transaction here that has not ended."""
        state = self.producers.by_id.get(producer_id)
        return state is not None and state.current_txn_start_offset >= 0 and state.producer_epoch == epoch

    def aborted_transactions(self, from_offset: int, to_offset: int) -> list[tuple[int, int]]:
        """Producer id and first offset of the aborted transactions that reach into ``from_offset`` … ``to_offset``."""
        start = bisect_right(self.aborted, from_offset - 1, key=lambda each: each.last_offset)
        return [
            (each.producer_id, each.first_offset)
            for each in self.aborted[start:]
            if each.first_offset < to_offset
        ]

    # --- dropping -------------------------------------------------------------------------------------------

    def delete_records(self, before: int) -> int:
        """Drop what lies before offset ``before``; the new start. Raises ``KafkaError`` OFFSET_OUT_OF_RANGE."""
        if not 0 <= before <= self.log_end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        if before > self.log_start_offset:
            self._move_start(before)
            count = self._count_below_start()
            self._drop_segments(count)
            if count and self.directory is not None:
                sync_directory(self.directory)  # what was promised to be gone does not come back
        return self.log_start_offset

    def apply_retention(self, now_ms: int) -> int:
        """Drop segments as ``retention.ms`` and ``retention.bytes`` say; how many."""
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms)
        count = self._count_below_start()
        if "delete" in self.config.cleanup_policy:
            count = max(count, self._count_expired(now_ms), self._count_excess())
        if count == len(self.segments):
            self.roll(now_ms)
        self._drop_segments(count)
        return count

    def _count_below_start(self) -> int:
        return max(0, bisect_right(self.bases, self.log_start_offset) - 1)

    def _count_expired(self, now_ms: int) -> int:
        limit = self.config.retention_ms
        count = 0
        if limit >= 0:
            for segment in self.segments:
                latest = segment.max_timestamp if segment.max_timestamp >= 0 else segment.created_ms
                # Compaction leaves closed segments without a record; the last one has none yet.
                is_new = not segment.size and segment is self.segments[-1]
                if is_new or now_ms - latest <= limit:
                    break
                count += 1
        return count

    def _count_excess(self) -> int:
        limit = self.config.retention_bytes
        count = 0
        if limit >= 0:
            excess = self.size - limit
            for segment in self.segments[:-1]:
                excess -= segment.size
                if excess < 0:
                    break
                count += 1
        return count

    def _drop_segments(self, count: int) -> None:
        if not count:
            return
        dropped = self.segments[:count]
        assert count < len(self.segments), "a log keeps a segment"
        del self.segments[:count], self.bases[:count]
        if self.bases[0] > self.log_start_offset:
            self._move_start(self.bases[0])
        for segment in dropped:
            self.forget_open(segment)
            segment.delete()
            if self.directory is not None:
                snapshot = self.directory / file_name(segment.base_offset, ".snapshot")
                snapshot.unlink(missing_ok=True)
        self._save_epochs()

    def _move_start(self, offset: int) -> None:
        self.log_start_offset = offset
        self.epochs.truncate_from_start(offset)
        start = bisect_right(self.aborted, offset - 1, key=lambda each: each.last_offset)
        del self.aborted[:start]

    # --- life -----------------------------------------------------------------------------------------------

    def update_config(self, config: LogConfig) -> None:
        """Go by other settings from now on."""
        self.config = config

    def flush(self) -> None:
        """Bring everything to the disk."""
        if self.directory is not None and self.recovery_point < self.log_end_offset:
            self.flush_now(self.unflushed())
        self.recovery_point = self.log_end_offset

    def unflushed(self) -> Unflushed:
        """What ``flush_now`` has to do, as it is now: segments are closed and dropped while it works."""
        return self._unflushed(self.segments, self.log_end_offset)

    def unflushed_closed(self) -> Unflushed:
        """The same of closed segments only."""
        return self._unflushed(self.segments[:-1], self.bases[-1])

    def _unflushed(self, segments: Sequence[Segment], end_offset: int) -> Unflushed:
        stores = [segment.store for segment in segments if segment.next_offset > self.recovery_point]
        return self._unsynced.with_stores(stores, end_offset)

    def flush_now(self, unflushed: Unflushed) -> None:
        """Bring it to the disk. Another thread may do this: it takes long, and it waits for nothing of the log's.

        Raises ``OSError``; the log takes no more records then, and is checked at the next start.
        """
        if self._unsynced.sync(unflushed):
            self.recovery_point = max(self.recovery_point, unflushed.end_offset)

    def close(self, *, sync: bool = True) -> None:
        """Write what a quick start needs, and close the files."""
        if self.directory is not None:
            if sync:
                self.flush()
            if self._saved_end != self.log_end_offset or self.producers.changed:
                self._save_for_the_next_start(sync=sync)
            self._save_epochs()
            if sync:
                self.flush_now(self._unsynced.with_stores([], self.recovery_point))
            for segment in self.segments:
                segment.release()
        self._open_closed.clear()

    def _save_for_the_next_start(self, *, sync: bool) -> None:
        if self.log_end_offset:
            self.write_indexes(self.segments[-1])
        if len(self.segments) > 1 or self.producers.by_id or self.producers.changed:
            self.save_producers(self.log_end_offset)
        self._saved_end = self.log_end_offset if sync else -1

    def abandon(self) -> None:
        """Let go of the files without writing anything: their directory is being removed."""
        for segment in self.segments:
            segment.release()
        self._open_closed.clear()

    def delete(self) -> None:
        """Remove all segments; the log is of no use afterwards. The directory is its owner's to remove."""
        for segment in self.segments:
            segment.delete()
        self._open_closed.clear()
