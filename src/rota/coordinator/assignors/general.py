"""The sticky assignment when members subscribe to different topics.

Members keep what they hold and may still have; what is free goes, scarcest topics first, to the subscriber
that has least. Then partitions move, one at a time, from a member to one that has at least two fewer, until
nothing moves; if the outcome is no better balanced than what was there before, that stays. A partition that
would undo an earlier move of its topic between two members is left alone, and the one that had moved goes
back instead (KIP-54).

The Java client decides "is it balanced?" by looking at every partition of every member. Here each topic keeps
its subscribers in a heap ordered by (size, member id), and it is balanced if no holder of a partition of the
topic has two more than the topic's least loaded subscriber: the same answer from less work.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from itertools import accumulate
from typing import TYPE_CHECKING

from rota.coordinator.assignors.order import first_in_hash_set, java_sorted, string_hash
from rota.coordinator.assignors.subscription import MemberSubscription, partitions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.coordinator.assignors.claims import Claims, Memory
    from rota.model import TopicPartition

__all__ = ["assign_general"]


def assign_general(
    members: Mapping[str, MemberSubscription],
    memories: Mapping[str, Memory],
    claims: Claims,
    counts: Mapping[str, int],
) -> dict[str, list[TopicPartition]]:
    """Return the assignment; the members of ``claims.owned`` are all of the group's."""
    return _General(members, claims, counts, _earlier_owners(members, memories, claims.owned)).build()


def _earlier_owners(
    members: Mapping[str, MemberSubscription], memories: Mapping[str, Memory], walk: Iterable[str]
) -> dict[TopicPartition, str]:
    """Who held a partition last, by the memory of members older than the newest generation."""
    newest = max(generation for _, generation in memories.values())
    earlier: dict[TopicPartition, tuple[str, int]] = {}
    for member in walk:
        partitions, generation = memories[member]
        if generation >= newest:
            continue
        topics = frozenset(members[member].topics)
        for partition in partitions:
            known = earlier.get(partition)
            if partition.topic in topics and (known is None or generation > known[1]):
                earlier[partition] = member, generation
    return {partition: member for partition, (member, _) in earlier.items()}


class _Moves:
    """The partitions that have moved, by topic and by (from, to)."""

    def __init__(self) -> None:
        self.by_topic: dict[str, dict[tuple[str, str], _Moved]] = {}
        self.of: dict[TopicPartition, tuple[str, str]] = {}

    def record(self, partition: TopicPartition, source: str, target: str) -> None:
        known = self.of.pop(partition, None)
        if known is not None:
            pairs = self.by_topic[partition.topic]
            del pairs[known].partitions[partition]
            if not pairs[known].partitions:
                del pairs[known]
            source = known[0]
            if source == target:
                return
        pair = source, target
        self.of[partition] = pair
        self.by_topic.setdefault(partition.topic, {}).setdefault(pair, _Moved()).add(partition)

    def instead_of(self, partition: TopicPartition, source: str, target: str) -> TopicPartition:
        """The partition to move rather than this one: one that had moved the other way, if there is one."""
        if partition in self.of:
            source = self.of[partition][0]
        reverse = self.by_topic.get(partition.topic, {}).get((target, source))
        if reverse is None:
            return partition
        return first_in_hash_set(reverse.partitions, string_hash(partition.topic), reverse.peak)


class _Moved:
    """A set of partitions that remembers the order of insertion and how large it once was."""

    __slots__ = ("partitions", "peak")

    def __init__(self) -> None:
        self.partitions: dict[TopicPartition, None] = {}
        self.peak = 0

    def add(self, partition: TopicPartition) -> None:
        self.partitions[partition] = None
        self.peak = max(self.peak, len(self.partitions))


