"""One group's life, as far as its records are still there: members, commits, rebalances.

`classic` and `modern` (KIP-848) read the records of the two kinds of groups and write here what they mean; `told`
reads it. Memory is bounded: of what is old the oldest is forgotten.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from rota.model import TopicPartition
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.broker_log import Line, LineKind
from rota.monitor.rebalances.departures import Departure
from rota.monitor.rebalances.steps import Step, renamed
from rota.monitor.rebalances.verdicts import Verdict
from rota.plain import replace
from rota.timeline.events import (
    MemberJoined,
    MemberReconciled,
    OffsetCommitted,
    Processed,
    RebalanceReason,
)
from rota.timeline.look import seconds
from rota.timeline.ownership import Names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rota.monitor.facts import GroupFacts
    from rota.monitor.rebalances.members import Member
    from rota.timeline.events import Event

__all__ = ["Story"]

MOST_STEPS: Final = 200
MOST_COMMITS: Final = 2_000
"""Commits remembered of one group beside each partition's last: they tell how long partitions waited."""
FEW_COMMITS: Final = 256
"""The same where all groups of a cluster are read."""
LOST_MS: Final = 30_000
"""So long after a rebalance was seen its record is waited for, once the group is at rest."""
MOST_JOINS: Final = 5_000
"""Members, also former ones, whose names are known."""
BEFORE_MS: Final = 60_000
"""How long before the first rebalance that is remembered commits count: they show how often they come."""
BACK_WITHIN_MS: Final = 3_600_000


