"""Putting a compacted segment into the place of the segments it was made of, so that a crash loses nothing.

Kafka's suffixes, and much of its order. The names on the disk change in three steps:

1. ``.cleaned`` becomes ``.swap``, the ``.log`` last: before that the copy is rubbish, from then on it counts.
2. The originals' ``.log`` become ``.log.deleted``.
3. ``.swap`` is dropped from the copy's names, the ``.log`` last again.

Only when the directory is on the disk are ``.deleted`` files removed, by a thread that has the time. ``put_right`` is
what the next start does with what a crash has left.
"""

from __future__ import annotations

import logging
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rota.storage.files import sync_directory
from rota.storage.producers import AbortedTransaction
from rota.storage.segment import Segment, file_name
from rota.storage.stores import FileStore
from rota.wire.records import HEADER_SIZE, read_header

if TYPE_CHECKING:
    from rota.storage.log import Log

__all__ = ["CLEANED", "DELETED", "SWAP", "discard", "put_right", "swap_in"]

CLEANED: Final = ".cleaned"
SWAP: Final = ".swap"
DELETED: Final = ".deleted"
_SUFFIXES: Final = (".txnindex", ".timeindex", ".index", ".log")  # the log decides, so it comes last
_LEFT_OVER: Final = re.compile(r"(\d{20})(\.(?:log|index|timeindex|txnindex))(\.(?:cleaned|swap|deleted))")

logger = logging.getLogger(__name__)


def swap_in(
    log: Log, old: Sequence[Segment], new: Segment, aborted: Sequence[AbortedTransaction]
) -> Callable[[], None]:
    """Replace ``old``, which follow each other in the log, by ``new``; what is left to do, in any thread.

    Raises ``OSError``; nothing has changed then.
    """
    assert log.segments[-1] is not old[-1], "the active segment is never compacted"
    tidy: Callable[[], None] = _nothing
    if log.directory is not None:
        tidy = _change_names(log.directory, old, new)
        new.adopt(FileStore(new.path(".log"), new.size, log.files))
    first = bisect_left(log.bases, old[0].base_offset)
    log.segments[first : first + len(old)] = [new]
    log.bases[first : first + len(old)] = [new.base_offset]
    start, end = old[0].base_offset, old[-1].next_offset
    log.aborted = [
        *(each for each in log.aborted if each.last_offset < start),
        *aborted,
        *(each for each in log.aborted if each.last_offset >= end),
    ]
    for segment in old:
        log.forget_open(segment)
        segment.store.close()
    new.release()
    return tidy


def _nothing() -> None:
    """In memory there are no files."""


def _change_names(directory: Path, old: Sequence[Segment], new: Segment) -> Callable[[], None]:
    base = new.base_offset
    made = [suffix for suffix in _SUFFIXES if (directory / file_name(base, suffix + CLEANED)).exists()]
    names = [(file_name(base, suffix + CLEANED), file_name(base, suffix + SWAP)) for suffix in made]
    for segment in old:
        name = file_name(segment.base_offset, ".log")
        names.append((name, name + DELETED))
    names += [(file_name(base, suffix + SWAP), file_name(base, suffix)) for suffix in made]
    done: list[tuple[str, str]] = []
    try:
        for source, target in names:
            os.rename(directory / source, directory / target)  # noqa: PTH104 - a hundred of them in one go
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            os.rename(directory / target, directory / source)  # noqa: PTH104
        raise
    rest = [file_name(segment.base_offset, ".log" + DELETED) for segment in old]
    for segment in old:
        if segment.base_offset != base:
            rest += [
                file_name(segment.base_offset, suffix)
                for suffix in (".index", ".timeindex", ".txnindex", ".snapshot")
            ]
    if ".txnindex" not in made:
        rest.append(file_name(base, ".txnindex"))
    return partial(_tidy, directory, rest)


def _tidy(directory: Path, names: Sequence[str]) -> None:
    sync_directory(directory)
    for name in names:
        (directory / name).unlink(missing_ok=True)


def discard(copy: Segment) -> None:
    """Throw away a copy that is not wanted."""
    copy.store.close()
    if copy.directory is not None:
        for suffix in _SUFFIXES:
            copy.path(suffix + CLEANED).unlink(missing_ok=True)


# --- after a crash ------------------------------------------------------------------------------------------


def put_right(directory: Path, names: Sequence[str]) -> None:
    """Finish a swap that had begun, and undo one that had not; ``names`` are the directory's files.

    A copy whose ``.log.swap`` is there is whole, and takes the place of every segment that begins inside it.
    """
    found: dict[str, list[tuple[int, str]]] = {CLEANED: [], SWAP: [], DELETED: []}
    for name in names:
        match = _LEFT_OVER.fullmatch(name)
        if match:
            found[match[3]].append((int(match[1]), match[2]))
    swaps = [base for base, suffix in found[SWAP] if suffix == ".log"]
    if found[DELETED] and not swaps and any(suffix == ".log" for _, suffix in found[CLEANED]):
        # The file system kept the later renames and lost the earlier: the originals are what there is.
        for base, suffix in found[DELETED]:
            path = directory / file_name(base, suffix)
            if not path.exists():
                path.with_name(path.name + DELETED).rename(path)
        found[DELETED] = []
    for base in sorted(swaps):
        _finish(directory, base, [int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.log", name)])
        logger.info("%s: the compaction of segment %d is finished", directory, base)
    for ending, files in found.items():
        for base, suffix in files:
            (directory / file_name(base, suffix + ending)).unlink(missing_ok=True)


def _finish(directory: Path, base: int, bases: Sequence[int]) -> None:
    swap = directory / file_name(base, ".log" + SWAP)
    end = _end_offset(swap, base)
    for each in bases:
        if base <= each < end or each == base:
            for suffix in (".log", ".snapshot") if each != base else (".log",):
                (directory / file_name(each, suffix)).unlink(missing_ok=True)
            if each != base:
                for suffix in (".index", ".timeindex", ".txnindex"):
                    (directory / file_name(each, suffix)).unlink(missing_ok=True)
    # Which of these belong to the copy is not certain: they are made again from it.
    for suffix in (".index", ".timeindex"):
        (directory / file_name(base, suffix)).unlink(missing_ok=True)
    transactions = directory / file_name(base, ".txnindex")
    if transactions.with_name(transactions.name + SWAP).exists():
        transactions.with_name(transactions.name + SWAP).replace(transactions)
    swap.rename(directory / file_name(base, ".log"))
    sync_directory(directory)


def _end_offset(path: Path, base: int) -> int:
    """The offset behind the last whole batch of a file."""
    end, position = base, 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while position + HEADER_SIZE <= size:
            file.seek(position)
            header = read_header(file.read(HEADER_SIZE))
            if header.size < HEADER_SIZE or position + header.size > size:
                break
            end = header.next_offset
            position += header.size
    return end
