"""The page that is scraped: made after each look, kept in pieces, put together when somebody asks.

A piece is the text of one family for one group or topic. It is made anew only when that group has changed, so an idle
cluster of any size costs next to nothing; and a group that is gone is gone with its pieces. Pieces are kept as members
of a gzip file, which may follow each other: a tenth of the memory, and what Prometheus asks for as it is.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rota.exporter.style import Lines, Look, Style, TopicLogs
from rota.model import TopicPartition
from rota.monitor.facts import PartitionFacts, Snapshot, TopicFacts
from rota.monitor.view import GroupView
from rota.watching.looking import Seen

__all__ = ["Page"]

Pieces = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class _Made:
    """Pieces, and what they were made of."""

    of: tuple[object, ...]
    pieces: Pieces


class Page:
    """``update`` by one thread, after each look; ``text`` by any number of others."""

    def __init__(self, styles: Sequence[Style]) -> None:
        self._styles = styles
        self._heads = {
            family.name: _packed(family.head().encode()) for style in styles for family in style.families
        }
        self._groups: dict[str, _Made] = {}
        self._topics: dict[str, _Made] = {}
        self._known: frozenset[TopicPartition] = frozenset()
        self._parts: dict[str, list[TopicPartition]] = {}
        """The partitions that were in the last look, by topic."""
        self._failures = 0
        self._order: tuple[Mapping[str, bytes], ...] = ()
        self.update(Seen())

    def update(self, seen: Seen) -> None:
        """After a look."""
        if seen.failure is not None:
            self._failures += 1
        self._groups = {name: self._group(name, view) for name, view in sorted(seen.views.items())}
        self._topics = {} if seen.snapshot is None else self._of_topics(seen.snapshot)
        look = Lines()
        for style in self._styles:
            style.look(self._look(seen), look)
        made = (*self._groups.values(), *self._topics.values())
        self._order = (*(each.pieces for each in made), _pieces(look))

    def text(self) -> bytes:
        """The whole page."""
        return b"".join(map(gzip.decompress, self._members()))

    def packed(self) -> bytes:
        """The whole page as a gzip file of many members."""
        return b"".join(self._members())

    def _members(self) -> list[bytes]:
        order = self._order
        parts: list[bytes] = []
        for name, head in self._heads.items():
            found = [pieces[name] for pieces in order if name in pieces]
            if found:
                parts.append(head)
                parts += found
        return parts

    def _look(self, seen: Seen) -> Look:
        snapshot = seen.snapshot
        return Look(
            is_well=seen.number > 0 and seen.failure is None,
            looks=seen.number,
            failures=self._failures,
            took_s=0.0 if snapshot is None else snapshot.took_ms / 1_000,
            seen_at_s=0.0 if snapshot is None else snapshot.at_ms / 1_000,
        )

    def _group(self, name: str, view: GroupView) -> _Made:
        of = view.facts, view.partitions, view.members, view.topics, view.totals
        old = self._groups.get(name)
        if old is not None and all(new is was for new, was in zip(of, old.of, strict=True)):
            return old
        lines = Lines()
        for style in self._styles:
            style.group(view, lines)
        return _Made(of, _pieces(lines))

    def _of_topics(self, snapshot: Snapshot) -> dict[str, _Made]:
        partitions = snapshot.partitions
        if partitions.keys() != self._known:
            self._known = frozenset(partitions)
            self._parts = {}
            for part in sorted(partitions):
                self._parts.setdefault(part.topic, []).append(part)
        return {
            name: self._topic(name, parts, [partitions[part] for part in parts], snapshot.topics.get(name))
            for name, parts in self._parts.items()
        }

    def _topic(
        self,
        name: str,
        parts: Sequence[TopicPartition],
        logs: Sequence[PartitionFacts],
        facts: TopicFacts | None,
    ) -> _Made:
        old = self._topics.get(name)
        if old is not None and old.of == (parts, logs, facts):
            return old
        numbers = {part.partition: log for part, log in zip(parts, logs, strict=True)}
        lines = Lines()
        for style in self._styles:
            style.topic(TopicLogs(name, numbers, facts), lines)
        return _Made((parts, logs, facts), _pieces(lines))


def _pieces(lines: Lines) -> Pieces:
    return {name: _packed(text) for name, text in lines.texts()}


def _packed(text: bytes) -> bytes:
    return gzip.compress(text, compresslevel=1, mtime=0)
