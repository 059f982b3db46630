"""Opening a log that an earlier run has left in a directory.

After a clean shutdown nothing is read but names, sizes and the last segment's index. After a crash everything past
the recovery point is read: the log ends where the first batch is not whole, its checksum is wrong, or (unless the
topic is compacted) offsets are missing before it. What follows is cut off, and indexes, producers and leader epochs
are made again from the batches.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rota.model import KafkaError, RotaError
from rota.storage.files import sync_directory
from rota.storage.producer_files import read_aborted, read_snapshot
from rota.storage.segment import Segment, file_name
from rota.storage.stores import FileStore
from rota.wire.records import CorruptBatchError, check_batch

if TYPE_CHECKING:
    from rota.storage.log import Log

__all__ = ["load"]

_NAME = re.compile(r"(\d{20})\.(log|snapshot|txnindex|index|timeindex)")

logger = logging.getLogger(__name__)


def load(log: Log, now_ms: int, recover_from: int | None, *, has_holes: bool) -> None:
    """Fill a new log with what its directory holds: segments, producers, epochs, aborted transactions.

    ``has_holes``: offsets may be missing between batches, for compaction, which may have been at work, leaves it so.
    """
    directory = log.directory
    assert directory is not None
    found: dict[str, list[int]] = {"log": [], "snapshot": [], "txnindex": [], "index": [], "timeindex": []}
    names = os.listdir(directory)  # noqa: PTH208 - there are thousands of these directories
    if any(name.endswith((".cleaned", ".swap", ".deleted")) for name in names):
        from rota.storage.swap import put_right

        put_right(directory, names)
        names = os.listdir(directory)  # noqa: PTH208
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            found[match[2]].append(int(match[1]))
        elif name.endswith(".tmp"):
            (directory / name).unlink(missing_ok=True)
    knows_epochs = _load_epochs(log)
    bases = sorted(found["log"])
    for suffix in ("index", "timeindex"):
        for base in set(found[suffix]).difference(bases):
            (directory / file_name(base, f".{suffix}")).unlink()
    for base in bases:
        state = (directory / file_name(base, ".log")).stat()
        segment = Segment(
            directory,
            base,
            created_ms=min(now_ms, state.st_mtime_ns // 1_000_000),
            index_interval=log.config.index_interval_bytes,
            size=state.st_size,
            files=log.files,
        )
        log.segments.append(segment)
        log.bases.append(base)
    if not bases:
        return
    first_read = _open_segments(log, recover_from, has_holes=has_holes)
    log.log_end_offset = log.segments[-1].next_offset
    if not knows_epochs:
        _find_epochs(log)
    start = log.log_end_offset
    if found["snapshot"] or recover_from is not None:
        # A clean shutdown of a log without producers leaves no snapshot.
        start = _load_snapshot(log, sorted(found["snapshot"]), recover_from)
    _load_aborted(log, found["txnindex"], start)
    _replay_producers(log, start, takes_snapshots=recover_from is not None)
    with _room_or_not(directory):
        _renew_indexes(log, first_read)
        log.epochs.save()
    # Files are opened again when they are needed: of thousands of partitions, few are in use.
    for segment in log.segments[:-1]:
        segment.release()
    log.segments[-1].store.close()


@contextmanager
def _room_or_not(path: Path) -> Iterator[None]:
    """What is written here can be made again. On a full disk a log must open: to have it deleted, for example."""
    try:
        yield
    except OSError as error:
        logger.warning("%s: what was made again cannot be written: %s", path, error.strerror)


def _renew_indexes(log: Log, first_read: int) -> None:
    """Those of the segments that were read tell of more than is left, perhaps."""
    for segment in log.segments[first_read:]:
        for suffix in (".index", ".timeindex"):
            segment.path(suffix).unlink(missing_ok=True)
        if segment is not log.segments[-1]:
            log.write_indexes(segment)
        if not log.write_aborted(segment):
            segment.path(".txnindex").unlink(missing_ok=True)


def _load_epochs(log: Log) -> bool:
    try:
        log.epochs.load()
    except RotaError as error:
        logger.warning("%s: it is damaged, and made again from the log", str(error).partition(":")[0])
        return False
    return True


def _find_epochs(log: Log) -> None:
    """Read them from the batches of all segments."""
    log.epochs.truncate_from_end(-1)
    for segment in log.segments:
        for _, header in segment.scan():
            if header.leader_epoch > log.epochs.latest:
                log.epochs.assign(header.leader_epoch, header.base_offset)


def _open_segments(log: Log, recover_from: int | None, *, has_holes: bool) -> int:
    """Open each segment, or read it if it may be damaged; the number of the first that was read.

    Cuts the log at the first damage.
    """
    last = len(log.segments) - 1
    first_unsure = last
    if recover_from is not None:
        first_unsure = min(last, max(0, bisect_right(log.bases, recover_from) - 1))
    for number in range(first_unsure):
        log.segments[number].open_closed(log.bases[number + 1])
    if recover_from is None:
        try:
            log.segments[last].open_active()
        except KafkaError as error:
            logger.warning("%s, though the last shutdown was clean; it is recovered", error)
        else:
            return last + 1
    # The epochs of what is read are made again from it.
    log.epochs.truncate_from_end(log.bases[first_unsure])
    for number in range(first_unsure, last + 1):
        segment = log.segments[number]
        is_whole = _recover(log, segment, has_holes=has_holes)
        if number < last and not has_holes and segment.next_offset != log.bases[number + 1]:
            is_whole = False  # it lost its end just where a batch ends
        if not is_whole:
            _drop_after(log, number)
            break
    return first_unsure


def _drop_after(log: Log, number: int) -> None:
    for lost in log.segments[number + 1 :]:
        logger.warning(
            "segment %d: its %d bytes come after the damage and are dropped", lost.base_offset, lost.size
        )
        lost.delete()
    if log.segments[number + 1 :] and log.directory is not None:
        # Should they come back, they are not to be taken for the continuation of what is appended now.
        sync_directory(log.directory)
    del log.segments[number + 1 :], log.bases[number + 1 :]


def _recover(log: Log, segment: Segment, *, has_holes: bool) -> bool:
    """Read a segment up to where it is no longer whole and cut the rest; whether nothing had to be cut.

    Whole are batches that are complete, have the right checksum, and follow each other in their offsets.
    """
    store = segment.store
    assert isinstance(store, FileStore)
    segment.forget_batches()
    size, position = store.size, 0
    if not size:
        return True
    with store.path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            while position < size:
                header = check_batch(view, position)
                if header.base_offset < segment.next_offset or header.last_offset_delta < 0:
                    break
                if header.base_offset > segment.next_offset and not has_holes:
                    break
                segment.note(position, header, header.last_offset)
                if header.leader_epoch > log.epochs.latest:
                    log.epochs.assign(header.leader_epoch, header.base_offset)
                position += header.size
        except CorruptBatchError:
            pass
        finally:
            view.release()
    if position < size:
        logger.warning(
            "%s: the last %d bytes are not whole batches and are cut off", store.path, size - position
        )
        store.truncate(position)
        return False
    return True


def _load_snapshot(log: Log, snapshots: list[int], recover_from: int | None) -> int:
    """Take over the latest snapshot that can be believed; the offset up to which it is true.

    After a crash those behind the recovery point are not: they may be true, but what else was known at the time, of
    aborted transactions, may not be on the disk.
    """
    assert log.directory is not None
    limit = log.log_end_offset if recover_from is None else min(recover_from, log.log_end_offset)
    for offset in reversed(snapshots):
        path = log.directory / file_name(offset, ".snapshot")
        is_believed = log.bases[0] <= offset <= limit
        states = read_snapshot(path) if is_believed else None
        if states is not None:
            log.producers.restore(states)
            return offset
        if is_believed:
            logger.warning("%s is damaged: the log is read from an earlier one on", path)
        path.unlink()
    return log.bases[0]


def _load_aborted(log: Log, bases: list[int], start: int) -> None:
    """Read which transactions were aborted before ``start``; the log says which were since."""
    assert log.directory is not None
    for base in sorted(bases):
        path = log.directory / file_name(base, ".txnindex")
        if base in log.bases:
            log.aborted.extend(each for each in read_aborted(path) if each.last_offset < start)
        else:
            path.unlink(missing_ok=True)  # or it went with its segment


def _replay_producers(log: Log, start: int, *, takes_snapshots: bool) -> None:
    """Follow the producers from ``start`` to the log's end, with a snapshot where a segment begins."""
    for segment in log.segments:
        if segment.next_offset <= start:
            continue
        if takes_snapshots and segment.base_offset > start:
            with _room_or_not(segment.path(".snapshot")):
                log.save_producers(segment.base_offset)
        for position, header in segment.scan(segment.find(start)):
            if header.producer_id < 0 or header.base_offset < start:
                continue
            data = segment.batch_at(position) if header.is_control else b""
            log.note_producer(data, 0, header, header.base_offset)
