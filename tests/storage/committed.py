"""What a consumer with ``isolation.level=read_committed`` makes of a log."""

from __future__ import annotations

from collections.abc import Iterator

from rota.storage import Log
from rota.wire.records import (
    BatchHeader,
    Record,
    check_batch,
    end_marker,
    iter_batches,
    iter_records,
    read_end_marker,
)

__all__ = ["batches", "committed", "end_transaction"]


def batches(log: Log, start: int, end: int) -> Iterator[tuple[BatchHeader, bytes, int]]:
    """Header, bytes and position in them of every batch before ``end``, fetched from ``start`` on."""
    offset = start
    while offset < end:
        piece = log.read(offset, 1_000_000, up_to=end)
        data = b"".join(bytes(chunk) for chunk in piece.chunks)
        if not data:
            return  # compaction left nothing up to there
        for position, header in iter_batches(data):
            check_batch(data, position)
            yield header, data, position
            offset = header.next_offset


def committed(log: Log, start: int | None = None) -> list[Record]:
    """Every record that such a consumer hands on: it skips aborted ones as the answer to a fetch says."""
    first, stable = log.log_start_offset if start is None else start, log.last_stable_offset
    aborted = sorted((at, producer) for producer, at in log.aborted_transactions(first, stable))
    skipped: set[int] = set()
    found: list[Record] = []
    for header, data, position in batches(log, first, stable):
        while aborted and aborted[0][0] <= header.last_offset:
            skipped.add(aborted.pop(0)[1])
        if header.is_control:
            marker = read_end_marker(data, position)
            if marker is not None and not marker.committed:
                skipped.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in skipped):
            found += [each for each in iter_records(data, position) if each.offset >= first]
    return found


def end_transaction(log: Log, producer_id: int, now_ms: int, *, commits: bool) -> None:
    """Append the marker that commits or aborts a producer's transaction."""
    marker = end_marker(
        committed=commits, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=now_ms
    )
    log.append(marker, now_ms, check=False)
