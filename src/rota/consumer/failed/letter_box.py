"""A topic of dead letters for those who look into it: which letters are meant, what they say in one line, and
which were sent back already.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.clients.client import Offset
from rota.consumer.clients.headers import headers_of
from rota.consumer.core.offset_metadata import decode_done, encode_done
from rota.consumer.core.progress import Range, join_ranges
from rota.consumer.failed.letters import DUE_AT, REPLAYED, origin_headers, read_letter, without_ours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.consumer.clients.client import Message
    from rota.consumer.clients.headers import Headers
    from rota.consumer.failed.letters import Letter

__all__ = ["Found", "Kind", "Position", "Selection", "Summary", "replay_headers"]

_LARGEST = 1 << 63


class Found(NamedTuple):
    """A record of the topic; ``letter`` is None if it does not say where it came from."""

    message: Message
    letter: Letter | None

    @classmethod
    def of(cls, message: Message) -> Found:
        """Read its headers."""
        return cls(message, read_letter(headers_of(message)))

    @property
    def failed_at_ms(self) -> int:
        """When it failed; of somebody else's record, its timestamp."""
        return self.letter.failed_at_ms if self.letter is not None else self.message.timestamp()[1]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: all that satisfy everything that is given. ``exceptions``: names of classes,
    with or without their modules; ``offsets``: (partition, offset).
    """

    exceptions: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    offsets: frozenset[tuple[int, int]] = frozenset()
    since_ms: int | None = None

    @property
    def everything(self) -> bool:
        """Whether no letter is left out."""
        return self == Selection()

    def bounds(self, partition: int, first: int, end: int) -> tuple[int, int]:
        """Which offsets of a partition have to be read: from, and up to without."""
        if not self.offsets:
            return first, end
        chosen = [at for number, at in self.offsets if number == partition]
        return (max(first, min(chosen)), min(end, max(chosen) + 1)) if chosen else (end, end)

    def takes(self, found: Found) -> bool:
        """Whether this one is meant."""
        message, letter = found
        if self.offsets and (message.partition(), message.offset()) not in self.offsets:
            return False
        if self.since_ms is not None and found.failed_at_ms < self.since_ms:
            return False
        name = letter.exception if letter is not None else ""
        if self.exceptions and not self.exceptions & {name, name.rpartition(".")[2]}:
            return False
        return not self.groups or (letter is not None and letter.group in self.groups)


class Kind(NamedTuple):
    """Letters that are alike: empty names where nobody can tell."""

    exception: str
    group: str
    topic: str


@dataclass(slots=True)
class Summary:
    """How many letters of each kind; the first and the last failure (milliseconds since 1970), and what the
    last exception said.
    """

    kinds: dict[Kind, tuple[int, int, int, str]] = field(default_factory=dict)

    def add(self, found: Found) -> None:
        """Count it."""
        letter, at_ms = found.letter, found.failed_at_ms
        kind, said = Kind("", "", ""), ""
        if letter is not None:
            kind, said = Kind(letter.exception, letter.group, letter.origin.topic), letter.message
        count, first, last, text = self.kinds.get(kind, (0, at_ms, at_ms, said))
        text = said if at_ms >= last else text
        self.kinds[kind] = (count + 1, min(first, at_ms), max(last, at_ms), text)


class Position:
    """How much of one partition was sent back: what is kept, in the form of a commit (`Offset`), from one run
    to the next. Letters are passed in the order of their offsets.
    """

    def __init__(self, committed: Offset | None = None) -> None:
        """``committed``: what the run before has left."""
        self._base = 0 if committed is None else committed.offset
        self._at = self._base
        self._done: list[Range] = []
        self._kept = list(decode_done(*committed)) if committed is not None else []

    @property
    def begin(self) -> int:
        """Where to read from: what lies before it was sent back."""
        return self._base

    def read_from(self, offset: int) -> None:
        """Where reading begins; nothing is said of what lies before."""
        self._at = offset

    def gone_before(self, offset: int) -> None:
        """The partition has lost what lies before this: it needs no remembering."""
        self._base = max(self._base, offset)

    def sent_before(self, offset: int) -> bool:
        """Whether an earlier run has sent it back."""
        if offset < self._base:
            return True
        index = bisect_right(self._kept, (offset, _LARGEST)) - 1
        return index >= 0 and offset < self._kept[index].end

    def passed(self, offset: int, *, sent: bool) -> None:
        """This letter was read, and sent back now, or left where it is."""
        self._add(self._at, offset)  # what was not there to be read needs no sending
        if sent or self.sent_before(offset):
            self._add(offset, offset + 1)
        self._at = max(self._at, offset + 1)

    def offset(self) -> tuple[Offset, bool]:
        """What to commit, and whether it says everything: ranges that are too many are left out."""
        ranges = list(join_ranges([*self._done, *self._kept]))
        base = self._base
        while ranges and ranges[0].first <= base:
            base = max(base, ranges.pop(0).end)
        text = encode_done(base, ranges)
        return Offset(base, text), decode_done(base, text) == tuple(ranges)

    def _add(self, first: int, end: int) -> None:
        if first >= end:
            return
        if self._done and self._done[-1].end == first:
            self._done[-1] = Range(self._done[-1].first, end)
        else:
            self._done.append(Range(first, end))


def replay_headers(found: Found, topic: str) -> Headers:
    """The record's own headers, and one that says which letter it was; where it was first as well, as in a
    retry topic in which it is due, unless that is where it goes.
    """
    message, letter = found
    where = f"{message.topic()}-{message.partition()}@{message.offset()}".encode()
    kept: Iterable[tuple[str, bytes | None]] = ()
    if letter is not None and letter.origin.topic != topic:
        kept = [*origin_headers(letter.origin), (DUE_AT, b"0")]
    return [*without_ours(headers_of(message)), *kept, (REPLAYED, where)]
