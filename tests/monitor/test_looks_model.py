"""Many looks at groups that do what they like, against the plain sums that they must come to.

The shortcuts (what stands still is not worked out again, columns of numbers, sums that are asked for when needed) may
change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitor.snapshots import START_MS

from rota.model import TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, PartitionFacts, Snapshot
from rota.monitor.level import judge
from rota.monitor.looks import Looks
from rota.monitor.view import GroupView, PartitionView

EVERY_MS = 20_000
"""No look is left out of a window of ten minutes, and none of them falls out of it."""
PARTS = [TopicPartition(topic, number) for topic in ("a", "b") for number in range(2)]


@dataclass
class Log:
    """One partition and the group's place in it."""

    end: int | None = 10
    commit: int | None = 5
    member: int = 0
    ends: list[int | None] = field(default_factory=list)
    commits: list[int | None] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        """Whether it is one of the group's partitions."""
        return self.commit is not None or self.member < 2


steps = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(range(len(PARTS))),
            st.one_of(
                st.tuples(st.just("produce"), st.integers(1, 50)),
                st.tuples(st.just("consume"), st.integers(1, 60)),
                st.tuples(st.just("reset"), st.integers(0, 20)),
                st.tuples(st.just("uncommit"), st.just(0)),
                st.tuples(st.just("leaderless"), st.just(0)),
                st.tuples(st.just("move"), st.integers(0, 2)),
            ),
        ),
        max_size=4,
    ),
    min_size=1,
    max_size=12,
)


def play(log: Log, what: str, amount: int) -> None:
    match what:
        case "produce":
            log.end = (log.end or 0) + amount
        case "consume" if log.commit is not None and log.end is not None:
            log.commit = max(log.commit, min(log.end, log.commit + amount))
        case "reset":
            log.commit = amount
        case "uncommit":
            log.commit = None
        case "leaderless":
            log.end = None
        case "move":
            log.member = amount


def snapshot(logs: dict[TopicPartition, Log], number: int) -> Snapshot:
    """A look; member 2 is nobody."""
    members = tuple(
        MemberFacts(
            f"m{each}", f"c{each}", "h", assignment=tuple(part for part in PARTS if logs[part].member == each)
        )
        for each in (0, 1)
    )
    for log in logs.values():
        if log.is_there:
            log.ends.append(log.end)
            log.commits.append(log.commit)
        else:  # what was known of it is forgotten
            log.ends = [None] * (number + 1)
            log.commits = [None] * (number + 1)
    return Snapshot(
        START_MS + number * EVERY_MS,
        {"g": GroupFacts("g", "Classic", "Stable", members=members)},
        {"g": {part: Commit(log.commit) for part, log in logs.items() if log.commit is not None}},
        {part: PartitionFacts(0, log.end, log.end, 1, 0) for part, log in logs.items()},
    )


@settings(max_examples=200, deadline=None)
@given(steps)
def test_shortcuts_change_nothing(story: list[list[tuple[int, tuple[str, int]]]]) -> None:
    logs = {part: Log() for part in PARTS}
    looks = Looks()
    for number, moves in enumerate(story):
        for place, (what, amount) in moves:
            play(logs[PARTS[place]], what, amount)
        view = looks.look(snapshot(logs, number))["g"]
        _check(view, logs)


def _check(view: GroupView, logs: dict[TopicPartition, Log]) -> None:
    there = {part: log for part, log in logs.items() if log.is_there}
    assert {each.partition for each in view.partitions} == set(there)
    for each in view.partitions:
        _check_partition(each, logs[each.partition])
    lags = [each.lag for each in view.partitions if each.lag is not None]
    assert view.totals.lag == sum(lags)
    uncommitted = sum(log.commit is None for log in there.values())
    unknown = sum(log.commit is not None and log.end is None for log in there.values())
    assert (view.totals.uncommitted, view.totals.unknown) == (uncommitted, unknown)
    for member in view.members:
        held = [each for each in view.partitions if each.member == member.member]
        assert {each.partition for each in held} == set(member.member.assignment)
        assert member.totals.lag == sum(each.lag or 0 for each in held)
        assert member.totals.partitions == len(held)
    for topic, totals in view.topics.items():
        assert totals.lag == sum(each.lag or 0 for each in view.partitions if each.partition.topic == topic)


def _check_partition(view: PartitionView, log: Log) -> None:
    assert (None if view.commit is None else view.commit.offset, view.end) == (log.commit, log.end)
    if log.commit is None or log.end is None:
        assert view.lag is None
        return
    assert view.lag == max(0, log.end - log.commit)
    _check_rates(view, log)


def _check_rates(view: PartitionView, log: Log) -> None:
    both = list(zip(log.ends, log.commits, strict=True))
    broken = max(
        [number + 1 for number in range(len(both) - 1) if _goes_back(both[number], both[number + 1])],
        default=0,
    )
    if len(both) > 1 and both[0] == both[-1] and not broken:
        assert (view.rates.produced_per_s, view.rates.consumed_per_s) == (0.0, 0.0)
        return
    looks = range(broken, len(both))
    ends = _without_gaps([log.ends[number] for number in looks])
    commits = _without_gaps([log.commits[number] for number in looks])
    assert view.rates.produced_per_s == _rate(ends)
    assert view.rates.consumed_per_s == _rate(commits)
    count = min(len(ends), len(commits))
    lags = [max(0, end - commit) for end, commit in zip(ends[-count:], commits[-count:], strict=True)]
    times = [number * EVERY_MS for number in range(count)]
    level, _ = judge(lags, times, _rate(ends), view.time.seconds)
    assert view.rates.level is level


def _goes_back(before: tuple[int | None, int | None], after: tuple[int | None, int | None]) -> bool:
    """The end or the commit."""
    return any(
        new is not None and old is not None and new < old for old, new in zip(before, after, strict=True)
    )


def _without_gaps(numbers: list[int | None]) -> list[int]:
    """The last ones, up to the first that is not known."""
    found: list[int] = []
    for number in reversed(numbers):
        if number is None:
            break
        found.append(number)
    return found[::-1]


def _rate(numbers: list[int]) -> float | None:
    if len(numbers) < 2:
        return None
    return (numbers[-1] - numbers[0]) / ((len(numbers) - 1) * EVERY_MS / 1_000)
