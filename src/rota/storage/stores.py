"""Where a segment's bytes lie: a file, or memory. Both are appended to, read and cut short in the same way.

A ``FileRegion`` names bytes of a file without reading them, for ``sendfile``. It keeps the file open: the bytes stay
readable after their segment was deleted, and the file is closed when the last region of it is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from rota.storage.files import sync_data

__all__ = ["FileHandle", "FileRegion", "FileStore", "MemoryStore", "OpenFiles", "Store"]


class FileHandle:
    """A file descriptor that is closed when nothing refers to it any more."""

    __slots__ = ("fd",)

    def __init__(self, path: Path | str, flags: int) -> None:
        self.fd = -1
        self.fd = os.open(path, flags | os.O_CLOEXEC, 0o644)

    def fileno(self) -> int:
        return self.fd

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class OpenFiles:
    """Keeps the open files of many stores to at most ``limit``: the one that was not used for long is closed.

    About the one: a use only sets a flag, and a file whose flag is set is passed over once (the clock algorithm).
    What a ``FileRegion`` refers to stays open beside these until it is sent.
    """

    __slots__ = ("_stores", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._stores: OrderedDict[FileStore, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stores)

    def opened(self, store: FileStore) -> None:
        """Note a store that has just opened its file, and close another's if there are too many."""
        while len(self._stores) >= self.limit and self.close_one():
            pass
        self._stores[store] = None

    def closed(self, store: FileStore) -> None:
        self._stores.pop(store, None)

    def close_one(self) -> bool:
        """Close a file that is little used; whether there was any."""
        while self._stores:
            store, _ = self._stores.popitem(last=False)
            if not store.used:
                store.close()
                return True
            store.used = False
            self._stores[store] = None
        return False


class FileRegion:
    """``length`` bytes of a file from ``offset`` on."""

    __slots__ = ("file", "length", "offset")

    def __init__(self, file: FileHandle, offset: int, length: int) -> None:
        self.file = file
        self.offset = offset
        self.length = length

    def __len__(self) -> int:
        return self.length

    def fileno(self) -> int:
        return self.file.fd

    def read(self) -> bytes:
        """The bytes themselves."""
        return os.pread(self.file.fd, self.length, self.offset)

    def __bytes__(self) -> bytes:
        return self.read()


class Store(Protocol):
    """The bytes of one segment. ``size`` is where the next append goes."""

    size: int

    def append(self, data: memoryview) -> None: ...
    def pread(self, length: int, position: int) -> bytes | memoryview: ...
    def region(self, position: int, length: int) -> list[FileRegion | memoryview]: ...
    def truncate(self, size: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    def delete(self) -> None: ...


class FileStore:
    """One ``.log`` file, opened when it is first needed and created by the first append.

    Appends are synchronous ``pwrite``: a broker's event loop spends less on them than on any hand-over.
    """

    __slots__ = ("_files", "_handle", "path", "size", "used")

    def __init__(self, path: Path, size: int = 0, files: OpenFiles | None = None) -> None:
        self.path = path
        self.size = size
        self.used = False  # since ``files`` last looked
        self._files = files
        self._handle: FileHandle | None = None

    def _open(self, flags: int = os.O_RDWR) -> FileHandle:
        files = self._files
        try:
            handle = FileHandle(self.path, flags)
        except OSError as error:
            # Connections have files as well: when they have taken all there are, another log gives one up.
            if error.errno != errno.EMFILE or files is None or not files.close_one():
                raise
            handle = FileHandle(self.path, flags)
        self._handle = handle
        if files is not None:
            self.used = (
                False  # the use that opens it does not count: of many files used once, none stays long
            )
            files.opened(self)
        return handle

    def create(self) -> None:
        """Create the file now: an empty segment is remembered by its name."""
        self._open(os.O_RDWR | os.O_CREAT)

    def append(self, data: memoryview) -> None:
        """Write at the end. On ``OSError`` (a full disk) the file is as it was."""
        handle = self._handle
        if handle is None:
            handle = self._open(os.O_RDWR | os.O_CREAT)
        else:
            self.used = True
        length = len(data)
        written = os.pwrite(handle.fd, data, self.size)
        try:
            while written < length:
                written += os.pwrite(handle.fd, data[written:], self.size + written)
        except OSError:
            os.ftruncate(handle.fd, self.size)
            raise
        self.size += length

    def pread(self, length: int, position: int) -> bytes:
        handle = self._handle
        if handle is None:
            handle = self._open()
        else:
            self.used = True
        return os.pread(handle.fd, length, position)

    def region(self, position: int, length: int) -> list[FileRegion | memoryview]:
        handle = self._handle
        if handle is None:
            handle = self._open()
        else:
            self.used = True
        return [FileRegion(handle, position, length)]

    def truncate(self, size: int) -> None:
        """Cut off what is behind ``size``, for good."""
        handle = self._handle or self._open()
        os.ftruncate(handle.fd, size)
        sync_data(handle.fd)
        self.size = size

    def flush(self) -> None:
        """Bring what was written to the disk; another thread may do this. A file that is not open stays so."""
        if self.size:
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                handle = self._handle or FileHandle(self.path, os.O_RDWR)
                sync_data(handle.fd)

    def close(self) -> None:
        """Let go of the file; it is opened again when needed."""
        self._handle = None
        if self._files is not None:
            self._files.closed(self)

    def delete(self) -> None:
        """Remove the file; regions that were handed out stay readable."""
        self.path.unlink(missing_ok=True)
        self.close()


class MemoryStore:
    """Blocks of memory that never move, so that what was handed out stays valid."""

    __slots__ = ("_blocks", "_starts", "_used", "size")

    _LARGEST_BLOCK = 1024 * 1024

    def __init__(self) -> None:
        self.size = 0
        self._blocks: list[bytearray] = []
        self._starts: list[int] = []
        self._used = 0  # bytes used of the last block; the others are full or as full as they will be

    def append(self, data: memoryview) -> None:
        length = len(data)
        if not self._blocks or self._used + length > len(self._blocks[-1]):
            room = min(self._LARGEST_BLOCK, max(4096, self.size))
            self._starts.append(self.size)
            self._used = 0
            if length >= room:
                self._blocks.append(bytearray(data))
                self._used = length
                self.size += length
                return
            self._blocks.append(bytearray(room))
        self._blocks[-1][self._used : self._used + length] = data
        self._used += length
        self.size += length

    def region(self, position: int, length: int) -> list[FileRegion | memoryview]:
        found: list[FileRegion | memoryview] = []
        end = min(position + length, self.size)
        index = bisect_right(self._starts, position) - 1
        while position < end:
            start = self._starts[index]
            block_end = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
            stop = min(end, block_end)
            found.append(memoryview(self._blocks[index])[position - start : stop - start].toreadonly())
            position = stop
            index += 1
        return found

    def pread(self, length: int, position: int) -> bytes | memoryview:
        parts = self.region(position, length)
        if len(parts) == 1:
            part = parts[0]
            assert isinstance(part, memoryview)
            return part
        return b"".join(bytes(part) for part in parts)

    def truncate(self, size: int) -> None:
        rest = bytes(self.pread(size, 0)) if size else b""
        self._blocks, self._starts, self._used, self.size = [], [], 0, 0
        if rest:
            self.append(memoryview(rest))

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to let go of: the records live as long as the log."""

    def delete(self) -> None:
        self._blocks, self._starts, self._used, self.size = [], [], 0, 0
