"""From looks at a cluster to what a person is shown: every group's lag in records and in time, its rates and levels.

`Looks` remembers a window of looks and the batch headers that it was told. It asks nobody: `wanted` says which headers
would help, who owns a connection asks for them and tells (`told`), and `look` makes the views. What has not changed
since the look before is not worked out again, so a look at tens of thousands of idle partitions costs little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import BatchFacts, Snapshot
from rota.monitor.group_looks import Context, GroupLooks
from rota.monitor.headers import Headers
from rota.monitor.lag import NOTHING, left
from rota.monitor.level import DEFAULT, Thresholds
from rota.monitor.marks import Marks
from rota.monitor.search import Searches
from rota.monitor.view import GroupView

__all__ = ["Looks", "views"]

Answer = BatchFacts | RotaError | None


class Looks:
    """What is known of all groups of one cluster. Not for several threads.

    ``window_ms``: how far back rates and levels reach.
    """

    def __init__(self, *, window_ms: int = 600_000, thresholds: Thresholds = DEFAULT) -> None:
        self._window_ms = window_ms
        self._thresholds = thresholds
        self._groups: dict[str, GroupLooks] = {}
        self._headers = Headers()
        self._searches = Searches()
        self.marks = Marks(window_ms)
        """The partitions in which transactions were seen."""
        self._at_ms = -1
        self._first = ""
        """The group that is asked for first: where the look before had to stop."""

    # Questions.

    def wanted(self, snapshot: Snapshot, most: int) -> dict[TopicPartition, int]:
        """The offsets whose batch headers would tell more, at most so many, one a partition.

        Ask again after `told`, until nothing is wanted or it has been enough: several groups in one partition, and
        transactions' markers one behind the other, need several turns. First comes what no header is known of, then the
        newest records of partitions that are behind (for ``event_delay_s``).
        """
        context = self._context(snapshot)
        found: dict[TopicPartition, int] = {}
        newest: dict[TopicPartition, int] = {}
        for name, part, position, end in self._behind(snapshot):
            if part in found:
                continue
            key = context.key(part)
            if self._headers.refusal(key) is not None:
                continue
            position, header = self._headers.beyond_markers(key, position, end)
            if header is not None:
                if self._headers.wants_newest(key, end, snapshot.at_ms):
                    newest[part] = end - 1
            elif position < end:
                if len(found) >= most:
                    self._first = name
                    break
                found[part] = position
        for part, offset in newest.items():
            if len(found) < most:
                found.setdefault(part, offset)
        return found

    def told(
        self,
        snapshot: Snapshot,
        asked: Mapping[TopicPartition, int],
        answers: Mapping[TopicPartition, Answer],
    ) -> None:
        """What came of the questions of `wanted`. None: there is no batch there (any more)."""
        context = self._context(snapshot)
        for part, found in answers.items():
            end = snapshot.partitions.get(part, NOTHING).end
            if found is None or end is None:
                continue
            key = context.key(part)
            self._headers.told(key, asked[part], end, found, snapshot.at_ms)
            if isinstance(found, BatchFacts) and found.control:
                self.marks.add(key, snapshot.at_ms)

    def wanted_times(
        self, snapshot: Snapshot, most: int, *, all_of_them: bool = False
    ) -> dict[TopicPartition, int]:
        """The timestamps (ms) of which to ask the first offset, for partitions whose records may not be read.

        ``all_of_them``: also for those that nobody has tried to read. One step of a search each; ask again after
        `told_times`.
        """
        context = self._context(snapshot)
        found: dict[TopicPartition, int] = {}
        for _, part, position, _ in self._behind(snapshot):
            key = context.key(part)
            if part in found or not (all_of_them or self._headers.refusal(key) is not None):
                continue
            asked = self._searches.next(key, position, snapshot.at_ms)
            if asked is not None:
                found[part] = asked
                if len(found) >= most:
                    break
        return found

    def told_times(
        self,
        snapshot: Snapshot,
        asked: Mapping[TopicPartition, int],
        answers: Mapping[TopicPartition, tuple[int, int] | RotaError | None],
    ) -> None:
        """The first offsets from those timestamps on, with their own timestamps; None where there is none."""
        context = self._context(snapshot)
        for _, part, position, _ in self._behind(snapshot):
            if part in answers:
                answer = answers[part]
                if not isinstance(answer, RotaError):
                    self._searches.told(context.key(part), position, asked[part], answer, snapshot.at_ms)

    def _behind(self, snapshot: Snapshot) -> Iterator[tuple[str, TopicPartition, int, int]]:
        """Every group and partition with something left: where it goes on, and where the log ends."""
        names = list(snapshot.groups)
        if self._first in snapshot.groups:
            place = names.index(self._first)
            names = names[place:] + names[:place]
        partitions = snapshot.partitions
        for name in names:
            for part, commit in snapshot.commits.get(name, {}).items():
                facts = partitions.get(part, NOTHING)
                if facts.end is not None and commit.offset < facts.end:
                    position = left(commit, facts).position
                    if position is not None and position < facts.end:
                        yield name, part, position, facts.end

    # Views.

    def look(self, snapshot: Snapshot) -> dict[str, GroupView]:
        """The views after this look, by group.

        A group that is not in it is gone. Only if nobody could say whether it is (`Snapshot.failures`), its last view
        stays, with the time of its own look.
        """
        context = self._context(snapshot)
        self.marks.keep({topic_id or name for name, topic_id in context.ids.items()}, snapshot.at_ms)
        failures = snapshot.failures
        kept = {name: group for name, group in self._groups.items() if name in failures or "" in failures}
        self._groups = kept | {
            name: self._groups.get(name) or GroupLooks(self._window_ms)
            for name, facts in snapshot.groups.items()
            if facts.exists
        }
        for name, facts in snapshot.groups.items():
            if facts.exists:
                self._groups[name].look(facts, context)
            else:
                self._groups.pop(name, None)
        return {name: group.view for name, group in self._groups.items() if group.view is not None}

    def _context(self, snapshot: Snapshot) -> Context:
        if snapshot.at_ms != self._at_ms:
            self._at_ms = snapshot.at_ms
            self._headers.begin(snapshot.at_ms)
            self._searches.begin()
        topics = snapshot.topics
        return Context(
            snapshot=snapshot,
            ids={name: facts.topic_id for name, facts in topics.items()},
            compacted=frozenset(name for name, facts in topics.items() if facts.is_compacted),
            marks=self.marks,
            headers=self._headers,
            searches=self._searches,
            thresholds=self._thresholds,
        )


def views(
    snapshots: Sequence[Snapshot],
    headers: Iterable[Mapping[TopicPartition, tuple[int, BatchFacts]]] = (),
    *,
    thresholds: Thresholds = DEFAULT,
) -> dict[str, GroupView]:
    """The views after several looks, oldest first.

    ``headers``: for each of the looks, what was learnt of batches then: the offset that was asked for, and the header.
    """
    looks = Looks(thresholds=thresholds)
    learnt = [*headers, *({} for _ in snapshots)]
    found: dict[str, GroupView] = {}
    for snapshot, told in zip(snapshots, learnt, strict=False):
        asked = {part: offset for part, (offset, _) in told.items()}
        looks.told(snapshot, asked, {part: header for part, (_, header) in told.items()})
        found = looks.look(snapshot)
    return found
