"""Groups as somebody watched them, made up and the same each time: for tests of pages and for looking at them."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, Node
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
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
from rota.timeline import events as ev

NAUGHTY = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "a/b/../c?d=e#f&g=h",
    "..",
    "it's 'quoted' \\ \"twice\"",
    "🐟 größe 東京",
    "%2e%2e%2f%3Cb%3E",
    "x" * 249,
    "javascript:alert(1)",
    "</title></script><b>",
)
"""Names that groups may have, and that a page must only ever show."""

COORDINATOR = Node(1, "broker-1.example", 9092, "a")


class Stage:
    """What a watch is to the web server, with views put there by a test."""

    def __init__(self, views: Mapping[str, GroupView]) -> None:
        self._views = dict(views)
        self._number = 1
        self._changed = threading.Condition()
        self.failure: RotaError | None = None
        self.log_failure: RotaError | None = None
        self.closely: frozenset[str] = frozenset()

    def views(self) -> Mapping[str, GroupView]:
        return dict(self._views)

    def wait(self, number: int, timeout_s: float | None = None) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, timeout_s)
            return self._number

    def look_closely(self, groups: Collection[str]) -> None:
        self.closely = frozenset(groups)

    def show(self, *views: GroupView, without: str = "") -> None:
        """One more look, with these groups as they are now, and one of them gone."""
        with self._changed:
            self._views.update({view.facts.group: view for view in views})
            self._views.pop(without, None)
            self._number += 1
            self._changed.notify_all()

    def fail(self, error: RotaError | None) -> None:
        with self._changed:
            self.failure = error
            self._number += 1
            self._changed.notify_all()


def member(name: str, *held: TopicPartition, host: str = "10.0.0.7") -> MemberFacts:
    return MemberFacts(f"{name}-6f0c2f1e-90ab-4c55", name, f"/{host}", assignment=held)


def group(
    name: str,
    at_ms: int,
    *,
    lag: int = 0,
    members: int = 2,
    partitions: int = 3,
    state: str = "Stable",
    level: Level = Level.CAUGHT_UP,
    seconds: float | None = None,
    findings: tuple[Finding, ...] = (),
    slope: float = 0.0,
) -> GroupView:
    """A group in which little happens."""
    parts = [TopicPartition("mails", number) for number in range(partitions)]
    there = [
        member(f"{name[:12]}-{number}", *parts[number::members], host=f"10.0.1.{number}")
        for number in range(members)
    ]
    facts = GroupFacts(name, "Classic", state, "range", coordinator=COORDINATOR, members=tuple(there))
    time = TimeLag(0.0, 0.0, Method.CAUGHT_UP, Quality.EXACT)
    if lag:
        time = TimeLag(seconds if seconds is not None else lag / 40, None, Method.RECORD, Quality.EXACT)
    rates = Rates(40.0, 40.0 - slope, None, level)
    history = tuple(
        (
            at_ms - back * 2000,
            max(0, round(lag - slope * 2 * back + 30 * math.sin(back / 3))),
            40.0,
            40.0 - slope,
        )
        for back in range(60, -1, -1)
    )
    return view_of(facts, parts, at_ms, lag, time, rates, history, findings=findings)


def view_of(
    facts: GroupFacts,
    parts: list[TopicPartition],
    at_ms: int,
    lag: int,
    time: TimeLag,
    rates: Rates,
    history: tuple[tuple[int, int | None, float | None, float | None], ...],
    **more: object,
) -> GroupView:
    owners = facts.owners()
    share = lag // max(len(parts), 1)
    rows = []
    for number, part in enumerate(parts):
        own = share + (lag - share * len(parts) if number == len(parts) - 1 else 0)
        end = 50_000 + 1_000 * number
        own_rates = replace(
            rates,
            produced_per_s=None if rates.produced_per_s is None else rates.produced_per_s / len(parts),
            consumed_per_s=None if rates.consumed_per_s is None else rates.consumed_per_s / len(parts),
        )
        rows.append(
            PartitionView(part, Commit(end - own), 100, end, end, own, owners.get(part), time, own_rates)
        )
    totals = Totals(lag, len(parts), worst=parts[-1] if lag else None, time=time, rates=rates)
    members = tuple(
        MemberView(
            each,
            Totals(
                sum(row.lag or 0 for row in rows if row.partition in each.assignment),
                len(each.assignment),
                time=time,
                rates=rates,
            ),
        )
        for each in facts.members
    )
    topics = dict.fromkeys(sorted({part.topic for part in parts}), totals)
    made: GroupView = replace(
        GroupView(at_ms, facts, tuple(rows), members, topics, totals, history),
        **more,  # type: ignore[arg-type]
    )
    return made


def orders(at_ms: int, *, rebalancing: bool = False, pods: int = 4) -> GroupView:
    """A group of twelve partitions, of which one member was silent a minute ago, and another came."""
    topic, name = "orders", "orders"
    parts = [TopicPartition(topic, number) for number in range(12)]

    def spread(*names: str) -> dict[str, tuple[TopicPartition, ...]]:
        size = math.ceil(len(parts) / len(names))
        batches = [tuple(parts[start : start + size]) for start in range(0, len(parts), size)]
        return {f"{who}-id": held for who, held in itertools.zip_longest(names, batches, fillvalue=())}

    def at(back_s: float) -> int:
        return at_ms - round(back_s * 1000)

    def begin(back_s: float, reason: ev.RebalanceReason, who: str, generation: int) -> ev.Event:
        return ev.RebalanceStarted(at(back_s), name, generation, reason, f"{who}-id")

    def done(back_s: float, generation: int, *names: str) -> ev.Event:
        return ev.RebalanceCompleted(
            at(back_s), name, generation, "cooperative-sticky", f"{names[0]}-id", spread(*names)
        )

    reasons = ev.RebalanceReason
    told: list[ev.Event] = [
        ev.MemberJoined(at(280), name, f"pod-{number}-id", f"pod-{number}", f"/10.2.1.{number}")
        for number in (4, 5, 6)
    ]
    told += [
        begin(280, reasons.MEMBER_JOINED, "pod-4", 40),
        done(277, 41, "pod-4", "pod-5", "pod-6"),
        ev.MemberJoined(at(190), name, "pod-7-id", "pod-7", "/10.2.1.7"),
        begin(190, reasons.MEMBER_JOINED, "pod-7", 41),
        done(186.4, 42, "pod-4", "pod-5", "pod-6", "pod-7"),
        ev.MemberLeft(at(96), name, "pod-6-id", reasons.SESSION_EXPIRED),
        begin(96, reasons.SESSION_EXPIRED, "pod-6", 42),
        done(88, 43, "pod-4", "pod-5", "pod-7"),
        ev.MemberJoined(at(41), name, "pod-8-id", "pod-8", "/10.2.1.8"),
        begin(41, reasons.MEMBER_JOINED, "pod-8", 43),
        done(38.5, 44, "pod-4", "pod-5", "pod-7", "pod-8"),
    ]
    names = ["pod-4", "pod-5", "pod-7", "pod-8"][:pods]
    now = None
    if rebalancing:
        told.append(ev.MemberLeft(at(6.2), name, "pod-8-id", reasons.POLL_INTERVAL_EXCEEDED))
        told.append(begin(6.2, reasons.POLL_INTERVAL_EXCEEDED, "pod-8", 44))
        names = names[:3]
        now = RebalanceView(
            at(6.2),
            "pod-8 took longer than max.poll.interval.ms between two polls",
            {part: at(6.2) for part in parts[9:]},
            ("pod-5",),
        )
    held = spread("pod-4", "pod-5", "pod-7", "pod-8")
    facts = GroupFacts(
        name,
        "Classic",
        "PreparingRebalance" if rebalancing else "Stable",
        "cooperative-sticky",
        coordinator=COORDINATOR,
        epoch=44,
        members=tuple(
            MemberFacts(f"{who}-id", who, f"/10.2.1.{who[-1]}", assignment=held[f"{who}-id"]) for who in names
        ),
    )
    history = []
    for back in range(290, -1, -2):
        pain = max(0.0, 1 - abs(back - 90) / 40) if back < 130 else 0
        read = 0.0 if 86 < back < 97 else 405 + 60 * math.sin(back / 11) + 280 * pain
        lag = round(240 + 5200 * pain + 90 * math.sin(back / 7))
        history.append((at(back), lag, 410 + 25 * math.sin(back / 17), read))
    time = TimeLag(2.9, 2.4, Method.RECORD, Quality.EXACT)
    rates = Rates(410.0, 452.0, 29.0, Level.FALLING)
    view = view_of(facts, parts, at_ms, 1204, time, rates, tuple(history))
    return replace(view, events=tuple(told), rebalance=now, findings=(HOT, IDLE))


HOT = Finding(
    "D05",
    "hot-partition",
    Severity.WARNING,
    "orders",
    "Partition orders-11 gets 61 % of all records; one member can not keep up with it alone.",
    (
        EvidenceLine("records/s into orders-11", "250", "ListOffsets"),
        EvidenceLine("records/s into the other 11 together", "160", "ListOffsets"),
        EvidenceLine("lag of orders-11", "1,012", "OffsetFetch"),
    ),
    Certainty.LIKELY,
    (TopicPartition("orders", 11),),
    advice="More members will not help: one partition has one reader. Choose a key that spreads the records.",
    commands=("rota groups describe orders --bootstrap-server broker-1.example:9092",),
    doubts="the hot key may be a matter of minutes",
)
IDLE = Finding(
    "D12",
    "session-expired",
    Severity.INFO,
    "orders",
    "pod-6 was silent for its whole session timeout a minute ago: it crashed, or its host was frozen.",
    (EvidenceLine("last heartbeat", "45.0 s before", "__consumer_offsets"),),
    Certainty.LIKELY,
    members=("pod-6",),
)
LOSS = Finding(
    "D01",
    "retention-ahead",
    Severity.CRITICAL,
    "audit",
    "Records will be deleted before they are read, in about 3h41m.",
    (EvidenceLine("retention.ms", "604800000", "DescribeConfigs"),),
    advice="Start the consumers of this group, or lengthen retention.ms of the topic.",
    commands=("rota groups describe audit",),
)


def fleet(at_ms: int, *, rebalancing: bool = False) -> list[GroupView]:
    """What one sees on a common day."""
    late = replace(
        group("audit", at_ms, lag=5100, members=0, state="Empty", level=Level.STABLE, seconds=172_800.0),
        findings=(LOSS,),
    )
    slow = group(
        "mail-sender",
        at_ms,
        lag=88_200,
        level=Level.GROWING,
        slope=22.0,
        seconds=192.0,
        members=6,
        partitions=10,
    )
    found = [
        orders(at_ms, rebalancing=rebalancing),
        late,
        replace(
            slow,
            findings=(
                replace(
                    HOT,
                    group="mail-sender",
                    words="Consumers read 18/s, producers write 40/s: two more members are needed.",
                ),
                IDLE,
            ),
        ),
        group("billing", at_ms),
        group("search-indexer", at_ms, lag=320, level=Level.STABLE, seconds=8.0, members=3),
        group("fraud-scores", at_ms, lag=12_400, level=Level.FALLING, slope=-31.0, seconds=310.0),
    ]
    return found + [group(name, at_ms) for name in ("payments", "shipping", "recommendations")]
