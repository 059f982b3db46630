"""OffsetFetch's answers of many groups, read without an object a partition that nobody keeps.

A look at 500 groups of 100 partitions has 50,000 of them. The codec makes a message of each, in as much time as all the
rest of the look takes. What is written here by hand is the same format (versions 8 and 9): groups of topics of
partitions, each an index (int32), an offset (int64), an epoch (int32), metadata, an error (int16) and tagged fields.
Where a topic's partitions have no metadata, errors or tags, as commits mostly have, each takes 20 bytes, and the whole
topic is read with one call.
"""

from __future__ import annotations

import gc
import struct
from typing import TYPE_CHECKING

from rota.admin.errors import error_of
from rota.model import KafkaError, TopicPartition
from rota.monitor.facts import Commit
from rota.wire.errors import WireError
from rota.wire.frames import skip_tags

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Remembered", "read_commits"]

_PARTITION = struct.Struct(">iqi")
_SAME_SIZE = struct.Struct(">iqi4x")
_ERROR = struct.Struct(">h")
_PLAIN, _SIZE = 16, 20
# What stands behind a partition's numbers when there is nothing: metadata null or empty, no error, no tags.
_NULL_END, _EMPTY_END = b"\0\0\0\0", b"\1\0\0\0"

_Commits = dict[TopicPartition, Commit]


class _Partitions(dict[int, TopicPartition]):
    """The partitions of one topic, each made once for all groups."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self._topic = topic

    def __missing__(self, number: int) -> TopicPartition:
        found = self[number] = TopicPartition(self._topic, number)
        return found


class _Topics(dict[bytes, _Partitions]):
    """Topics by their names' bytes, each made once for all groups."""

    def __missing__(self, name: bytes) -> _Partitions:
        found = self[name] = _Partitions(name.decode())
        return found


class Remembered:
    """What was read before. Of a group that has committed nothing since, the same bytes come, and nothing is made anew:
    whoever keeps several looks keeps its commits once. They are shared, so they are not to be changed.
    """

    def __init__(self) -> None:
        self.topics = _Topics()
        self._groups: dict[str, tuple[bytes, _Commits]] = {}

    def find(self, group: str, frame: bytes, at: int) -> tuple[_Commits, int] | None:
        """The commits of a group and where they end, if what follows is what came last time."""
        known = self._groups.get(group)
        # The format says by itself where a group ends: with equal bytes it ends in the same place.
        if known is not None and frame.startswith(known[0], at):
            return known[1], at + len(known[0])
        return None

    def keep(self, group: str, data: bytes, commits: _Commits) -> None:
        """Remember a group."""
        self._groups[group] = data, commits

    def keep_only(self, groups: Collection[str]) -> None:
        """Forget all others."""
        if len(self._groups) > len(groups):
            self._groups = {name: self._groups[name] for name in groups if name in self._groups}


def read_commits(
    frame: bytes, position: int, remembered: Remembered | None = None
) -> dict[str, _Commits | KafkaError]:
    """What each group of a response (version 8 or 9) has committed, or its error. Raises ``WireError``."""
    # As many objects are made as Python collects garbage after, again and again; there is none.
    collecting = gc.isenabled()
    gc.disable()
    try:
        found, end = _groups(frame, position + 4, remembered or Remembered())
    except (struct.error, IndexError):
        raise WireError("OffsetFetchResponse is cut short") from None
    except UnicodeDecodeError:
        raise WireError("OffsetFetchResponse: a string is not UTF-8") from None
    finally:
        if collecting:
            gc.enable()
    if end != len(frame):
        raise WireError("OffsetFetchResponse does not end where its frame does")
    return found


def _groups(frame: bytes, at: int, remembered: Remembered) -> tuple[dict[str, _Commits | KafkaError], int]:
    found: dict[str, _Commits | KafkaError] = {}
    count, at = _count(frame, at)
    for _ in range(count):
        raw, at = _string(frame, at)
        name = raw.decode()
        known = remembered.find(name, frame, at)
        if known is not None:
            found[name], at = known
            continue
        start = at
        commits, error, at = _group(frame, at, remembered.topics)
        if error is None:
            remembered.keep(name, frame[start:at], commits)
        found[name] = error or commits
    return found, skip_tags(frame, at)


def _group(frame: bytes, at: int, topics: _Topics) -> tuple[_Commits, KafkaError | None, int]:
    """What stands behind a group's name."""
    commits: _Commits = {}
    wrong: KafkaError | None = None
    count, at = _count(frame, at)
    for _ in range(count):
        raw, at = _string(frame, at)
        error, at = _partitions(frame, at, topics[raw], commits)
        wrong = wrong or error
        at = skip_tags(frame, at)
    error = error_of(_ERROR.unpack_from(frame, at)[0]) or wrong
    return commits, error, skip_tags(frame, at + 2)


def _partitions(
    frame: bytes, at: int, partitions: Mapping[int, TopicPartition], commits: _Commits
) -> tuple[KafkaError | None, int]:
    """Read a topic's partitions into ``commits``; the error of one that has one."""
    count, at = _count(frame, at)
    stop = at + count * _SIZE
    ends = frame[at + _PLAIN : at + _SIZE]
    piece = frame[at:stop]
    if ends in {_NULL_END, _EMPTY_END} and len(piece) == count * _SIZE and _is_plain(piece, ends, count):
        new, kind = tuple.__new__, Commit
        for number, offset, epoch in _SAME_SIZE.iter_unpack(piece):
            if offset >= 0:
                commits[partitions[number]] = new(kind, (offset, epoch if epoch >= 0 else None, "", None))
        return None, stop
    wrong = None
    for _ in range(count):
        number, offset, epoch = _PARTITION.unpack_from(frame, at)
        metadata, at = _string(frame, at + _PLAIN)
        error = _ERROR.unpack_from(frame, at)[0]
        at = skip_tags(frame, at + 2)
        if error:
            wrong = error_of(error)
        elif offset >= 0:
            commits[partitions[number]] = Commit(offset, epoch if epoch >= 0 else None, metadata.decode())
    return wrong, at


def _is_plain(piece: bytes, ends: bytes, count: int) -> bool:
    """Whether every partition ends as the first one does."""
    return all(piece[_PLAIN + i :: _SIZE] == ends[i : i + 1] * count for i in range(4))


def _string(frame: bytes, at: int) -> tuple[bytes, int]:
    """The bytes of a compact string; none for null."""
    length, at = _length(frame, at)
    stop = at + max(length, 0)
    if stop > len(frame):
        raise IndexError
    return frame[at:stop], stop


def _count(frame: bytes, at: int) -> tuple[int, int]:
    """A compact array's count, which cannot be more than the bytes that are there."""
    count, at = _length(frame, at)
    if count > len(frame) - at:
        raise IndexError
    return max(count, 0), at


def _length(frame: bytes, at: int) -> tuple[int, int]:
    """An unsigned varint less one; -1 for null."""
    value = frame[at]
    at += 1
    if value > 127:
        value &= 0x7F
        for shift in range(7, 35, 7):
            byte = frame[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            raise WireError("a varint is longer than 5 bytes")
    return value - 1, at