class Story:
    """What has been read of one group so far."""

    def __init__(self, group: str, most_commits: int = MOST_COMMITS) -> None:
        self.group = group
        self.kind = ""
        """``classic``, ``consumer``, or nothing: commits alone were seen."""
        self.members: dict[str, Member] = {}
        self.former: dict[str, Member] = {}
        """Members of the other kind of group that this one was until a moment ago."""
        self.known = False
        """Whether the group's members were known before the next record: the first one has no before."""
        self.generation = 0
        self.protocol: str | None = None
        self.leader: str | None = None
        self.state_since_ms: int | None = None
        self.recorded_ms = 0
        """When the last record about members or generations was written."""
        self.steps: deque[Step] = deque(maxlen=MOST_STEPS)
        self.open: Step | None = None
        self.beginning: list[MemberReconciled] = []
        """Who held what when the group was seen first, where no record tells how that came."""
        self._joins: dict[str, MemberJoined] = {}
        self.commits: dict[TopicPartition, tuple[int, int]] = {}
        """Of each partition: when the last offset was committed, and which."""
        self.recent: deque[tuple[int, str, TopicPartition, int, int]] = deque(maxlen=most_commits)
        """Commits: when, by whom, of which partition, from which offset to which."""
        self.names = Names()
        self.look_ms = 0
        """When the group was asked last."""
        self.unstable: tuple[int, int] | None = None
        """Between which looks the rebalance began that goes on; by asking, since the log tells only of its end."""
        self.vanished: dict[str, tuple[int, int]] = {}
        """Between which looks members disappeared."""
        self.version = 0
        """Raised with everything that changes what is told."""
        self.free: dict[TopicPartition, int] = {}
        """Partitions that nobody has read since then, while a rebalance goes on."""
        self.topic_ends: dict[str, int] = {}
        """The highest partition of each topic that anybody has held."""
        self._holders: dict[TopicPartition, str] = {}
        self._departed: deque[tuple[Departure, str, str]] = deque(maxlen=MOST_STEPS)

    # Commits

    def committed(self, partition: TopicPartition, offset: int, at_ms: int) -> OffsetCommitted:
        """An offset was committed, by whoever holds the partition."""
        holder = self._holders.get(partition, "")
        member = self.members.get(holder)
        if member is not None:
            member.heard(at_ms)
        before = self.commits.get(partition)
        self.commits[partition] = (at_ms, offset)
        if before is not None and offset > before[1]:
            name = self.names.of(holder) if holder else "?"
            self.recent.append((at_ms, name, partition, before[1], offset - 1))
        return OffsetCommitted(at_ms, self.group, holder, partition.topic, partition.partition, offset)

    def forgotten(self, partition: TopicPartition) -> None:
        """Nothing is committed of it any more."""
        self.commits.pop(partition, None)

    # Members

    def hold(self, member: Member, partitions: tuple[TopicPartition, ...]) -> None:
        """From now on it holds these, and no others."""
        for partition in member.held:
            if self._holders.get(partition) == member.member_id:
                del self._holders[partition]
        member.held = partitions
        for partition in partitions:
            self._holders[partition] = member.member_id

    def join(self, member: Member, at_ms: int) -> MemberJoined:
        """It is a member now; who went from the same place may be back."""
        event = MemberJoined(
            at_ms, self.group, member.member_id, member.client_id, member.host, member.instance_id
        )
        self.members[member.member_id] = member
        self.names.joined(event)
        self._joins[member.member_id] = event
        self._forget_joins()
        if member.client_id:
            self._is_back(member, at_ms)
        return event

    def _forget_joins(self) -> None:
        """Of members that are gone, the first to have come; whoever stays is known for as long."""
        over = max(len(self._joins) - MOST_JOINS, 0)
        gone = (each for each in self._joins if each not in self.members)
        for member_id in list(islice(gone, over)):
            del self._joins[member_id]
            self.names.forget(member_id)

    def remove(self, member: Member) -> None:
        """It is no member any more."""
        self.hold(member, ())
        self.members.pop(member.member_id, None)
        self.names.left(member.member_id)

    def depart(
        self,
        member: Member,
        earliest_ms: int,
        latest_ms: int,
        *,
        heartbeat_ms: int = 0,
        session_ms: int | None,
    ) -> Departure:
        """It is gone, and nobody says how."""
        seen = self.vanished.pop(member.member_id, None)
        if seen is not None:
            earliest_ms = max(earliest_ms, min(seen[0], latest_ms))
            latest_ms = min(latest_ms, max(seen[1], earliest_ms))
        departure = self._departure(member, earliest_ms, latest_ms, heartbeat_ms, session_ms)
        self._departed.append((departure, member.client_id, member.host))
        return departure

    def mark_quiet(self, departures: Collection[Departure]) -> None:
        """Note of each whether the members that are left committed anything after its last commit."""
        stay = [member.signs[-1] for member in self.members.values() if member.signs]
        for departure in departures:
            if stay and departure.signs_ms:
                departure.quiet = max(stay) <= departure.signs_ms[-1] + 2 * departure.usual_ms

    @staticmethod
    def _departure(
        member: Member, earliest_ms: int, latest_ms: int, heartbeat_ms: int, session_ms: int | None
    ) -> Departure:
        return Departure(
            member.member_id,
            earliest_ms,
            latest_ms,
            tuple(member.signs),
            member.session_ms or session_ms,
            member.poll_ms,
            heartbeat_ms,
            static=member.instance_id is not None,
            away=member.epoch == -2,
            revoking_since_ms=member.revoking_since_ms,
            held=member.held,
        )

    def arrived(self, member: Member) -> Verdict:
        """It is new, and that is the cause of a rebalance."""
        words = f"it was no member before, and runs at {member.host.removeprefix('/')}"
        for departure, client_id, host in reversed(self._departed):
            if (client_id, host, departure.back_ms) == (member.client_id, member.host, member.joined_ms):
                away = seconds(max(member.joined_ms - departure.latest_ms, 0))
                words = f"back at {member.host.removeprefix('/')}, {away} after the same client id was gone"
                break
        return Verdict(RebalanceReason.MEMBER_JOINED, member.member_id, Certainty.CERTAIN, words)

    def _is_back(self, member: Member, at_ms: int) -> None:
        twins = [
            each
            for each in self.members.values()
            if each is not member and (each.client_id, each.host) == (member.client_id, member.host)
        ]
        if twins:
            return
        for departure, client_id, host in self._departed:
            if (
                (client_id, host) == (member.client_id, member.host)
                and departure.back_ms is None
                and departure.latest_ms <= at_ms <= departure.latest_ms + BACK_WITHIN_MS
            ):
                departure.back_ms = at_ms
                departure.same_process = departure.member == member.member_id

    # Rebalances

    @property
    def floor_ms(self) -> int:
        """The earliest moment for whatever comes next: what is done in the same millisecond came before."""
        done = next((each.completed for each in reversed(self.steps) if each.completed is not None), None)
        return 0 if done is None else done.at_ms + 1

    def begin(self, earliest_ms: int, started_ms: int, generation: int) -> Step:
        """A rebalance begins, or goes on if there is one."""
        if self.open is None:
            started_ms = max(started_ms, self.floor_ms)
            self.open = Step(self.group, generation, min(earliest_ms, started_ms), started_ms)
            self.steps.append(self.open)
        self.version += 1
        return self.open

    def restarted(
        self, gone: Verdict, joined: MemberJoined, at_ms: int, held: tuple[TopicPartition, ...]
    ) -> Step:
        """A static member took its former place, without a rebalance."""
        step = Step(self.group, self.generation, at_ms, at_ms, restart=True)
        step.causes.append(gone)
        step.left.append((at_ms, gone))
        step.joined.append(joined)
        step.held.append(MemberReconciled(at_ms, self.group, self.generation, joined.member, held))
        if self.open is not None and self.steps and self.steps[-1] is self.open:
            self.steps.insert(len(self.steps) - 1, step) if len(self.steps) < MOST_STEPS else None
        else:
            self.steps.append(step)
        self.version += 1
        return step

    # What others saw

    def looked(self, facts: GroupFacts, at_ms: int, took_ms: int) -> None:
        """The group answered; of a classic one this alone tells that a rebalance goes on.

        An answer may be as old as its look: one that may have been given before the last record tells nothing.
        """
        asked_ms = at_ms - took_ms
        before, self.look_ms = self.look_ms, asked_ms
        if self.kind != "classic" or asked_ms <= self.recorded_ms:
            return
        since_ms = max(before, self.recorded_ms)
        ids = {member.member_id for member in facts.members}
        for member_id in self.members.keys() - ids:
            self.vanished.setdefault(member_id, (since_ms, at_ms))
        if facts.is_rebalancing:
            if self.unstable is None:
                self.unstable = (since_ms, at_ms)
            self._guess(facts)
        elif self.unstable is not None and asked_ms > self.unstable[1] + LOST_MS:
            self._lose_open()

    def _lose_open(self) -> None:
        """The group is at rest, and no record has told how that came: none will."""
        self.unstable = None
        self.vanished.clear()
        if self.open is not None:
            self.steps.remove(self.open)
            self.open = None
            self.version += 1

    def use_log(self, lines: Collection[Line]) -> None:
        """All that a broker's log tells of this group, in its order."""
        begun: dict[int, list[Line]] = {}
        ends: dict[str, list[Line]] = {}
        for line in lines:
            if line.kind == LineKind.PREPARING:
                begun.setdefault(line.generation, []).append(line)
            else:
                ends.setdefault(line.member, []).append(line)
        # A group that was deleted counts from 0 again, a member may go several times (KIP-848): the last ends agree.
        for step in reversed(self.steps):
            if not step.restart and begun.get(step.generation):
                step.logged = begun[step.generation].pop()
        for departure, _, _ in reversed(self._departed):
            if ends.get(departure.member):
                departure.logged = ends[departure.member].pop()
        self.version += 1

    def _guess(self, facts: GroupFacts) -> None:
        """What may have led to the rebalance that goes on; its record will tell."""
        assert self.unstable is not None
        earliest_ms, seen_ms = self.unstable
        step = self.begin(earliest_ms, seen_ms, self.generation)
        step.seen = True
        step.causes.clear()
        step.joined.clear()
        for member_id, (from_ms, until_ms) in self.vanished.items():
            member = self.members.get(member_id)
            if member is not None:
                step.causes.append(self._departure(member, from_ms, until_ms, 0, None))
        for each in facts.members:
            if each.member_id not in self.members:
                words = f"it was no member before, and runs at {each.host.removeprefix('/')}"
                reason = RebalanceReason.MEMBER_JOINED
                step.joined.append(
                    MemberJoined(
                        seen_ms, self.group, each.member_id, each.client_id, each.host, each.instance_id
                    )
                )
                step.causes.append(Verdict(reason, each.member_id, Certainty.CERTAIN, words))
        if not step.causes:
            words = "nobody came or went so far"
            step.causes.append(Verdict(RebalanceReason.MEMBER_REJOINED, "", Certainty.GUESS, words))

    def events(self, *, commits: bool = False) -> list[Event]:
        """All that is remembered, in order of time. ``commits``: what was committed counts as processed then."""
        found: list[Event] = [event for step in self.steps for event in step.events()]
        if found:
            found[:0] = self._before(found)
        if commits and found:
            since_ms = found[0].at_ms - BEFORE_MS
            found += [
                Processed(at_ms, name, partition.topic, partition.partition, first, last)
                for at_ms, name, partition, first, last in self.recent
                if at_ms >= since_ms
            ]
        return sorted(found, key=lambda event: event.at_ms)

    def _before(self, found: list[Event]) -> list[Event]:
        """Who was there before the first step that is remembered."""
        since_ms = min(event.at_ms for event in found) - 1
        told = {event.member for event in found if isinstance(event, MemberJoined)}
        named = set[str]().union(*(step.named for step in self.steps)) | {
            each.member for each in self.beginning
        }
        before: list[Event] = [
            replace(self._joins[member], at_ms=since_ms)
            for member in sorted(named - told)
            if member in self._joins
        ]
        if len(self.steps) < MOST_STEPS:
            before += [replace(each, at_ms=since_ms) for each in self.beginning]
        return before

    def rename(self, names: Mapping[str, str]) -> None:
        """Topics that were known by their ids have names now."""
        for member in self.members.values():
            if any(tp.topic in names for tp in member.held):
                self.hold(member, renamed(member.held, names))
        for old in [tp for tp in self.free if tp.topic in names]:
            self.free[TopicPartition(names[old.topic], old.partition)] = self.free.pop(old)
        for step in self.steps:
            step.rename(names)
        self.version += 1