class _General:
    def __init__(
        self,
        members: Mapping[str, MemberSubscription],
        claims: Claims,
        counts: Mapping[str, int],
        earlier: Mapping[TopicPartition, str],
    ) -> None:
        self.counts = counts
        self.earlier = earlier
        self.partitions = {topic: partitions_of(topic, count) for topic, count in counts.items()}
        self.topics = {
            member: [topic for topic in members[member].topics if topic in counts] for member in claims.owned
        }
        self.subscribers: dict[str, list[str]] = {topic: [] for topic in counts}
        for member, topics in self.topics.items():
            for topic in topics:
                self.subscribers[topic].append(member)
        names = java_sorted(claims.owned)
        self.rank = {member: place for place, member in enumerate(names)}  # orders members of equal size
        self.by_rank = names
        self.revocation_required = False
        self.assignment: dict[str, list[TopicPartition]] = {}
        for member, owned in claims.owned.items():
            wanted = frozenset(self.topics[member])
            kept = [partition for partition in owned if partition.topic in wanted]
            self.revocation_required |= len(kept) < len(owned)
            self.assignment[member] = kept
        self.holder = {each: member for member, kept in self.assignment.items() for each in kept}
        self.heaps: dict[str, list[tuple[int, int]]] = {}
        for topic, subscribers in self.subscribers.items():
            self.heaps[topic] = [(len(self.assignment[member]), self.rank[member]) for member in subscribers]
            heapify(self.heaps[topic])
        self.moves = _Moves()
        self.balanced: bool | None = None  # None: not known since the last move
        self.unbalanced: str | None = None  # the topic last seen to be out of balance

    def build(self) -> dict[str, list[TopicPartition]]:
        scarcest = sorted(java_sorted(self.counts), key=lambda topic: len(self.subscribers[topic]))
        everything = [each for topic in scarcest for each in self.partitions[topic]]
        free = [each for each in everything if each not in self.holder]
        initial = not self.holder
        for partition in free:
            member = self.least_loaded(partition.topic)
            self.assignment[member].append(partition)
            self.holder[partition] = member
        self.balance(
            [each for each in everything if len(self.subscribers[each.topic]) > 1],
            [each for each in free if len(self.subscribers[each.topic]) > 1],
            initial=initial,
        )
        return self.assignment

    def least_loaded(self, topic: str) -> str:
        """The subscriber with fewest partitions, of several the first by id."""
        heap = self.heaps[topic]
        while True:
            size, rank = heap[0]
            member = self.by_rank[rank]
            now = len(self.assignment[member])
            if now == size:
                return member
            if now > size:
                heapreplace(heap, (now, rank))  # it has grown since it was put here
            else:
                heappop(heap)  # it has shrunk, and was put here again when it did

    def is_fixed(self, member: str) -> bool:
        """True if the member has all it can have and shares no topic with another."""
        return all(len(self.subscribers[topic]) == 1 for topic in self.topics[member]) and len(
            self.assignment[member]
        ) == sum(self.counts[topic] for topic in self.topics[member])

    def balance(self, movable: list[TopicPartition], free: list[TopicPartition], *, initial: bool) -> None:
        before = {
            member: list(partitions)
            for member, partitions in self.assignment.items()
            if not self.is_fixed(member)
        }
        if not self.revocation_required:
            self.reassign(free)
        if self.reassign(movable) and not initial:
            after = {member: self.assignment[member] for member in before}
            if _imbalance(after.values()) >= _imbalance(before.values()):
                self.assignment.update(before)

    def reassign(self, partitions: list[TopicPartition]) -> bool:
        """Move partitions until nothing moves; True if anything did."""
        moved_any = moved = False
        while True:
            moved = False
            for partition in partitions:
                if self.is_balanced():
                    break
                size = len(self.assignment[self.holder[partition]])
                earlier = self.earlier.get(partition)
                if earlier is not None and size > len(self.assignment[earlier]) + 1:
                    self.move(partition, earlier)
                    moved = True
                    continue
                least = self.least_loaded(partition.topic)
                if size > len(self.assignment[least]) + 1:
                    self.move(partition, least)
                    moved = True
            if not moved:
                return moved_any
            moved_any = True

    def move(self, partition: TopicPartition, target: str) -> None:
        partition = self.moves.instead_of(partition, self.holder[partition], target)
        source = self.holder[partition]
        self.moves.record(partition, source, target)
        self.assignment[source].remove(partition)
        self.assignment[target].append(partition)
        self.holder[partition] = target
        entry = len(self.assignment[source]), self.rank[source]
        for topic in self.topics[source]:
            heappush(self.heaps[topic], entry)
        self.balanced = None

    def is_balanced(self) -> bool:
        """True if no partition could go to a member that has at least two fewer than its holder."""
        if self.balanced is None:
            if self.unbalanced is None or not self.topic_unbalanced(self.unbalanced):
                self.unbalanced = next(filter(self.topic_unbalanced, self.counts), None)
            self.balanced = self.unbalanced is None
        return self.balanced

    def topic_unbalanced(self, topic: str) -> bool:
        limit = len(self.assignment[self.least_loaded(topic)]) + 1
        return any(len(self.assignment[self.holder[each]]) > limit for each in self.partitions[topic])


def _imbalance(assignments: Iterable[list[TopicPartition]]) -> int:
    """The differences in size, summed over all pairs of members."""
    sizes = sorted(map(len, assignments))
    sums = accumulate(sizes, initial=0)
    return sum(size * place - smaller for place, (size, smaller) in enumerate(zip(sizes, sums, strict=False)))
