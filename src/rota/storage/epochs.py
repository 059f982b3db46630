"""Where each leader epoch begins in a log, and ``leader-epoch-checkpoint``, the file that remembers it (KIP-101)."""

from __future__ import annotations

from pathlib import Path

from rota.storage.checkpoints import read_lines, write_lines

__all__ = ["LeaderEpochs"]

_FILE = "leader-epoch-checkpoint"


class LeaderEpochs:
    """``(epoch, start offset)`` in rising order; held in memory and written by ``save``."""

    __slots__ = ("_is_dirty", "_path", "entries", "latest")

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / _FILE if directory else None
        self.entries: list[tuple[int, int]] = []
        self.latest = -1
        self._is_dirty = False

    def load(self) -> None:
        """Read the file, if there is one. Raises ``RotaError`` if it is damaged; nothing is known then."""
        if self._path is not None:
            self._is_dirty = True
            self.entries = [(int(epoch), int(start)) for epoch, start in read_lines(self._path, 2)]
            self.latest = self.entries[-1][0] if self.entries else -1
            self._is_dirty = False

    def assign(self, epoch: int, start_offset: int) -> None:
        """Note that ``epoch``, newer than the latest, begins at ``start_offset``."""
        if epoch <= self.latest:
            return
        while self.entries and self.entries[-1][1] >= start_offset:
            self.entries.pop()
        self.entries.append((epoch, start_offset))
        self.latest = epoch
        self._is_dirty = True

    def truncate_from_start(self, start_offset: int) -> None:
        """Forget what lies before ``start_offset``; the epoch that holds there now begins there."""
        kept = [entry for entry in self.entries if entry[1] > start_offset]
        before = [entry for entry in self.entries if entry[1] <= start_offset]
        if before:
            kept.insert(0, (before[-1][0], start_offset))
        self._is_dirty |= kept != self.entries
        self.entries = kept

    def truncate_from_end(self, end_offset: int) -> None:
        """Forget epochs that begin at ``end_offset`` or later."""
        kept = [entry for entry in self.entries if entry[1] < end_offset]
        self._is_dirty |= kept != self.entries
        self.entries = kept
        self.latest = kept[-1][0] if kept else -1

    def end_offset(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest known epoch not past ``epoch``, and where it ends; (-1, -1) if that is not known."""
        if epoch < 0 or not self.entries or epoch > self.latest:
            return -1, -1
        if epoch == self.latest:
            return epoch, log_end_offset
        found = epoch
        for known, start in self.entries:
            if known > epoch:
                return found, start
            found = known
        raise AssertionError("the latest epoch is larger")

    def save(self) -> Path | None:
        """Write the file if anything has changed; which one, for it is not synced."""
        if self._path is None or not self._is_dirty:
            return None
        write_lines(self._path, [f"{epoch} {start}" for epoch, start in self.entries], sync=False)
        self._is_dirty = False
        return self._path
