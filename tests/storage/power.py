"""What a power cut leaves of a directory: what is done to its files is written down, and played back in part.

A ``Recorder`` stands in for the calls of ``os`` that change files below a directory, carries them out, and remembers
them in order. ``after_power_cut`` builds the directory as it may be after a cut behind one of them:

- What was written to a file and not synced is there, is missing, or is there in part: 512 bytes are written whole or
  not at all, in any order. So is what was cut off.
- Names (new, moved and removed files and directories) come to the disk in the order in which they were made, up to
  some point that is not before the last sync of a directory; ``loose``: of each directory for itself.
  A name is not on the disk because its file is.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

__all__ = ["Recorder", "after_power_cut"]

SECTOR = 512


class Change(NamedTuple):
    """One call: what it was, the file or directory (a number), and the rest of it."""

    what: str  # write, truncate, sync; name, unname, move, sync-names
    inode: int
    detail: tuple[Any, ...] = ()


class Recorder:
    """Remembers what is done below ``root`` from ``start`` to ``stop``. For one thread."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.changes: list[Change] = []
        self.directories: set[int] = {0}
        self._names: dict[str, int] = {self.root: 0}  # path -> inode
        self._descriptors: dict[int, int] = {}  # descriptor -> inode
        self._next = 1

    def _mine(self, path: object) -> str | None:
        if not isinstance(path, (str, os.PathLike)):
            return None
        text = os.fspath(path)
        return text if isinstance(text, str) and (text + "/").startswith(self.root + "/") else None

    def _make(self, path: str) -> int:
        inode = self._names[path] = self._next
        self._next += 1
        parent, name = os.path.split(path)
        self.changes.append(Change("name", self._names[parent], (name, inode)))
        return inode

    # --- the calls ------------------------------------------------------------------------------------------

    def start(self, patch: pytest.MonkeyPatch) -> None:
        """Record from now on; ``patch`` ends it."""
        files = ("open", "close", "write", "pwrite", "ftruncate", "fsync", "fdatasync")
        for name in (*files, "rename", "replace", "unlink", "mkdir", "rmdir"):
            real = getattr(os, name, os.fsync)  # macOS has no fdatasync
            stand_in: Callable[..., Any] = getattr(self, f"_{name}")
            patch.setattr(os, name, lambda *a, _r=real, _s=stand_in, **k: _s(_r, *a, **k), raising=False)
        patch.setattr(shutil, "rmtree", self._rmtree)

    def _opened(self, descriptor: int, path: str, flags: int, *, existed: bool) -> None:
        if not existed:
            self._make(path)
        inode = self._descriptors[descriptor] = self._names[path]
        if flags & os.O_TRUNC and existed:
            self.changes.append(Change("truncate", inode, (0,)))

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **more: Any) -> int:
        mine = self._mine(path)
        existed = mine is not None and os.path.lexists(mine)
        descriptor = real(path, flags, *rest, **more)
        if mine is not None:
            self._opened(descriptor, mine, flags, existed=existed)
        return descriptor

    def _close(self, real: Callable[..., None], descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)
        real(descriptor)

    def _write(self, real: Callable[..., int], descriptor: int, data: Any) -> int:
        inode = self._descriptors.get(descriptor)
        if inode is None:
            return real(descriptor, data)
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        count = real(descriptor, data)
        self.changes.append(Change("write", inode, (position, bytes(data)[:count])))
        return count

    def _pwrite(self, real: Callable[..., int], descriptor: int, data: Any, position: int) -> int:
        count = real(descriptor, data, position)
        if descriptor in self._descriptors:
            self.changes.append(
                Change("write", self._descriptors[descriptor], (position, bytes(data)[:count]))
            )
        return count

    def _ftruncate(self, real: Callable[..., None], descriptor: int, size: int) -> None:
        real(descriptor, size)
        if descriptor in self._descriptors:
            self.changes.append(Change("truncate", self._descriptors[descriptor], (size,)))

    def _fsync(self, real: Callable[..., None], descriptor: int) -> None:
        # Not carried out: the machine that runs this test keeps its power.
        inode = self._descriptors.get(descriptor)
        if inode is None:
            real(descriptor)
        else:
            what = "sync-names" if inode in self.directories else "sync"
            self.changes.append(Change(what, inode))

    _fdatasync = _fsync

    def _rename(self, real: Callable[..., None], source: Any, target: Any) -> None:
        real(source, target)
        old, new = self._mine(source), self._mine(target)
        if old is None or new is None:
            return
        inode = self._names.pop(old)
        for path in [each for each in self._names if each.startswith(old + "/")]:
            self._names[new + path[len(old) :]] = self._names.pop(path)
        self._names[new] = inode
        (parent, name), (other, new_name) = os.path.split(old), os.path.split(new)
        assert parent == other, "files stay in their directory"
        self.changes.append(Change("move", self._names[parent], (name, new_name, inode)))

    _replace = _rename

    def _unlink(self, real: Callable[..., None], path: Any, **more: Any) -> None:
        real(path, **more)
        mine = self._mine(path)
        if mine is not None:
            self._forget(mine)

    def _forget(self, path: str) -> None:
        inode = self._names.pop(path)
        parent, name = os.path.split(path)
        self.changes.append(Change("unname", self._names[parent], (name, inode)))

    def _mkdir(self, real: Callable[..., None], path: Any, *rest: Any) -> None:
        real(path, *rest)
        mine = self._mine(path)
        if mine is not None:
            self.directories.add(self._make(mine))

    def _rmdir(self, real: Callable[..., None], path: Any, **more: Any) -> None:
        self._unlink(real, path, **more)

    def _rmtree(self, path: Any, *, ignore_errors: bool = False) -> None:  # noqa: ARG002
        for each in sorted(Path(path).iterdir()):
            if each.is_dir():
                self._rmtree(each)
            else:
                each.unlink()
        Path(path).rmdir()


