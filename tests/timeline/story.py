"""Made-up lives of groups, for tests and for looking at pictures: a small model with its own clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from rota.model import TopicPartition
from rota.timeline import events as ev

START_MS = 1_790_000_000_000


@dataclass
class Story:
    """A topic that is produced steadily, and consumers that are given partitions by who tells the story."""

    partitions: int = 3
    produce_every_ms: int = 20
    commit_every_ms: int = 200
    topic: str = "orders"
    group: str = "workers"
    now_ms: int = START_MS
    generation: int = 0
    events: list[ev.Event] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)

    def tell(self, event: ev.Event) -> None:
        self.events.append(event)

    def tps(self, numbers: list[int]) -> tuple[TopicPartition, ...]:
        return tuple(TopicPartition(self.topic, number) for number in numbers)

    def start(self, consumer: str, *, instance: str | None = None) -> None:
        self.tell(ev.ConsumerStarted(self.now_ms, consumer, 1000 + len(self.events)))
        self.tell(
            ev.MemberJoined(self.now_ms, self.group, f"{consumer}-id", consumer, "/127.0.0.1", instance)
        )

    def rebalance(
        self, reason: ev.RebalanceReason, member: str, duration_ms: int, plan: dict[str, list[int]]
    ) -> None:
        """An eager rebalance: everybody who is given something else gives back what it has, at the end."""
        self.tell(ev.RebalanceStarted(self.now_ms, self.group, self.generation, reason, f"{member}-id"))
        self.run(duration_ms)
        self.generation += 1
        for consumer in sorted(set(self.owners.values())):
            lost = [number for number, owner in self.owners.items() if owner == consumer]
            gone = [number for number in lost if number not in plan.get(consumer, [])]
            if gone:
                self.revoke(consumer, gone)
        assignment = {f"{name}-id": self.tps(numbers) for name, numbers in plan.items()}
        self.tell(
            ev.RebalanceCompleted(
                self.now_ms, self.group, self.generation, "range", f"{next(iter(plan))}-id", assignment
            )
        )
        for consumer, numbers in plan.items():
            self.assign(consumer, [number for number in numbers if self.owners.get(number) != consumer])

    def assign(self, consumer: str, numbers: list[int]) -> None:
        if numbers:
            self.tell(ev.Assigned(self.now_ms, consumer, self.tps(numbers)))
        for number in numbers:
            self.owners[number] = consumer
            self.positions[number] = self.committed.get(number, 0)

    def revoke(self, consumer: str, numbers: list[int], *, commit: bool = True) -> None:
        if commit:
            self.commit(consumer)
        self.tell(ev.Revoked(self.now_ms, consumer, self.tps(numbers)))
        for number in numbers:
            del self.owners[number]

    def commit(self, consumer: str) -> None:
        for number, owner in self.owners.items():
            position = self.positions.get(number, 0)
            if owner == consumer and self.committed.get(number, 0) != position:
                self.committed[number] = position
                self.tell(ev.Committed(self.now_ms, consumer, self.topic, number, position))

    def kill(self, consumer: str) -> None:
        self.tell(ev.Fault(self.now_ms, consumer, ev.FaultKind.KILLED))
        self.owners = {number: owner for number, owner in self.owners.items() if owner != consumer}

    def stop(self, consumer: str, *, leave: bool = True) -> None:
        held = [number for number, owner in self.owners.items() if owner == consumer]
        if held:
            self.revoke(consumer, held)
        if leave:
            reason = ev.RebalanceReason.MEMBER_LEFT
            self.tell(ev.MemberLeft(self.now_ms, self.group, f"{consumer}-id", reason))
        self.tell(ev.ConsumerStopped(self.now_ms, consumer, "SIGTERM"))

    def run(self, duration_ms: int) -> None:
        """Time passes: records are produced, delivered, processed 5 ms later, committed now and then."""
        until = self.now_ms + duration_ms
        while self.now_ms < until:
            step = min(self.produce_every_ms, until - self.now_ms)
            self.now_ms += step
            if step == self.produce_every_ms:
                for number in range(self.partitions):
                    self._produce(number)
            for number in list(self.owners):
                self._read(number)
            if (self.now_ms - START_MS) % self.commit_every_ms < self.produce_every_ms:
                for consumer in sorted(set(self.owners.values())):
                    self.commit(consumer)

    def _produce(self, number: int) -> None:
        offset = self.ends.get(number, 0)
        self.ends[number] = offset + 1
        self.tell(ev.Produced(self.now_ms, self.topic, number, offset, offset))

    def _read(self, number: int) -> None:
        first, last = self.positions.get(number, 0), self.ends.get(number, 0) - 1
        if first <= last:
            consumer = self.owners[number]
            self.tell(ev.Delivered(self.now_ms, consumer, self.topic, number, first, last))
            self.tell(ev.Processed(self.now_ms, consumer, self.topic, number, first, last))
            self.positions[number] = last + 1


R = ev.RebalanceReason


@cache
def three_consumers_one_killed() -> Story:
    """Three consumers, one each of six partitions' thirds; c3 is killed, missed after 6 s, and comes back."""
    story = Story(partitions=6)
    story.start("c1")
    story.rebalance(R.MEMBER_JOINED, "c1", 3000, {"c1": [0, 1, 2, 3, 4, 5]})
    story.run(4000)
    story.start("c2")
    story.rebalance(R.MEMBER_JOINED, "c2", 1900, {"c1": [0, 1, 2], "c2": [3, 4, 5]})
    story.run(4000)
    story.start("c3")
    story.rebalance(R.MEMBER_JOINED, "c3", 2000, {"c1": [0, 1], "c2": [2, 3], "c3": [4, 5]})
    story.run(5090)
    story.kill("c3")
    story.run(6000)
    story.rebalance(R.SESSION_EXPIRED, "c3", 2000, {"c1": [0, 1, 4], "c2": [2, 3, 5]})
    story.run(5000)
    story.start("c3")
    story.rebalance(R.MEMBER_REJOINED, "c3", 2000, {"c1": [0, 1], "c2": [2, 3], "c3": [4, 5]})
    story.run(5000)
    story.stop("c2")
    story.rebalance(R.MEMBER_LEFT, "c2", 2000, {"c1": [0, 1, 2], "c3": [3, 4, 5]})
    story.run(4000)
    return story


