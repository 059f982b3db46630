"""``Live``: a `Watch` that also says at once when a group rebalances, and why; what screens read.

Three things are brought together. Looks at everything, every few seconds: lag and rates. `__consumer_offsets` as it
grows: it tells of every rebalance when it is done (and with KIP-848 when it begins), why, and what was before. And the
pulse: of a classic group nothing is recorded when a rebalance begins, so all brokers are asked, several times a second,
which groups rebalance (ListGroups with states: an answer of some bytes), and only those that do are described.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import REBALANCING, Commit, GroupFacts
from rota.monitor.level import DEFAULT, Thresholds
from rota.monitor.present import still_held, with_facts
from rota.monitor.rebalances.polled import PollReader
from rota.monitor.view import GroupView, RebalanceView
from rota.watching.evidence import Checkup
from rota.watching.mistakes import Mistakes
from rota.watching.offsets_topic import OffsetsTopic
from rota.watching.watch import Watch

if TYPE_CHECKING:
    from rota.admin import Admin
    from rota.monitor.facts import Snapshot
    from rota.monitor.findings import Finding
    from rota.monitor.rebalances import Told
    from rota.timeline.events import Event
    from rota.watching.looking import Seen

__all__ = ["PULSE_S", "Live"]

log = logging.getLogger(__name__)

PULSE_S: Final = 0.3
LEAST_GAP_S: Final = 0.1
"""News of the topic are gathered for so long: a busy cluster commits all the time."""
DOCTOR_S: Final = 10.0
DOCTOR_SHARE: Final = 0.1
"""The doctor looks again after so long; of thousands of groups more seldom, for meanwhile nobody looks at lag."""
END_S: Final = 2.0
VIEW: Final = "making the view of group"
WHY_UNKNOWN: Final = "why is not known yet"


class _Reader(Protocol):
    """What `OffsetsTopic` and `PollReader` have in common."""

    def events(self, group: str) -> list[Event]: ...
    def account(self, group: str) -> list[Told]: ...
    def rebalance(self, group: str, now_ms: int) -> RebalanceView | None: ...
    def versions(self) -> dict[str, int]: ...
    def look_at_ends(self, ends: Mapping[TopicPartition, int], at_ms: int) -> None: ...


class _Fresh(NamedTuple):
    """What a group answered between looks: when, and when the look was from that was shown then (0: none)."""

    at_ms: int
    shown_ms: int
    facts: GroupFacts

    def is_older(self, look_ms: int, asked_ms: int) -> bool:
        """Than a look that ended, and began, then; also where a clock was set back since."""
        return self.at_ms < asked_ms or look_ms < self.shown_ms


@dataclass(frozen=True, slots=True)
class _Made:
    """A view, and of what it was made."""

    base: GroupView
    version: int
    fresh: GroupFacts | None
    findings: tuple[Finding, ...]
    close: bool
    view: GroupView

    @property
    def awaits_look(self) -> bool:
        """Whether the last rebalance ended after the look: the next one tells how many records had come by then."""
        return bool(self.view.told) and self.view.told[-1].until_ms > self.base.at_ms


class Live:
    """Readers as those of `Watch`: none of it waits for the cluster.

    Where `__consumer_offsets` may not be read (`log_failure`), rebalances are what looks show. ``doctor_s``: how often
    the doctor examines, at most; ``connection``: options that its command lines need.
    """

    def __init__(
        self,
        admin: Admin,
        *,
        groups: Collection[str] | None = None,
        interval_s: float = 2.0,
        window_s: float = 600.0,
        pulse_s: float = PULSE_S,
        doctor_s: float = DOCTOR_S,
        thresholds: Thresholds = DEFAULT,
        connection: tuple[str, ...] | None = None,
    ) -> None:
        self._admin = admin
        self._groups = None if groups is None else frozenset(groups)
        self._pulse_s = pulse_s
        self._topic = OffsetsTopic(admin, groups)
        self._polls = PollReader()
        checkup = Checkup(
            admin,
            groups=groups,
            topic=self._topic,
            window_s=window_s,
            thresholds=thresholds,
            connection=connection,
        )
        self._examined = _Examined(checkup, doctor_s)
        self._watch = Watch(source=self._examined, interval_s=interval_s)
        self._closely: frozenset[str] = frozenset()
        self._busy: dict[str, int] = {}
        """Groups that rebalance, and since when they were seen to."""
        self._fresh: dict[str, _Fresh] = {}
        self._held: dict[str, dict[str, tuple[TopicPartition, ...]]] = {}
        self._made: dict[str, _Made] = {}
        self._views: dict[str, GroupView] = {}
        self._number = 0
        self._looked = 0
        self._asked = 0
        """How often groups were described between looks."""
        self._before: object = None
        self._versions: Mapping[str, int] = {}
        self._mistakes = Mistakes(log)
        self._wrong: dict[tuple[str, str], RotaError] = {}
        """Mistakes that stand: what failed the last time, and of which group."""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rota-live", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What readers do

    def views(self) -> Mapping[str, GroupView]:
        """Every group as it is now, by name."""
        return self._views

    @property
    def failure(self) -> RotaError | None:
        """Why the last look found nothing, or not all, or what of it is not shown; None if all is well."""
        return self._watch.failure or self._examined.failure or next(iter(list(self._wrong.values())), None)

    @property
    def is_away(self) -> bool:
        """Whether the last look found nothing at all."""
        return self._watch.seen.is_blind

    @property
    def log_failure(self) -> RotaError | None:
        """Why `__consumer_offsets` is not read; None if it is."""
        return self._topic.failure

    def wait(self, number: int, timeout_s: float | None = None) -> int:
        """Wait for more news than ``number`` counts; how much there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number or self._closing.is_set(), timeout_s)
            return self._number

    def refresh(self) -> None:
        """Look again at once."""
        self._watch.refresh()

    def look_closely(self, groups: Collection[str]) -> None:
        """Somebody looks at these: from now on their commits have times, and their rebalances accounts and costs."""
        self._closely = frozenset(groups)

    def close(self) -> None:
        """End."""
        self._closing.set()
        self._examined.is_closing = True
        with self._changed:
            self._changed.notify_all()
        self._watch.close()
        self._topic.close()
        self._thread.join(END_S)

    # The thread

    @property
    def _reader(self) -> _Reader:
        return self._topic if self._is_read else self._polls

    @property
    def _is_read(self) -> bool:
        return self._topic.failure is None

    def _run(self) -> None:
        heard, due_s = 0, 0.0
        while not self._closing.is_set():
            began_s = time.monotonic()
            if self._is_read:
                heard = self._topic.wait(heard, max(0.0, due_s - began_s))
                self._closing.wait(max(0.0, LEAST_GAP_S - (time.monotonic() - began_s)))
            else:
                self._closing.wait(max(LEAST_GAP_S, due_s - began_s))
            if self._closing.is_set():
                return
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + self._pulse_s
                self._try("asking who rebalances", self._feel)
            self._try("making the views of groups", self._bring_together)

    def _try(self, what: str, do: Callable[[], None], group: str = "") -> bool:
        """Whether it went well. What does not is known from `failure`, and ends neither the thread nor other groups."""
        try:
            do()
        except Exception as error:
            if not self._closing.is_set():  # else the connections were closed under it
                name = f"{what} {group}".strip()
                self._wrong[what, group] = self._mistakes.note(name, error)
            return False
        self._wrong.pop((what, group), None)
        return True

    def _feel(self) -> None:
        """Which groups rebalance now, and what they say of themselves."""
        try:
            listed, _ = self._admin.list_groups(states=sorted(REBALANCING))
            names = {each.group for each in listed} | self._busy.keys()
            if self._groups is not None:
                names &= self._groups
            self._describe(names)
        except RotaError:  # the looks at everything say so
            return

    def _describe(self, names: Collection[str]) -> None:
        if not names:
            return
        began_s = time.monotonic()
        answers = self._admin.describe_groups(sorted(names))
        at_ms, took_ms = time.time_ns() // 1_000_000, round((time.monotonic() - began_s) * 1000)
        self._asked += 1
        for name, facts in answers.items():
            if isinstance(facts, RotaError):
                continue
            self._tell(facts, at_ms, took_ms)
            shown = self._watch.views().get(name)
            self._fresh[name] = _Fresh(at_ms, 0 if shown is None else shown.at_ms, facts)
            if facts.is_rebalancing:
                self._busy.setdefault(name, at_ms)
            elif self._busy.pop(name, None) is not None:
                self._watch.refresh()  # who has what now, and how far behind

    def _tell(self, facts: GroupFacts, at_ms: int, took_ms: int) -> None:
        """Looks are evidence for why a group rebalanced."""
        self._try("comparing looks at group", lambda: self._compare(facts, at_ms, took_ms), facts.group)

    def _compare(self, facts: GroupFacts, at_ms: int, took_ms: int) -> None:
        if self._is_read:
            self._topic.look(facts, at_ms, took_ms)
            return
        view = self._watch.views().get(facts.group)
        commits: dict[TopicPartition, Commit] = {}
        if view is not None:
            commits = {part.partition: part.commit for part in view.partitions if part.commit is not None}
        self._polls.look(facts, commits, at_ms, took_ms)

    def _bring_together(self) -> None:
        """Make the views that have changed, and tell the readers if there are any."""
        seen = self._watch.seen
        if seen.number != self._looked and not self._is_read:
            for view in seen.views.values():
                self._tell(view.facts, view.at_ms, view.at_ms - _asked_ms(seen, view))
        if seen.number != self._looked:
            self._look_at_ends(seen)
        versions = self._reader.versions()
        away = {} if seen.snapshot is None else seen.snapshot.failures
        if versions is not self._versions:
            news = [name for name in seen.views if versions.get(name, 0) != self._version(name)]
            asked = [name for name in news if name not in away]
            if asked:
                self._ask(asked)
                versions = self._reader.versions()
            self._versions = versions
        now = seen.number, versions, self._asked, self._examined.findings, self._closely
        if now == self._before and not self._busy:
            return
        self._before = now
        views: dict[str, GroupView] = {}
        changed = seen.number != self._looked
        for name, base in seen.views.items():
            before, version = self._made.get(name), versions.get(name, 0)
            try:
                made = self._made_of(base, _asked_ms(seen, base), before, version)
            except Exception as error:
                views[name] = self._unmade(name, base, error)
                changed = changed or views[name] != self._views.get(name)
                continue
            if made is not before:
                changed = True
                self._wrong.pop((VIEW, name), None)
            self._made[name], views[name] = made, made.view
        self._forget((self._views.keys() | self._passed(seen)) - views.keys())
        self._looked = seen.number
        if changed:
            with self._changed:
                self._views = views
                self._number += 1
                self._changed.notify_all()

    def _look_at_ends(self, seen: Seen) -> None:
        """Of groups that somebody looks at closely: how many records had to wait in a rebalance."""
        for view in [seen.views[name] for name in self._closely if name in seen.views]:
            ends = {part.partition: part.end for part in view.partitions if part.end is not None}
            self._reader.look_at_ends(ends, view.at_ms)

    def _unmade(self, name: str, base: GroupView, error: Exception) -> GroupView:
        """What is shown of a group of which no more can be made: the look at it."""
        self._made.pop(name, None)
        if not self._closing.is_set():
            self._wrong[VIEW, name] = self._mistakes.note(f"{VIEW} {name}", error)
        return replace(base, findings=self._examined.findings.get(name, ()))

    def _passed(self, seen: Seen) -> set[str]:
        """Groups that somebody asked about before the last look began: if that has not got them, they are gone."""
        if seen.snapshot is None or seen.failure is not None:
            return set()
        ended_ms = seen.snapshot.at_ms
        asked_ms = ended_ms - round(seen.snapshot.took_ms)
        return {name for name, each in self._fresh.items() if each.is_older(ended_ms, asked_ms)}

    def _forget(self, groups: Collection[str]) -> None:
        for name in groups:
            self._polls.gone(name)
            for kept in (self._made, self._fresh, self._held, self._busy):
                kept.pop(name, None)
        for what, name in list(self._wrong):
            if name in groups:
                del self._wrong[what, name]

    def _version(self, name: str) -> int:
        """Of what is shown; a group that is not shown yet is asked by the look that will show it."""
        made = self._made.get(name)
        return 0 if made is None else made.version

    def _ask(self, names: Collection[str]) -> None:
        """Something was recorded of these since the last look: how they are now."""
        if self._is_read and not self._topic.is_caught_up:
            return  # what was long ago
        try:
            self._describe([name for name in names if name in self._made and name not in self._busy])
        except RotaError:  # the looks at everything say so
            return

    def _made_of(self, base: GroupView, asked_ms: int, made: _Made | None, version: int) -> _Made:
        name = base.facts.group
        fresh = self._fresh.get(name)
        if fresh is not None and fresh.is_older(base.at_ms, asked_ms):
            del self._fresh[name]
            fresh = None
        facts = None if fresh is None else fresh.facts
        findings = self._examined.findings.get(name, ())
        close, old = name in self._closely, made is not None and made.version == version
        if made is not None and old and name not in self._busy:
            same = made.base is base and made.fresh is facts and made.findings is findings
            if same and made.close is close:
                return made
        current = self._completed(base.facts if facts is None else facts)
        view = with_facts(base, current)
        if close and self._is_read:
            view = self._timed(view)
        events = made.view.events if made is not None and old else tuple(self._reader.events(name))
        told: tuple[Told, ...] = ()
        if close:
            shown = made is not None and old and made.close and (made.base is base or not made.awaits_look)
            told = made.view.told if made is not None and shown else tuple(self._reader.account(name))
        rebalance = self._rebalance(current)
        view = replace(view, events=events, told=told, rebalance=rebalance, findings=findings)
        return _Made(base, version, facts, findings, close, view)

    def _completed(self, facts: GroupFacts) -> GroupFacts:
        """With what only the log knows, and with what members hold in the middle of a rebalance."""
        if self._is_read:
            facts = self._topic.completed(facts)
        if facts.is_rebalancing:
            return still_held(facts, self._held.get(facts.group, {}))
        self._held[facts.group] = {each.member_id: each.assignment for each in facts.members}
        return facts

    def _rebalance(self, facts: GroupFacts) -> RebalanceView | None:
        now_ms = time.time_ns() // 1_000_000
        found = self._reader.rebalance(facts.group, now_ms)
        if found is not None or not facts.is_rebalancing:
            return found
        since_ms = self._busy.get(facts.group, now_ms)
        return RebalanceView(since_ms, WHY_UNKNOWN, {})

    def _timed(self, view: GroupView) -> GroupView:
        commits = {part.partition: part.commit for part in view.partitions if part.commit is not None}
        timed = self._topic.timed(view.facts.group, commits)
        parts = tuple(
            replace(part, commit=timed[part.partition]) if part.partition in timed else part
            for part in view.partitions
        )
        return replace(view, partitions=parts)


