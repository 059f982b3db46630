"""A crash at any moment of a swap loses nothing: the next start finishes it, or finds the log as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.storage.batches import read_all
from tests.storage.test_compaction import config

from rota.storage import Log, LogConfig
from rota.storage.cleanable import cleanable
from rota.storage.compaction import compact, run_now
from rota.wire.records import Record, build_batch

_CONFIG = config()
_NOW = 1_000


class _Crash(BaseException):
    """Nothing that was in memory is left."""


def filled(where: Path, settings: LogConfig = _CONFIG) -> Log:
    """A log of several segments, with keys that come again, and a deletion."""
    where.mkdir(exist_ok=True)
    log = Log.open(where, settings, now_ms=_NOW)
    for number in range(40):
        value = None if number == 7 else b"v%d" % number
        log.append(build_batch([(b"k%d" % (number % 9), value, _NOW + number, ())]), _NOW)
    return log


def latest(records: list[Record]) -> dict[bytes | None, Record]:
    """What a reader knows in the end; what is deleted is not there."""
    found = {record.key: record for record in records}
    return {key: record for key, record in found.items() if record.value is not None}


def crash_at(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the process "die" before its change number ``count`` of the directory."""
    done = 0

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal done
            if done >= count:
                raise _Crash
            done += 1
            return change(*args, **options)

        return call

    for owner, name in ((os, "rename"), (Path, "unlink"), (Path, "replace")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


def survives(where: Path, before: list[Record]) -> Log:
    """Open what a crash has left; nothing that counts may be missing, nothing invented, no offset changed."""
    log = Log.open(where, _CONFIG, now_ms=_NOW)
    records = read_all(log)
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    assert all(record in before for record in records)
    assert latest(records) == latest(before)
    assert log.log_end_offset == before[-1].offset + 1
    for record in before:
        log.read(record.offset, 10_000)
    left = [
        each.name for each in where.iterdir() if each.name.endswith((".cleaned", ".swap", ".deleted", ".tmp"))
    ]
    assert left == []
    bases = {each.name[:20] for each in where.glob("*.log")}
    assert {each.name[:20] for each in where.glob("*.*index")} <= bases
    return log


def die_while_compacting(monkeypatch: pytest.MonkeyPatch, where: Path, count: int) -> tuple[Path, bool]:
    """A copy of what change number ``count`` of a compaction finds, and whether there are so many."""
    steps = compact(cleanable(filled(where), None, _NOW), _NOW)
    with monkeypatch.context() as patched:
        crash_at(patched, count)
        try:
            run_now(steps)
        except _Crash:
            died = True
        else:
            died = False
    left = where.with_name(f"{where.name}-left")
    shutil.copytree(where, left)
    steps.close()  # only now: it would tidy up
    return left, died


def test_a_crash_before_every_change_of_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_all(filled(tmp_path / "original"))
    count, died = 0, True
    while died:
        left, died = die_while_compacting(monkeypatch, tmp_path / f"{count}", count)
        again = survives(left, before)
        # It goes on as if nothing had been, and a second crash finds nothing either.
        run_now(compact(cleanable(again, None, _NOW), _NOW))
        survives(left, before)
        count += 1
    assert count > 40


def test_a_crash_while_the_swap_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_all(filled(tmp_path / "original"))
    for first in range(3, 30, 4):
        for second in range(12):
            left, _ = die_while_compacting(monkeypatch, tmp_path / f"{first}-{second}", first)
            with monkeypatch.context() as patched, contextlib.suppress(_Crash):
                crash_at(patched, second)
                Log.open(left, _CONFIG, now_ms=_NOW)
            survives(left, before)


def test_a_copy_that_is_not_complete_is_thrown_away(tmp_path: Path) -> None:
    before = read_all(filled(tmp_path))
    (tmp_path / "00000000000000000000.log.cleaned").write_bytes(b"half a batch")
    (tmp_path / "00000000000000000000.index.cleaned").write_bytes(b"")
    (tmp_path / "00000000000000000000.timeindex.swap").write_bytes(b"")
    assert read_all(survives(tmp_path, before)) == before


def test_later_renames_that_were_kept_while_earlier_ones_were_lost(tmp_path: Path) -> None:
    """A file system without an order of its own may do that when the power fails."""
    log = filled(tmp_path)
    before = read_all(log)
    shutil.copy(tmp_path / "00000000000000000000.log", tmp_path / "00000000000000000000.log.cleaned")
    for base in log.bases[:2]:
        path = tmp_path / f"{base:020d}.log"
        path.rename(path.with_name(path.name + ".deleted"))
    assert read_all(survives(tmp_path, before)) == before


def test_a_swap_that_fails_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(tmp_path)
    before = read_all(log)
    real, done = os.rename, 0

    def rename(source: Path, target: Path) -> None:
        nonlocal done
        done += 1
        if done == 5:
            raise OSError("no more")
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="no more"):
            run_now(compact(cleanable(log, None, _NOW), _NOW))
    assert read_all(log) == before
    assert read_all(survives(tmp_path, before)) == before


def test_holes_are_no_damage_once_a_log_was_compacted(tmp_path: Path) -> None:
    log = filled(tmp_path)
    run_now(compact(cleanable(log, None, _NOW), _NOW))
    kept = read_all(log)
    plain = config(cleanup_policy=("delete",))
    assert read_all(Log.open(tmp_path, plain, now_ms=_NOW, has_holes=True)) == kept
