"""One group over many looks: what is remembered of it, and the view that is made of it."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rota.model import TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, PartitionFacts, Snapshot
from rota.monitor.headers import Headers, Key
from rota.monitor.lag import NOTHING, Left, beyond_end, left
from rota.monitor.level import Thresholds, rates_of, rates_of_nothing
from rota.monitor.marks import Marks
from rota.monitor.search import Searches
from rota.monitor.time_lag import CAUGHT_UP, by_header, by_history, by_search
from rota.monitor.totals import total
from rota.monitor.view import GroupView, Level, MemberView, PartitionView, Rates, TimeLag, Totals
from rota.monitor.window import UNKNOWN, Edge, Series, Window, passed, series

__all__ = ["Context", "GroupLooks"]

HISTORY = 120
"""How many looks a group's small chart goes back."""
POINTS = 30
"""How many looks of a window are kept."""
STILL = Rates(0.0, 0.0, 0.0, Level.CAUGHT_UP)
"""Nothing comes, nothing goes, nothing is left."""

Point = tuple[int, int | None, float | None, float | None]
"""Of the small chart: when, the lag, records produced and consumed a second."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all groups of one look share."""

    snapshot: Snapshot
    ids: Mapping[str, str]
    """Topics' ids, by name."""
    compacted: frozenset[str]
    marks: Marks
    """Partitions in which transactions were seen."""
    headers: Headers
    searches: Searches
    thresholds: Thresholds

    def key(self, part: TopicPartition) -> Key:
        """Under which a partition is known to the caches."""
        return self.ids.get(part.topic) or part.topic, part.partition