@cache
def static_restart() -> Story:
    """Two static members; one is restarted within its session timeout: no rebalance, the same partitions."""
    story = Story(partitions=4)
    story.start("a", instance="a")
    story.start("b", instance="b")
    story.rebalance(R.MEMBER_JOINED, "b", 3000, {"a": [0, 1], "b": [2, 3]})
    story.run(5000)
    story.stop("b", leave=False)
    story.run(2500)
    story.start("b", instance="b")
    story.assign("b", [2, 3])
    story.run(5000)
    return story


@cache
def short() -> Story:
    """Five seconds, two partitions, one consumer joined by another."""
    story = Story(partitions=2)
    story.start("left")
    story.rebalance(R.MEMBER_JOINED, "left", 600, {"left": [0, 1]})
    story.run(1500)
    story.start("right")
    story.rebalance(R.MEMBER_JOINED, "right", 300, {"left": [0], "right": [1]})
    story.run(2600)
    return story


@cache
def many() -> Story:
    """Fifty partitions, twenty consumers, ten minutes, a rolling restart without static membership."""
    story = Story(partitions=50, produce_every_ms=500, commit_every_ms=2000)
    names = [f"pod-{number:02}" for number in range(20)]
    for name in names:
        story.start(name)
    story.rebalance(R.MEMBER_JOINED, names[-1], 3000, _even(names))
    story.run(60_000)
    for name in names[:12]:
        story.stop(name)
        story.rebalance(R.MEMBER_LEFT, name, 2500, _even([other for other in names if other != name]))
        story.run(12_000)
        story.start(name)
        story.rebalance(R.MEMBER_JOINED, name, 2500, _even(names))
        story.run(20_000)
    story.kill(names[15])
    story.run(45_000)
    left = [name for name in names if name != names[15]]
    story.rebalance(R.SESSION_EXPIRED, names[15], 3000, _even(left))
    story.run(40_000)
    return story


def _even(names: list[str], partitions: int = 50) -> dict[str, list[int]]:
    plan: dict[str, list[int]] = {name: [] for name in names}
    for number in range(partitions):
        plan[names[number * len(names) // partitions]].append(number)
    return plan
