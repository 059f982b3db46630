"""What of a log is not on the disk yet besides records: small files that a start believes, and names.

A start believes what tells of the segments before the recovery point; so that does not pass a segment before its
indexes, and the segment's own name, are on the disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rota.storage.files import sync_directory, sync_file
from rota.storage.stores import Store

__all__ = ["Unflushed", "Unsynced"]


class Unflushed(NamedTuple):
    """What may not be on the disk, and the offset that the log is safe up to when it is.

    ``names``: how many files had been made.
    """

    stores: list[Store]
    files: list[Path]
    names: int
    end_offset: int


class Unsynced:
    """Remembered by the log's thread; ``sync`` may be called in another one."""

    __slots__ = ("_directory", "_files", "_names", "_synced_names", "failure")

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._files: dict[Path, None] = {}  # in the order in which they were written
        self._names, self._synced_names = 1, 0
        self.failure: OSError | None = None
        """Of a sync. The disk may say later that all is well, though it is not: nobody believes it any more."""

    def wrote(self, *paths: Path) -> None:
        """These files were written; some of them may not be there."""
        for path in paths:
            self._files[path] = None

    def named(self) -> None:
        """A segment's file was made."""
        self._names += 1

    def with_stores(self, stores: list[Store], end_offset: int) -> Unflushed:
        """All that there is, and records."""
        # A log's first file is made by its first append, and not told of: without records no name counts as synced.
        return Unflushed(stores, list(self._files), self._names if stores else 0, end_offset)

    def sync(self, unflushed: Unflushed) -> bool:
        """Bring it to the disk; False if the log was deleted meanwhile. Raises ``OSError``, once and for ever."""
        if self.failure is not None:
            raise self.failure
        try:
            for store in unflushed.stores:
                store.flush()
            for path in unflushed.files:
                sync_file(path)
            is_new = bool(unflushed.files) or unflushed.names > self._synced_names
            if is_new and self._directory is not None:
                sync_directory(self._directory)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.failure = error
            raise
        for path in unflushed.files:
            self._files.pop(path, None)
        self._synced_names = max(self._synced_names, unflushed.names)
        return True