def _asked_ms(seen: Seen, view: GroupView) -> int:
    """When the look began that a view is from; of one that stayed from an earlier look, when that ended."""
    snapshot = seen.snapshot
    is_new = snapshot is not None and snapshot.at_ms == view.at_ms
    return view.at_ms - (round(snapshot.took_ms) if snapshot is not None and is_new else 0)


class _Examined:
    """Looks, and now and then what the doctor says of them; in the thread of the `Watch`."""

    def __init__(
        self, checkup: Checkup, interval_s: float = DOCTOR_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.findings: Mapping[str, tuple[Finding, ...]] = {}
        self._checkup = checkup
        self._clock = clock
        self._interval_s = interval_s
        self._due_s = 0.0
        self._found_s = 0.0
        """When a look last found something."""
        self._before: Snapshot | None = None
        self._mistakes = Mistakes(log)
        self.failure: RotaError | None = None
        """Why the doctor says nothing: a mistake of Rota's."""
        self.is_closing = False

    def look(self) -> Seen:
        """One more look; of a look that found some groups and not others all that were found are examined.

        Where nobody answers for as long as the doctor rests, findings are gone: nobody knows whether they still are so.
        """
        seen = self._checkup.look()
        new, self._before = seen.snapshot is not self._before, seen.snapshot
        began_s = self._clock()
        if not new:
            if began_s >= self._found_s + self._interval_s:
                self.findings, self._due_s = {}, began_s
            return seen
        self._found_s = began_s
        if began_s < self._due_s:
            return seen
        self._examine()
        took_s = self._clock() - began_s
        self._due_s = began_s + max(self._interval_s, took_s / DOCTOR_SHARE)
        return seen

    def _examine(self) -> None:
        try:
            found = {name: each.findings for name, each in self._checkup.diagnoses().items()}
        except Exception as error:
            if self.is_closing:  # the connections were closed under it
                return
            self.findings = {}
            self.failure = self._mistakes.note("the doctor", error)
        else:
            self.findings, self.failure = found, None
