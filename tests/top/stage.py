"""Groups made by hand, and a source that shows them to `rota top` when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, Node
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.monitor.rebalances import Cost, Told, Verdict
from rota.monitor.view import (
    GroupView,
    Level,
    MemberView,
    Method,
    PartitionView,
    Quality,
    Rates,
    RebalanceView,
    TimeLag,
    Totals,
)
from rota.timeline import Timeline
from rota.timeline.account import accounts
from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

NOW_MS = 1_760_000_000_000


class Stage:
    """A source whose looks a test makes."""

    def __init__(self, *views: GroupView) -> None:
        self.failure: RotaError | None = None
        self.is_away = False
        self.refreshed = 0
        self.closely: frozenset[str] = frozenset()
        self._views = {view.facts.group: view for view in views}
        self._number = 1
        self._news = threading.Condition()

    def views(self) -> Mapping[str, GroupView]:
        return self._views

    def wait(self, number: int, timeout_s: float | None = None) -> int:
        with self._news:
            self._news.wait_for(lambda: self._number != number, timeout_s)
            return self._number

    def look_closely(self, groups: Collection[str]) -> None:
        self.closely = frozenset(groups)

    def refresh(self) -> None:
        self.refreshed += 1

    def show(self, *views: GroupView) -> None:
        """The next look."""
        with self._news:
            self._views = {view.facts.group: view for view in views}
            self._number += 1
            self.failure, self.is_away = None, False
            self._news.notify_all()

    def fail(self, words: str, *, found: Sequence[GroupView] | None = None) -> None:
        """A look that failed, or that found no more than these."""
        with self._news:
            self.failure, self.is_away = RotaError(words), found is None
            if found is not None:
                self._views = {view.facts.group: view for view in found}
            self._number += 1
            self._news.notify_all()


def member(number: int, *held: TopicPartition, static: bool = False) -> MemberFacts:
    name = f"pod-{number}"
    return MemberFacts(
        f"{name}-4f1c{number:02}", name, f"/10.2.1.{number}", name if static else None, assignment=tuple(held)
    )


def tp(number: int, topic: str = "orders") -> TopicPartition:
    return TopicPartition(topic, number)


def partition(
    part: TopicPartition,
    owner: MemberFacts | None,
    committed: int | None = 41_000,
    end: int = 41_200,
    level: Level = Level.STABLE,
    seconds: float | None = 4.0,
) -> PartitionView:
    lag = None if committed is None else max(0, end - committed)
    return PartitionView(
        part,
        None if committed is None else Commit(committed, at_ms=NOW_MS - 1_200),
        0,
        end,
        end,
        lag,
        owner,
        TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT)
        if lag == 0
        else TimeLag(seconds, seconds, Method.RECORD, Quality.EXACT),
        Rates(102.4, 98.2, None, level),
    )


def group(
    name: str = "orders-group",
    *,
    members: int = 3,
    partitions: int = 12,
    state: str = "Stable",
    level: Level = Level.STABLE,
    lag: int = 200,
    events: tuple[Event, ...] = (),
    findings: tuple[Finding, ...] = (),
    rebalance: RebalanceView | None = None,
    kind: str = "Classic",
    topic: str = "orders",
) -> GroupView:
    """So many members that share so many partitions evenly, in blocks."""
    shares: list[list[TopicPartition]] = [[] for _ in range(members)]
    for number in range(partitions):
        if members:
            shares[number * members // partitions].append(tp(number, topic))
    people = [member(number + 1, *held) for number, held in enumerate(shares)]
    owners = {part: each for each in people for part in each.assignment}
    parts = tuple(
        partition(tp(number, topic), owners.get(tp(number, topic)), end=41_000 + lag, level=level)
        for number in range(partitions)
    )
    return whole(
        name,
        people,
        parts,
        state=state,
        level=level,
        events=events,
        findings=findings,
        rebalance=rebalance,
        kind=kind,
    )


def whole(
    name: str,
    people: list[MemberFacts],
    parts: tuple[PartitionView, ...],
    *,
    state: str = "Stable",
    level: Level = Level.STABLE,
    events: tuple[Event, ...] = (),
    findings: tuple[Finding, ...] = (),
    rebalance: RebalanceView | None = None,
    kind: str = "Classic",
) -> GroupView:
    """A view of these members and partitions."""
    facts = GroupFacts(
        name,
        kind,
        state,
        "cooperative-sticky" if kind == "Classic" else "uniform",
        coordinator=Node(2, "b2", 9092),
        epoch=41,
        members=tuple(people),
    )
    topics: dict[str, list[PartitionView]] = {}
    for part in parts:
        topics.setdefault(part.partition.topic, []).append(part)
    return GroupView(
        NOW_MS,
        facts,
        parts,
        tuple(
            MemberView(each, totals([part for part in parts if part.member == each], level))
            for each in people
        ),
        {topic: totals(found, level) for topic, found in topics.items()},
        totals(list(parts), level),
        tuple((NOW_MS - (20 - i) * 2_000, 100 + 60 * i, 410.0, 305.0) for i in range(20)),
        rebalance,
        events,
        findings,
    )


def totals(parts: list[PartitionView], level: Level) -> Totals:
    lags = [part.lag for part in parts if part.lag is not None]
    times = [part.time.seconds for part in parts if part.time.seconds is not None]
    return Totals(
        sum(lags),
        len(parts),
        uncommitted=sum(part.commit is None for part in parts),
        worst=parts[-1].partition if parts else None,
        time=TimeLag(max(times), max(times), Method.RECORD, Quality.EXACT) if times else TimeLag(None),
        rates=Rates(410.0, 305.0, 540.0 if level is Level.FALLING else None, level),
    )


def finding(group_name: str = "orders-group", severity: Severity = Severity.WARNING) -> Finding:
    return Finding(
        "D05",
        "hot-partition",
        severity,
        group_name,
        "Partition orders-11 gets 41 % of all records, and its consumer cannot keep up.",
        (EvidenceLine("produced to orders-11", "168/s of 410/s", "ListOffsets"),),
        Certainty.LIKELY,
        (tp(11),),
        (),
        "Choose a key with more values, or more partitions.",
        ("rota plan --topic orders --partitions 24",),
        "A burst that is over within a minute.",
    )


def told(view: GroupView) -> GroupView:
    """The same with the account of each rebalance among its events."""
    found = []
    for item in accounts(Timeline.of(view.events, view.facts.group).summary()):
        done = item.rebalance
        assert done.reason is not None
        verdict = Verdict(done.reason, done.member, Certainty.LIKELY, "nothing was heard of it for 6.0 s")
        found.append(Told(done.started_ms, (verdict,), item, Cost({}, False), {}, True))
    return replace(view, told=tuple(found))


def story(name: str = "orders-group") -> tuple[Event, ...]:
    """Three members, and pod-4 that was there and went."""
    at = NOW_MS - 60_000
    everybody = [member(number) for number in range(1, 5)]
    joined = [
        MemberJoined(at + i, name, each.member_id, each.client_id, each.host)
        for i, each in enumerate(everybody)
    ]
    shares = {each.member_id: (tp(i), tp(i + 4), tp(i + 8)) for i, each in enumerate(everybody)}
    return (
        *joined,
        RebalanceStarted(at, name, 39, RebalanceReason.MEMBER_JOINED, everybody[0].member_id),
        RebalanceCompleted(at + 400, name, 40, "cooperative-sticky", None, shares),
        MemberLeft(at + 18_000, name, everybody[3].member_id, RebalanceReason.SESSION_EXPIRED),
        RebalanceStarted(at + 18_000, name, 40, RebalanceReason.SESSION_EXPIRED, everybody[3].member_id),
        RebalanceCompleted(
            at + 19_800,
            name,
            41,
            "cooperative-sticky",
            None,
            {each.member_id: tuple(tp(i * 4 + k) for k in range(4)) for i, each in enumerate(everybody[:3])},
        ),
    )


def rebalancing(
    view: GroupView, *paused: int, since_ms: int = NOW_MS - 1_800, waiting: tuple[str, ...] = ("pod-2",)
) -> GroupView:
    """The same group in the middle of a rebalance."""
    return replace(
        view,
        facts=replace(view.facts, state="PreparingRebalance"),
        rebalance=RebalanceView(
            since_ms,
            "pod-4 was silent for its whole session timeout",
            {tp(number): since_ms for number in paused},
            waiting,
        ),
    )