class GroupLooks:
    """What was seen of one group of late."""

    def __init__(self, window_ms: int) -> None:
        self.view: GroupView | None = None
        self._window = Window(window_ms, POINTS)
        self._facts: GroupFacts | None = None
        self._owners: dict[TopicPartition, MemberFacts] = {}
        self._committed: frozenset[TopicPartition] = frozenset()
        self._parts: tuple[TopicPartition, ...] = ()
        self._keys: list[Key] = []
        self._commits: list[Commit | None] = []
        self._logs: list[PartitionFacts] = []
        self._views: tuple[PartitionView, ...] = ()
        self._columns: tuple[array[int], array[int], array[int]] = (array("q"), array("q"), array("q"))
        self._history: deque[Point] = deque(maxlen=HISTORY)
        self._is_still = False

    def look(self, facts: GroupFacts, context: Context) -> GroupView:
        """The view after one more look."""
        snapshot = context.snapshot
        committed = snapshot.commits.get(facts.group, {})
        has_moved = self._arrange(facts, committed)
        commits = [committed.get(part) for part in self._parts]
        logs = [snapshot.partitions.get(part, NOTHING) for part in self._parts]
        if self._is_still and not has_moved and commits == self._commits and logs == self._logs:
            return self._same_again(snapshot.at_ms)
        self._commits, self._logs = commits, logs
        self._keys = [context.key(part) for part in self._parts]
        lefts = [
            self._left(key, commit, log, context)
            for key, commit, log in zip(self._keys, commits, logs, strict=True)
        ]
        before = self._columns
        self._add_columns(snapshot.at_ms, lefts)
        return self._make(snapshot.at_ms, lefts, before, context)

    # What there is: members and partitions.

    def _arrange(self, facts: GroupFacts, committed: Mapping[TopicPartition, Commit]) -> bool:
        """Whether members or partitions are others than before. Members that are the same stay the same objects."""
        old = self._facts
        is_same = old is not None and facts == old
        if not is_same:
            known = {member.member_id: member for member in old.members} if old is not None else {}
            members = tuple(
                known[member.member_id] if known.get(member.member_id) == member else member
                for member in facts.members
            )
            self._facts = replace(facts, members=members)
            self._owners = self._facts.owners()
        if is_same and committed.keys() == self._committed:
            return False
        self._committed = frozenset(committed)
        parts = tuple(sorted(self._committed | self._owners.keys()))
        if parts != self._parts:
            places = {part: place for place, part in enumerate(self._parts)}
            order = [places.get(part) for part in parts]
            commits, ends, lags = self._columns
            self._columns = (_taken(commits, order), _taken(ends, order), _taken(lags, order))
            self._window.arrange(parts)
            self._parts = parts
            self._views = ()
        return True

    @staticmethod
    def _left(key: Key, commit: Commit | None, log: PartitionFacts, context: Context) -> Left:
        count = left(commit, log)
        if count.lag and count.position is not None and log.end is not None:
            beyond, _ = context.headers.beyond_markers(key, count.position, log.end)
            if beyond > count.position:
                return left(commit, log, beyond)
        return count

    # What it was: columns of numbers.

    def _add_columns(self, at_ms: int, lefts: Sequence[Left]) -> None:
        commits = array("q", [UNKNOWN if each is None else each.offset for each in self._commits])
        ends = array("q", [UNKNOWN if each.end is None else each.end for each in self._logs])
        lags = array("q", [UNKNOWN if each.lag is None else each.lag for each in lefts])
        was_committed, had_end, _ = self._columns
        went_back = [
            place
            for place, (new, old, end, old_end) in enumerate(
                zip(commits, was_committed, ends, had_end, strict=True)
            )
            if (new < old and new != UNKNOWN) or (end < old_end and end != UNKNOWN)
        ]
        self._window.forget(went_back)
        self._window.add(at_ms, commits, ends, lags)
        self._columns = commits, ends, lags

    def _remember(
        self, at_ms: int, lag: int | None, before: tuple[array[int], array[int], array[int]]
    ) -> None:
        """One more point of the small chart."""
        produced = consumed = None
        if self._history and at_ms > self._history[-1][0]:
            seconds = (at_ms - self._history[-1][0]) / 1_000
            commits, ends, _ = self._columns
            produced = _growth(before[1], ends) / seconds
            consumed = _growth(before[0], commits) / seconds
        self._note((at_ms, lag, produced, consumed))

    def _note(self, point: Point) -> None:
        """After a clock was set back the chart begins anew, as the window does."""
        if self._history and point[0] < self._history[-1][0]:
            self._history.clear()
        self._history.append(point)

    # The view.

    def _same_again(self, at_ms: int) -> GroupView:
        assert self.view is not None
        self._window.add(at_ms, *self._columns)
        self._note((at_ms, self.view.totals.lag, 0.0, 0.0))
        self.view = replace(self.view, at_ms=at_ms, history=tuple(self._history))
        return self.view

    def _make(
        self,
        at_ms: int,
        lefts: Sequence[Left],
        before: tuple[array[int], array[int], array[int]],
        context: Context,
    ) -> GroupView:
        assert self._facts is not None
        old = self._views or (None,) * len(self._parts)
        edges = self._window.edges()
        self._views = views = tuple(
            [
                self._partition(place, count, was, edge, before, context)
                for place, (count, was, edge) in enumerate(zip(lefts, old, edges, strict=True))
            ]
        )
        totals = self._totals(range(len(views)), context)
        self._remember(
            at_ms, totals.lag if totals.partitions > totals.uncommitted + totals.unknown else None, before
        )
        self._is_still = all(view.rates is STILL for view in views)
        self.view = GroupView(
            at_ms=at_ms,
            facts=self._facts,
            partitions=views,
            members=self._members(context),
            topics=self._topics(totals, context),
            totals=totals,
            history=tuple(self._history),
        )
        return self.view

    def _partition(
        self,
        place: int,
        count: Left,
        old: PartitionView | None,
        edge: Edge,
        before: tuple[array[int], array[int], array[int]],
        context: Context,
    ) -> PartitionView:
        part, commit, log = self._parts[place], self._commits[place], self._logs[place]
        member = self._owners.get(part)
        key = self._keys[place]
        time = self._time(place, count, log, context)
        rates = self._rates(place, edge, time.seconds, context.thresholds)
        if rates is STILL and old is not None and _is_the_same(old, commit, log, member):
            return old
        if log.stable is not None and log.end is not None and log.stable < log.end:
            context.marks.add(key, context.snapshot.at_ms)
        beyond = beyond_end(before[0][place], before[1][place], commit, log)
        return PartitionView(
            partition=part,
            commit=commit,
            start=log.start,
            end=log.end,
            stable=log.stable,
            lag=count.lag,
            member=member,
            time=time,
            rates=rates,
            at_most=bool(count.lag) and (part.topic in context.compacted or key in context.marks),
            lost=count.lost,
            blocked_by_transaction=count.blocked,
            beyond_end=beyond,
            leaderless=log.end is None and _is_leaderless(part, context.snapshot),
        )

    def _time(self, place: int, count: Left, log: PartitionFacts, context: Context) -> TimeLag:
        if not count.lag or count.position is None or log.end is None:
            return CAUGHT_UP if count.lag == 0 else TimeLag(None)
        key = self._keys[place]
        now_ms = context.snapshot.at_ms
        header = context.headers.at(key, count.position)
        if header is not None:
            newest = context.headers.newest_ms(key)
            return by_header(header, count.position, now_ms, newest, is_lost=count.lost > 0)
        found = context.searches.found(key, count.position)
        if found is not None:
            return by_search(*found, now_ms)
        ends = series(self._window.ends, place)
        return by_history(*passed(ends, self._window.at_ms, count.position), now_ms)

    def _rates(self, place: int, edge: Edge, late_s: float | None, thresholds: Thresholds) -> Rates:
        window, at_ms = self._window, self._window.at_ms
        commit, last_commit, end, last_end, lag, last_lag = edge
        if len(at_ms) > 1 and commit == last_commit and end == last_end and lag == last_lag >= 0:
            # Neither falls in a window, so nothing has moved in between.
            return rates_of_nothing(lag, at_ms, late_s, thresholds) if lag else STILL
        lags = series(window.lags, place)
        if min(commit, end, lag) == UNKNOWN or UNKNOWN in lags:
            produced = _per_second(_known(series(window.ends, place)), at_ms)
            consumed = _per_second(_known(series(window.commits, place)), at_ms)
            lags = _known(lags)
        else:
            produced = _per_second((end, last_end), (at_ms[0], at_ms[-1])) if len(at_ms) > 1 else None
            consumed = _per_second((commit, last_commit), (at_ms[0], at_ms[-1])) if len(at_ms) > 1 else None
        return rates_of(lags, at_ms[len(at_ms) - len(lags) :], produced, consumed, late_s, thresholds)

    # Together.

    def _totals(self, places: Sequence[int], context: Context) -> Totals:
        views = self._views if len(places) == len(self._views) else [self._views[place] for place in places]
        return total(views, lambda: self._window.sums(places), self._window.at_ms, context.thresholds)

    def _members(self, context: Context) -> tuple[MemberView, ...]:
        assert self._facts is not None
        places = {part: place for place, part in enumerate(self._parts)}
        return tuple(
            MemberView(member, self._totals([places[part] for part in member.assignment], context))
            for member in self._facts.members
        )

    def _topics(self, totals: Totals, context: Context) -> dict[str, Totals]:
        places: dict[str, list[int]] = {}
        for place, part in enumerate(self._parts):
            places.setdefault(part.topic, []).append(place)
        if len(places) == 1:
            return dict.fromkeys(places, totals)
        return {topic: self._totals(own, context) for topic, own in places.items()}


