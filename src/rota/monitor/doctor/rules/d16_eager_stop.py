"""D16: a rebalance under an eager assignor stopped everybody, although most partitions stayed where they were.

Evidence: the assignor, how long each rebalance took (the state in several looks, events, or the hole it made in the
commits), and how little had to move. In a small, healthy group an eager rebalance takes milliseconds and nobody
suffers: that is silent. Provoked with members that work long on a record when another one joins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.model import TopicPartition, count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.lives import since_ms
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import gaps, middle, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceCompleted, RebalanceStarted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["EAGER", "RULE"]

EAGER = frozenset({"range", "roundrobin", "sticky"})
"""Assignors under which members give up everything before each rebalance."""
_LONG_MS = 1_000
_FEW = 4


class _Stop(NamedTuple):
    """One rebalance: how long everything was stopped, how that is known, and how little had to be."""

    took_ms: int
    total: int
    had_to_move: int
    members: int
    source: str


def judge(evidence: Evidence) -> list[Finding]:
    """The longest stop of partitions that need not have stopped."""
    group = evidence.facts
    if group.type != "Classic" or group.assignor not in EAGER:
        return []
    stops = [stop for stop in _stops(evidence) if stop.took_ms >= _LONG_MS and stop.members > 1]
    worst = max(stops, key=lambda stop: stop.took_ms * (stop.total - stop.had_to_move), default=None)
    if worst is None or worst.had_to_move > worst.total / 2:
        return []
    lost_s = (worst.total - worst.had_to_move) * worst.took_ms / 1000
    return [
        RULE.finding(
            evidence,
            f"a rebalance stopped all {count_of(worst.total, 'partition')} for {span_text(worst.took_ms)}, and only "
            f"{worst.had_to_move} had to move: {group.assignor} is eager, everybody gives up everything first",
            EvidenceLine("assignor", group.assignor, "DescribeGroups"),
            EvidenceLine("longest stop", span_text(worst.took_ms), worst.source),
            EvidenceLine("had to move", f"{worst.had_to_move} of {worst.total}", evidence.events_source),
            EvidenceLine("partition seconds lost for nothing", f"{lost_s:.0f}", worst.source),
            certainty=Certainty.LIKELY,
            advice="Change to cooperative-sticky: then only partitions that move stop. Java: one rolling restart "
            "with both assignors in partition.assignment.strategy, a second with cooperative-sticky alone. librdkafka "
            "and kafka-python refuse such a mixture: stop all members, then start them with the new one. Or use "
            "group.protocol=consumer, where the brokers do it.",
            commands=(evidence.command("groups", "describe", "--state", names=[evidence.group]),),
            doubts="What made this rebalance long is a member that was slow to come to it (a long handler between two "
            "polls). Where members poll often, an eager rebalance takes milliseconds and is over sooner than a "
            "cooperative one.",
        )
    ]


def _stops(evidence: Evidence) -> Iterator[_Stop]:
    """The completed rebalances of groups with members before and after."""
    before: Mapping[str, tuple[TopicPartition, ...]] = {}
    began_ms: int | None = None
    for event in evidence.events or ():
        match event:
            case RebalanceStarted():
                began_ms = event.at_ms if began_ms is None else began_ms
            case RebalanceCompleted():
                now = event.assignment
                held = {each for share in before.values() for each in share}
                if held and now and event.at_ms >= since_ms(evidence):
                    took = max(_measured(evidence, event.at_ms, began_ms, sorted(held)))
                    total = sum(map(len, now.values()))
                    yield _Stop(took[0], total, _had_to_move(before, now), len(now), took[1])
                before, began_ms = now, None


def _had_to_move(
    before: Mapping[str, tuple[TopicPartition, ...]], now: Mapping[str, tuple[TopicPartition, ...]]
) -> int:
    """How many partitions had to go elsewhere: those of members that went, or as many as newcomers have got."""
    left = sum(len(share) for member, share in before.items() if member not in now)
    taken = sum(len(share) for member, share in now.items() if member not in before)
    return max(left, taken)


def _measured(
    evidence: Evidence, done_ms: int, began_ms: int | None, held: list[TopicPartition]
) -> Iterator[tuple[int, str]]:
    """How long it took, in each way that there is."""
    yield done_ms - began_ms if began_ms is not None else 0, evidence.events_source
    yield _seen_for(evidence, done_ms), "DescribeGroups in several looks"
    yield _hole(evidence, done_ms, held), "commits in __consumer_offsets"


def _seen_for(evidence: Evidence, done_ms: int) -> int:
    """For how long looks in a row had found the group rebalancing before it was done; at least."""
    ends = (each.at_ms for each in evidence.events or () if isinstance(each, RebalanceCompleted))
    before_ms = max((at_ms for at_ms in ends if at_ms < done_ms), default=0)
    times: list[int] = []
    for look in evidence.looks:
        seen = look.groups.get(evidence.group)
        if seen is not None and before_ms < look.at_ms <= done_ms:
            times = [*times, look.at_ms] if seen.is_rebalancing else []
    return done_ms - times[0] if times else 0


def _hole(evidence: Evidence, done_ms: int, held: list[TopicPartition]) -> int:
    """How much longer than usual partitions went without a commit around that time; the median."""
    holes = []
    for each in held:
        times = [step.at_ms for step in (evidence.commits or {}).get(each, ())]
        before, after = [t for t in times if t < done_ms], [t for t in times if t >= done_ms]
        if len(before) < _FEW or not after:
            continue
        usual, hole = middle(gaps(before)), after[0] - before[-1]
        holes.append(hole - usual if hole > 3 * usual else 0)
    return round(middle(holes))


RULE = Rule(
    id="D16",
    name="eager-stop",
    severity=Severity.WARNING,
    title="each rebalance stops every partition",
    judge=judge,
    lesson=Lesson(
        what="Under an eager assignor (range, roundrobin, Java's sticky) every member gives up all its partitions "
        "before it joins a rebalance, and gets its new share at the end. Nothing is read in between, also of the "
        "partitions that come back to the same member. Under a cooperative assignor a member keeps what it has, and "
        "gives up only what is to move.",
        why="The rebalance lasts until the slowest member comes to it, and that is at its next poll. With a handler "
        "of 20 seconds between two polls, all members stand still for up to 20 seconds whenever one comes or goes. In "
        "a group whose members poll often it takes milliseconds; there eager is even faster, because a cooperative "
        "rebalance needs a second round before the partitions that move are read again.",
        todo="If the stop hurts: cooperative-sticky, or group.protocol=consumer (KIP-848). Java clients change over "
        "with two rolling restarts, first with [cooperative-sticky, range], then with cooperative-sticky alone; "
        "librdkafka and kafka-python cannot mix them, so stop all and start all. Shorter work between two polls "
        "(smaller max.poll.records) makes every kind of rebalance shorter.",
    ),
)
