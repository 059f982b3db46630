"""Small files written and removed, and names brought to the disk.

A file that was synced can still be lost with its name: that is on the disk only when its directory was synced. All of
it goes through ``os``, one call after the other, so that tests can tell what a power cut would have left.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["remove_tree", "replace_file", "sync_data", "sync_directory", "sync_file", "write_file"]


def write_file(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a file as a whole; with ``sync`` its bytes, not its name, are on the disk afterwards."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file by way of a temporary one; with ``sync`` it is on the disk afterwards."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        write_file(temporary, data, sync=sync)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # a full disk needs the room
            temporary.unlink()
        raise
    if sync:
        sync_directory(path.parent)


def sync_data(descriptor: int) -> None:
    """Bring an open file's bytes and size to the disk; its times only where the system, as macOS, cannot do without."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_file(path: Path) -> None:
    """Bring a file to the disk; one that is not there needs nothing."""
    with contextlib.suppress(FileNotFoundError):
        _sync(path, os.O_RDONLY)


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    _sync(directory, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory and what is in it, as far as that is possible."""
    import shutil  # seldom needed, and it loads every archive format there is

    shutil.rmtree(path, ignore_errors=True)