def _is_the_same(
    old: PartitionView, commit: Commit | None, log: PartitionFacts, member: MemberFacts | None
) -> bool:
    """Whether a view of a partition where nothing moves still holds. What may be beyond its end is looked at again."""
    if old.rates is not STILL or old.member is not member or old.commit != commit or commit is None:
        return False
    return (old.start, old.end, old.stable) == log[:3] and log.end is not None and commit.offset <= log.end


def _is_leaderless(part: TopicPartition, snapshot: Snapshot) -> bool:
    topic = snapshot.topics.get(part.topic)
    return (
        topic is not None and part.partition in topic.partitions and topic.partitions[part.partition] is None
    )


def _taken(column: array[int], order: Sequence[int | None]) -> array[int]:
    return array("q", [UNKNOWN if place is None else column[place] for place in order])


def _growth(before: array[int], now: array[int]) -> int:
    """Of the partitions that are known at both looks and did not go back."""
    return sum(new - old for old, new in zip(before, now, strict=True) if new > old >= 0)


def _known(numbers: Series) -> Series:
    """From the last look on since when it is known without a gap."""
    if UNKNOWN not in numbers:
        return numbers
    for place in range(len(numbers) - 1, -1, -1):
        if numbers[place] == UNKNOWN:
            return numbers[place + 1 :]
    return numbers


def _per_second(numbers: Series, at_ms: Sequence[int]) -> float | None:
    if len(numbers) < 2:
        return None
    span = at_ms[-1] - at_ms[len(at_ms) - len(numbers)]
    return (numbers[-1] - numbers[0]) * 1_000 / span if span else None
