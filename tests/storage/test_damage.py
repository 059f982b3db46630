"""A byte that has flipped costs the batch it is in, at most: a line names file and place, and the rest is served."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.storage.batches import SMALL, batch

from rota.storage import Log
from rota.storage.segment import file_name
from rota.wire.records import CorruptBatchError, check_batch, iter_batches, iter_records

LENGTH_AT, MAGIC_AT, BODY_AT = 10, 16, 70


def _filled(where: Path) -> Log:
    where.mkdir(exist_ok=True)
    log = Log.open(where, SMALL, now_ms=1_000, is_new=True)
    for number in range(60):
        log.append(batch(b"%d-" % number + b"x" * 20, at=1_000 + number), 1_000)
    return log


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x41
    path.write_bytes(data)


def _served(log: Log, max_bytes: int) -> list[int]:
    """The offsets that a consumer gets which passes over what has a wrong checksum."""
    found: list[int] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        piece = log.read(offset, max_bytes)
        data = b"".join(bytes(chunk) for chunk in piece.chunks)
        if not data:
            offset += 1
            continue
        for position, header in iter_batches(data):
            offset = header.next_offset
            try:
                check_batch(data, position)
            except CorruptBatchError:
                continue
            found += [record.offset for record in iter_records(data, position)]
    return found


def _batches(log: Log) -> list[tuple[int, int, int]]:
    """Segment, position and offset of each batch."""
    return [
        (segment.base_offset, position, header.base_offset)
        for segment in log.segments
        for position, header in segment.scan()
    ]


@pytest.mark.parametrize("at", [LENGTH_AT, MAGIC_AT])
@pytest.mark.parametrize("number", [7, 20, 31, 57])
@pytest.mark.parametrize("max_bytes", [1, 300, 100_000])
def test_a_flipped_byte_in_a_header_costs_one_batch(
    tmp_path: Path, at: int, number: int, max_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    log = _filled(tmp_path)
    base, position, offset = _batches(log)[number]
    log.close()
    path = tmp_path / file_name(base, ".log")
    _flip(path, position + at)
    again = Log.open(tmp_path, SMALL, now_ms=1_000, recover_from=None)
    for segment in again.segments:
        list(segment.scan())  # nobody looks at all headers before sending them: what is not known of is sent
    expected = [each for each in range(60) if each != offset]
    assert _served(again, max_bytes) == expected
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(lines) == 1
    assert f"{path} is damaged at byte {position}" in lines[0]
    replayed = [header.base_offset for data in again.iter_batches_from(0) for _, header in iter_batches(data)]
    assert replayed == expected
    info = again.append(batch(b"next"), 2_000)
    assert info.base_offset == 60
    assert _served(again, max_bytes) == [*expected, 60]


def test_a_flipped_byte_in_a_record_is_the_consumers_to_see(tmp_path: Path) -> None:
    """The broker does not unpack what it serves, as Apache Kafka does not; every other batch arrives."""
    log = _filled(tmp_path)
    base, position, offset = _batches(log)[20]
    log.close()
    _flip(tmp_path / file_name(base, ".log"), position + BODY_AT)
    again = Log.open(tmp_path, SMALL, now_ms=1_000, recover_from=None)
    assert _served(again, 100_000) == [each for each in range(60) if each != offset]


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_flipped_byte_in_an_index_costs_nothing(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever byte of whichever index: records are found by offset, and the index is made again."""
    log = _filled(tmp_path / "log")
    bases = [segment.base_offset for segment in log.segments]
    log.close()
    path = tmp_path / "log" / file_name(bases[1], suffix)
    written = path.read_bytes()
    assert written
    for position in range(len(written)):
        path.write_bytes(written)
        _flip(path, position)
        again = Log.open(tmp_path / "log", SMALL, now_ms=1_000, recover_from=None)
        caplog.clear()
        for offset in range(59, -1, -1):
            data = b"".join(bytes(chunk) for chunk in again.read(offset, 1).chunks)
            assert next(iter(iter_records(data))).offset == offset, position
        again.abandon()


def test_a_flipped_byte_in_the_last_segments_index_costs_nothing(tmp_path: Path) -> None:
    log = _filled(tmp_path / "log")
    last = log.segments[-1].base_offset
    log.close()
    path = tmp_path / "log" / file_name(last, ".index")
    written = path.read_bytes()
    for position in range(len(written)):
        path.write_bytes(written)
        _flip(path, position)
        again = Log.open(tmp_path / "log", SMALL, now_ms=1_000, recover_from=None)
        assert again.log_end_offset == 60
        assert _served(again, 1) == list(range(60)), position
        again.abandon()
