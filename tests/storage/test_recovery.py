"""After a crash: the log is a prefix of what was written, whole and clean, and everything derived is right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.storage.batches import SMALL, batch, read_all, values

from rota.plain import replace
from rota.storage import Log, LogConfig
from rota.storage.segment import file_name
from rota.wire.records import check_batch, end_marker, iter_batches


def write(directory: Path, count: int, config: LogConfig = SMALL) -> Log:
    """A log of ``count`` batches of two records each."""
    log = Log.open(directory, config, now_ms=1_000)
    for number in range(count):
        log.append(batch(b"%d" % number, b"second", at=1_000 + number), 1_000)
    return log


def recover(directory: Path, recover_from: int | None = 0) -> Log:
    return Log.open(directory, SMALL, now_ms=9_000, recover_from=recover_from)


def test_nothing_is_lost_without_a_clean_close(tmp_path: Path) -> None:
    log = write(tmp_path, 30)
    again = recover(tmp_path)
    assert read_all(again) == read_all(log)
    assert again.append(batch(b"next"), 9_000).base_offset == 60


def test_every_cut_of_the_tail_leaves_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    log = write(tmp_path / "made", 12)
    whole = values(log)
    last = log.segments[-1]
    ends = [position + header.size for position, header in last.scan()]
    before = log.bases[-1]
    data = (tmp_path / "made" / file_name(before, ".log")).read_bytes()
    for cut in range(len(data) + 1):
        where = tmp_path / f"cut-{cut}"
        shutil.copytree(tmp_path / "made", where)
        (where / file_name(before, ".log")).write_bytes(data[:cut])
        again = recover(where)
        kept = sum(end <= cut for end in ends)
        assert again.log_end_offset == before + 2 * kept
        assert values(again) == whole[: again.log_end_offset]
        assert again.append(batch(b"next"), 9_000).base_offset == before + 2 * kept
        assert values(recover(where))[-1] == b"next"
        shutil.rmtree(where)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 19), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_flipped_bit_ends_the_log_before_its_batch(
    tmp_path_factory: pytest.TempPathFactory, number: int, at: int, bit: int
) -> None:
    """In any byte but the base offset's and the leader epoch's, which the checksum does not cover."""
    where = tmp_path_factory.mktemp("log")
    log = write(where, 20)
    whole = values(log)
    index = max(index for index, base in enumerate(log.bases) if base <= 2 * number)
    position = log.segments[index].find(2 * number)
    path = where / file_name(log.bases[index], ".log")
    data = bytearray(path.read_bytes())
    covered = [*range(8, 12), *range(16, len(log.segments[index].batch_at(position)))]
    data[position + covered[at % len(covered)]] ^= 1 << bit
    path.write_bytes(data)
    again = recover(where)
    assert again.log_end_offset == 2 * number
    assert values(again) == whole[: 2 * number]
    for piece in again.iter_batches_from(0):
        for begin, _ in iter_batches(piece):
            check_batch(piece, begin)


def test_damage_in_the_middle_drops_the_segments_after_it(tmp_path: Path) -> None:
    write(tmp_path, 30)
    files = sorted(tmp_path.glob("*.log"))
    data = bytearray(files[1].read_bytes())
    data[-1] ^= 1
    files[1].write_bytes(data)
    again = recover(tmp_path)
    assert len(again.segments) == 2
    assert len(values(again)) == again.log_end_offset
    assert sorted(tmp_path.glob("*.log")) == files[:2]


def test_before_the_recovery_point_nothing_is_read(tmp_path: Path) -> None:
    log = write(tmp_path, 30)
    log.flush()
    point = log.recovery_point
    files = sorted(tmp_path.glob("*.log"))
    data = bytearray(files[0].read_bytes())
    data[-1] ^= 1
    files[0].write_bytes(data)
    again = recover(tmp_path, point)
    assert again.log_end_offset == 60


def test_clean_start_reads_no_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write(tmp_path, 200)
    expected = read_all(log)
    log.close()
    read: list[int] = []
    real = __import__("os").pread

    def pread(fd: int, length: int, position: int) -> bytes:
        read.append(length)
        return bytes(real(fd, length, position))

    monkeypatch.setattr("os.pread", pread)
    again = recover(tmp_path, None)
    assert len(read) <= 2
    monkeypatch.undo()
    assert read_all(again) == expected


@pytest.mark.parametrize("recover_from", [None, 0])
@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
@pytest.mark.parametrize("damage", ["missing", "cut", "beyond"])
def test_indexes_are_made_again(tmp_path: Path, suffix: str, damage: str, recover_from: int | None) -> None:
    log = write(tmp_path, 40)
    expected = read_all(log)
    log.close()
    contents = {path: path.read_bytes() for path in tmp_path.glob("*" + suffix)}
    for path, data in contents.items():
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(data[:-3])
        elif suffix == ".index":
            path.write_bytes(data[:-4] + (2**30).to_bytes(4, "big"))
    again = recover(tmp_path, recover_from)
    assert read_all(again, max_bytes=150) == expected
    for wanted in range(1_000, 1_042):
        assert again.offset_for_timestamp(wanted) == log.offset_for_timestamp(wanted)
    again.close()
    if damage != "beyond":
        assert {path: path.read_bytes() for path in contents} == contents


def test_indexes_of_a_recovered_log_are_those_of_a_closed_one(tmp_path: Path) -> None:
    for name in ("closed", "crashed"):
        (tmp_path / name).mkdir()
        log = write(tmp_path / name, 40)
        if name == "crashed":
            for path in (tmp_path / name).glob("*index"):
                path.unlink()
            log = recover(tmp_path / name)
        log.close()
    for path in sorted((tmp_path / "closed").iterdir()):
        assert path.read_bytes() == (tmp_path / "crashed" / path.name).read_bytes(), path.name


def test_marker_that_was_cut_off_is_forgotten(tmp_path: Path) -> None:
    log = Log.open(tmp_path, SMALL, now_ms=1_000)
    log.append(batch(b"x", producer=(5, 0, 0), transactional=True), 1_000, check=False)
    size = log.size
    log.append(
        end_marker(committed=False, producer_id=5, producer_epoch=0, coordinator_epoch=0, timestamp=1_000),
        1_000,
        check=False,
    )
    assert log.aborted_transactions(0, 2) == [(5, 0)]
    with (tmp_path / file_name(0, ".log")).open("r+b") as file:
        file.truncate(size + 10)
    again = recover(tmp_path)
    assert (again.log_end_offset, again.last_stable_offset) == (1, 0)
    assert again.aborted_transactions(0, 2) == []
    assert not (tmp_path / file_name(0, ".txnindex")).exists()


def test_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    log = Log.open(tmp_path, SMALL, now_ms=1_000)
    for number in range(30):
        log.append(batch(b"x", producer=(5, 0, number)), 1_000)
    log.close()
    for path in tmp_path.glob("*.snapshot"):
        path.write_bytes(b"nonsense")
    again = recover(tmp_path, None)
    (producer,) = again.active_producers()
    assert producer.last_sequence == 29
    assert [each.last_offset for each in producer.batches] == [25, 26, 27, 28, 29]


def test_snapshots_are_dropped_with_their_segments(tmp_path: Path) -> None:
    log = Log.open(tmp_path, SMALL, now_ms=1_000)
    for number in range(60):
        log.append(batch(b"x", producer=(5, 0, number)), 1_000)
    log.delete_records(50)
    bases = {int(path.stem) for path in tmp_path.glob("*.log")}
    assert bases == set(log.bases)
    assert all(int(path.stem) > log.bases[0] - 1 for path in tmp_path.glob("*.snapshot"))


def test_damage_behind_a_clean_shutdown_is_recovered(tmp_path: Path) -> None:
    log = write(tmp_path, 5)
    expected = read_all(log)
    log.close()
    path = max(tmp_path.glob("*.log"))
    path.write_bytes(path.read_bytes()[:-20])
    again = recover(tmp_path, None)
    assert read_all(again) == expected[:8]
    assert again.append(batch(b"next"), 9_000).base_offset == 8


def test_offsets_are_not_given_out_twice_when_all_was_lost(tmp_path: Path) -> None:
    write(tmp_path, 5)
    again = Log.open(tmp_path, SMALL, now_ms=9_000, log_start_offset=40)
    assert (again.log_start_offset, again.log_end_offset) == (40, 40)
    assert again.append(batch(b"next"), 9_000).base_offset == 40
    assert [record.offset for record in read_all(recover(tmp_path))] == [40]


def test_epochs_are_read_from_the_batches(tmp_path: Path) -> None:
    log = Log.open(tmp_path, SMALL, now_ms=1_000)
    for epoch in (0, 0, 3, 3, 4):
        log.append(batch(b"x"), 1_000, leader_epoch=epoch)
    (tmp_path / "leader-epoch-checkpoint").write_text("0\n2\n0 0\n9 1\n")
    again = recover(tmp_path)
    assert again.epochs.entries == [(0, 0), (3, 2), (4, 4)]


def test_open_files_are_few(tmp_path: Path) -> None:
    log = write(tmp_path, 200)
    assert len(log.segments) > 20
    log.close()

    def open_files() -> int:
        links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return sum(str(tmp_path) in str(path.readlink()) for path in links)

    again = recover(tmp_path, None)
    assert open_files() == 0
    for _ in again.iter_batches_from(0):
        pass
    for wanted in range(1_000, 1_200, 7):
        again.offset_for_timestamp(wanted)
        again.read(wanted - 1_000, 100)
    again.flush_now(again.unflushed_closed())
    assert open_files() <= 6
    again.close()
    assert open_files() == 0


@pytest.mark.parametrize("left", [0, 1, 3])
def test_closed_segment_that_lost_whole_batches_ends_the_log(tmp_path: Path, left: int) -> None:
    """It is cut where a batch ends: all that is left is whole, and yet offsets are missing."""
    log = write(tmp_path, 30)
    whole = values(log)
    second = log.segments[1]
    ends = [0, *(position + header.size for position, header in second.scan())]
    assert len(log.segments) > 3
    assert len(ends) > left + 1
    with (tmp_path / file_name(second.base_offset, ".log")).open("r+b") as file:
        file.truncate(ends[left])
    again = recover(tmp_path)
    end = second.base_offset + 2 * left
    assert again.log_end_offset == end
    assert values(again) == whole[:end]
    assert again.append(batch(b"next"), 9_000).base_offset == end
    assert [record.offset for record in read_all(recover(tmp_path))] == list(range(end + 1))


def test_closed_segment_that_is_gone_ends_the_log(tmp_path: Path) -> None:
    log = write(tmp_path, 30)
    (tmp_path / file_name(log.bases[2], ".log")).unlink()
    assert recover(tmp_path).log_end_offset == log.bases[2]


def test_holes_of_a_compacted_log_are_kept(tmp_path: Path) -> None:
    log = write(tmp_path, 30)
    second = log.segments[1]
    *_, (position, _) = second.scan()
    with (tmp_path / file_name(second.base_offset, ".log")).open("r+b") as file:
        file.truncate(position)
    again = Log.open(tmp_path, replace(SMALL, cleanup_policy=("compact",)), now_ms=9_000)
    assert again.log_end_offset == 60
    assert len(again.segments) == len(log.segments)


def test_base_offset_that_was_flipped_ends_the_log(tmp_path: Path) -> None:
    """The checksum does not cover it."""
    log = write(tmp_path, 30)
    position = log.segments[1].find(log.bases[1] + 2)
    path = tmp_path / file_name(log.bases[1], ".log")
    data = bytearray(path.read_bytes())
    data[position + 6] ^= 1
    path.write_bytes(data)
    assert recover(tmp_path).log_end_offset == log.bases[1] + 2


def test_segment_closed_while_others_are_synced_is_not_taken_for_synced(tmp_path: Path) -> None:
    log = write(tmp_path, 10)
    unflushed = log.unflushed_closed()
    point = log.bases[-1]
    while log.bases[-1] == point:
        log.append(batch(b"more"), 1_000)
    log.flush_now(unflushed)
    assert log.recovery_point == point
    log.flush_now(log.unflushed_closed())
    assert log.recovery_point == log.bases[-1]
    assert log.unflushed_closed().stores == []