# --- after the cut --------------------------------------------------------------------------------------------


def after_power_cut(
    recorder: Recorder, cut: int, where: Path, chance: random.Random, *, loose: bool = False
) -> None:
    """Build in ``where`` what may be left if the power fails behind the first ``cut`` changes."""
    changes = recorder.changes[:cut]
    contents = _contents(changes, chance)
    names = _names(changes, recorder.directories, chance, loose=loose)
    _build(where, 0, names, contents, recorder.directories)


def _contents(changes: list[Change], chance: random.Random) -> dict[int, bytearray]:
    synced: dict[int, int] = {}
    for number, change in enumerate(changes):
        if change.what == "sync":
            synced[change.inode] = number
    moods: dict[int, str] = {}
    contents: dict[int, bytearray] = {}
    for number, change in enumerate(changes):
        if change.what not in {"write", "truncate"}:
            continue
        data = contents.setdefault(change.inode, bytearray())
        mood = moods.setdefault(change.inode, chance.choice(("kept", "lost", "mixed", "torn")))
        is_safe = number <= synced.get(change.inode, -1)
        if not is_safe and (mood == "lost" or (mood == "mixed" and chance.random() < 0.5)):
            continue
        if change.what == "truncate":
            _resize(data, change.detail[0])
            continue
        position, written = change.detail
        if is_safe or mood != "torn":
            _put(data, position, written)
        else:
            _tear(data, position, written, chance)
    return contents


def _tear(data: bytearray, position: int, written: bytes, chance: random.Random) -> None:
    """Some sectors of a write, and perhaps the new length of the file."""
    end = position + len(written)
    at = position
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        if chance.random() < 0.6:
            _put(data, at, written[at - position : stop - position])
        at = stop
    if len(data) < end and chance.random() < 0.5:
        _resize(data, end)


def _put(data: bytearray, position: int, written: bytes) -> None:
    _resize(data, max(len(data), position + len(written)))
    data[position : position + len(written)] = written


def _resize(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


def _names(
    changes: list[Change], directories: set[int], chance: random.Random, *, loose: bool
) -> dict[int, dict[str, int]]:
    kept_to: dict[int, int] = {}
    last = len(changes)
    for number, change in enumerate(changes):
        if change.what == "sync-names":
            kept_to[change.inode] = number
    if not loose:
        # One journal: what was made before something that is on the disk is there too.
        limit = chance.choice((last, chance.randint(0, last)))
        kept_to = dict.fromkeys(directories, max(limit, *kept_to.values(), -1))
    else:
        kept_to = {
            each: max(kept_to.get(each, -1), chance.choice((last, -1, chance.randint(0, last))))
            for each in directories
        }
    names: dict[int, dict[str, int]] = {}
    for number, change in enumerate(changes):
        if change.what not in {"name", "unname", "move"} or number > kept_to[change.inode]:
            continue
        entries = names.setdefault(change.inode, {})
        if change.what == "name":
            entries[change.detail[0]] = change.detail[1]
        elif change.what == "unname":
            entries.pop(change.detail[0], None)
        else:
            entries.pop(change.detail[0], None)
            entries[change.detail[1]] = change.detail[2]
    return names


def _build(
    where: Path,
    inode: int,
    names: dict[int, dict[str, int]],
    contents: dict[int, bytearray],
    directories: set[int],
) -> None:
    where.mkdir()
    for name, each in names.get(inode, {}).items():
        if each in directories:
            _build(where / name, each, names, contents, directories)
        else:
            (where / name).write_bytes(contents.get(each, b""))
