"""Classic groups: one record a generation, written when its leader has shared out the partitions.

What happened in between is told by the difference between two such records. When the rebalance began is not in them,
only when all had joined (``currentStateTimestamp``) and when the assignment was written; a monitor that also asks
the group (`Story.unstable`) knows better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rota.model import TopicPartition, count_of
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.departures import Departure
from rota.monitor.rebalances.members import Member
from rota.monitor.rebalances.verdicts import Verdict
from rota.timeline.events import RebalanceCompleted, RebalanceReason
from rota.wire import WireError
from rota.wire.codec import decode_versioned
from rota.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription

if TYPE_CHECKING:
    from rota.monitor.rebalances.steps import Step
    from rota.monitor.rebalances.story import Story
    from rota.timeline.events import Event, MemberJoined
    from rota.wire.messages.group_log import GroupMetadataValue, MemberMetadata

__all__ = ["apply_group", "forget_group"]

LEAST_HEARTBEAT_MS: Final = 3_000
"""``heartbeat.interval.ms`` unless it is set: so late others learn of a rebalance, and so much earlier it begins."""


class _Entry(NamedTuple):
    """A member as the record has it, and what it is given."""

    member: Member
    held: tuple[TopicPartition, ...]


def apply_group(story: Story, value: GroupMetadataValue, at_ms: int) -> list[Event]:
    """A record about the group: what it tells that was not known before."""
    entries = {each.member_id: _read(each, value.protocol_type) for each in value.members}
    known, before = story.known, story.generation
    story.kind, story.known = "classic", True
    if value.generation < before and known:  # the group was deleted and made anew, and its tombstone is gone
        known = False
    if known and value.generation == before:
        found = _same_generation(story, entries, at_ms)
    elif known and story.members.keys() | story.former.keys() | entries.keys():
        found = _next_generation(story, value, entries, at_ms)
    else:
        found = _first_seen(story, value, entries, at_ms)
    story.generation, story.protocol, story.leader = value.generation, value.protocol, value.leader
    moment_ms = value.current_state_timestamp
    story.state_since_ms = moment_ms if moment_ms > 0 else at_ms
    story.recorded_ms = at_ms
    story.version += 1
    return found


def forget_group(story: Story, at_ms: int) -> list[Event]:
    """The group was deleted, or is a consumer group from here on."""
    story.former = dict(story.members)
    for member in list(story.members.values()):
        story.remove(member)
    story.kind, story.generation, story.protocol, story.leader = "", 0, None, None
    story.recorded_ms = at_ms
    story.version += 1
    return []


# --- what a record says -------------------------------------------------------------------------------------


def _read(entry: MemberMetadata, protocol_type: str) -> _Entry:
    topics = None
    held: tuple[TopicPartition, ...] = ()
    if protocol_type == "consumer":
        try:
            topics = frozenset(decode_versioned(ConsumerProtocolSubscription, entry.subscription).topics)
        except WireError:
            topics = None
        held = _assigned(entry.assignment)
    member = Member(
        entry.member_id,
        entry.client_id,
        entry.client_host,
        entry.group_instance_id,
        entry.session_timeout if entry.session_timeout > 0 else None,
        entry.rebalance_timeout if entry.rebalance_timeout > 0 else None,
        topics,
        metadata=bytes(entry.subscription),
    )
    return _Entry(member, held)


def _assigned(data: bytes) -> tuple[TopicPartition, ...]:
    if not data:
        return ()
    try:
        assignment = decode_versioned(ConsumerProtocolAssignment, data)
    except WireError:
        return ()
    return tuple(
        sorted(
            TopicPartition(each.topic, number)
            for each in assignment.assigned_partitions
            for number in each.partitions
        )
    )


# --- what it means ------------------------------------------------------------------------------------------


def _first_seen(
    story: Story, value: GroupMetadataValue, entries: dict[str, _Entry], at_ms: int
) -> list[Event]:
    """Nothing is known of the time before: who is a member came some time."""
    for member in list(story.members.values()):
        story.remove(member)
    story.open = None
    if not entries:
        return []
    step = story.begin(at_ms, at_ms, value.generation)
    step.joined += [_enter(story, entry, at_ms) for entry in entries.values()]
    _complete(story, step, value, entries, at_ms)
    return step.events()


def _same_generation(story: Story, entries: dict[str, _Entry], at_ms: int) -> list[Event]:
    """Static members came back and got what they had."""
    found: list[Event] = []
    old = {member.identity: member for member in story.members.values()}
    for entry in entries.values():
        former = old.get(entry.member.identity)
        if former is not None and former.member_id != entry.member.member_id:
            gone = _replaced(former, entry.member)
            story.remove(former)
            entry.member.signs = former.signs
            joined = _enter(story, entry, at_ms)
            story.hold(entry.member, entry.held)
            found += story.restarted(gone, joined, at_ms, entry.held).events()
    return found


def _next_generation(
    story: Story, value: GroupMetadataValue, entries: dict[str, _Entry], at_ms: int
) -> list[Event]:
    """A rebalance is over."""
    earliest_ms, started_ms = _bounds(story, value, at_ms)
    started_ms = max(started_ms, story.floor_ms)
    step = story.begin(earliest_ms, started_ms, story.generation)
    step.skipped = max(value.generation - story.generation - 1, 0)
    step.earliest_ms, step.started_ms = earliest_ms, started_ms
    step.after_ms, step.seen = story.recorded_ms, story.unstable is not None
    step.causes.clear()  # what was thought while it went on
    step.joined.clear()
    old = {member.identity: member for member in (story.former or story.members).values()}
    new = {entry.member.identity: entry.member for entry in entries.values()}
    held = {tp for member in story.members.values() for tp in member.held}
    departures = _departures(story, step, old, new)
    others = _other_causes(story, old, entries, held)
    changed = _changed(old, entries)
    arrivals = _arrivals(story, step, old, entries)
    step.causes += [*departures, *arrivals, *others]
    if not step.causes:
        step.causes.append(_rejoined(story, value, step, changed))
    story.former = {}
    _complete(story, step, value, entries, at_ms)
    return step.events()


def _arrivals(story: Story, step: Step, old: dict[str, Member], entries: dict[str, _Entry]) -> list[Verdict]:
    """Who is new, or a former member's new self; those who stayed keep what is known of them."""
    arrivals: list[Verdict] = []
    for entry in entries.values():
        former = old.get(entry.member.identity)
        if former is not None:
            entry.member.signs, entry.member.joined_ms = former.signs, former.joined_ms
        if former is not None and former.member_id == entry.member.member_id:
            story.members[former.member_id] = entry.member
            entry.member.held = former.held
            continue
        if former is not None:
            story.remove(former)
            gone = _replaced(former, entry.member)
            step.left.append((step.started_ms, gone))
            arrivals.insert(0, gone)
        step.joined.append(_enter(story, entry, step.started_ms))
        if former is None:
            arrivals.append(story.arrived(entry.member))
    return arrivals


def _bounds(story: Story, value: GroupMetadataValue, at_ms: int) -> tuple[int, int]:
    """Between which times the rebalance began."""
    joined_ms = value.current_state_timestamp
    if not story.recorded_ms <= joined_ms <= at_ms:
        joined_ms = at_ms
    stay = [member for member in story.members.values() if value.members]
    late_ms = max((max((each.session_ms or 0) // 3, LEAST_HEARTBEAT_MS) for each in stay), default=0)
    earliest_ms = max(story.recorded_ms, joined_ms - late_ms)
    if story.unstable is not None:
        seen_from, seen = story.unstable
        if seen <= at_ms:
            earliest_ms = max(min(earliest_ms, seen), seen_from, story.recorded_ms)
            joined_ms = min(joined_ms, max(seen, earliest_ms))
    return min(earliest_ms, joined_ms), joined_ms


def _departures(story: Story, step: Step, old: dict[str, Member], new: dict[str, Member]) -> list[Departure]:
    found = []
    for identity, member in old.items():
        if identity in new:
            continue
        departure = story.depart(member, step.earliest_ms, step.started_ms, session_ms=None)
        story.remove(member)
        step.left.append((step.started_ms, departure))
        found.append(departure)
    story.mark_quiet(found)
    return found


def _other_causes(
    story: Story, old: dict[str, Member], entries: dict[str, _Entry], held: set[TopicPartition]
) -> list[Verdict]:
    """What those who stayed want, and what there is to share out, has changed."""
    found = []
    for entry in entries.values():
        former = old.get(entry.member.identity)
        if former is not None and former.topics != entry.member.topics:
            words = _difference(former.topics, entry.member.topics)
            found.append(
                Verdict(
                    RebalanceReason.SUBSCRIPTION_CHANGED, entry.member.member_id, Certainty.CERTAIN, words
                )
            )
    added = _added(story, old, entries, held)
    if added is not None and not found:
        found.append(added)
    return found


def _added(
    story: Story, old: dict[str, Member], entries: dict[str, _Entry], held: set[TopicPartition]
) -> Verdict | None:
    """Partitions that are shared out for the first time, beyond those that their topic had."""
    now = {tp for entry in entries.values() for tp in entry.held}
    if not held or not now - held:
        return None
    most = {topic: max(tp.partition for tp in held if tp.topic == topic) for topic, _ in held}
    known = story.topic_ends
    new = sorted(
        tp for tp in now - held if tp.partition > max(known.get(tp.topic, -1), most.get(tp.topic, -1))
    )
    if not new:
        return None
    grown = sorted({tp.topic for tp in new if tp.topic in known})
    wanted = frozenset[str]().union(*(each.topics or () for each in old.values()))
    appeared = sorted({tp.topic for tp in new if tp.topic not in known and tp.topic in wanted})
    if not grown and not appeared:
        return None
    words = [f"{topic} has more partitions than before" for topic in grown]
    words += [f"{topic} is there now" for topic in appeared]
    return Verdict(RebalanceReason.PARTITIONS_ADDED, "", Certainty.CERTAIN, ", ".join(words))


def _changed(old: dict[str, Member], entries: dict[str, _Entry]) -> str:
    """The one member that sends something else with its subscription than before; "" if there are none or several."""
    found = [
        entry.member.member_id
        for entry in entries.values()
        if (former := old.get(entry.member.identity)) is not None and former.metadata != entry.member.metadata
    ]
    return found[0] if len(found) == 1 and len(entries) > 1 else ""


def _rejoined(story: Story, value: GroupMetadataValue, step: Step, changed: str) -> Verdict:
    """The same members want the same of the same topics."""
    if step.skipped:
        return Verdict(
            RebalanceReason.MEMBER_REJOINED,
            "",
            Certainty.GUESS,
            f"{count_of(step.skipped, 'generation')} before it {'is' if step.skipped == 1 else 'are'} not recorded "
            "any more",
        )
    if "cooperative" in (value.protocol or ""):
        return Verdict(
            RebalanceReason.MEMBER_REJOINED,
            "",
            Certainty.LIKELY,
            "the second round of a cooperative rebalance: who had to give up partitions joins again, so that others "
            "can have them",
        )
    if changed:
        words = "it subscribes to the same topics, but what it sends beside that (rack, user data) is not as before"
        return Verdict(RebalanceReason.MEMBER_REJOINED, changed, Certainty.LIKELY, words)
    leader = story.leader or ""
    return Verdict(
        RebalanceReason.LEADER_REJOINED,
        leader if leader in story.members else "",
        Certainty.GUESS,
        "nobody came, went or wants other topics, and no partition is new; in a group at rest only its leader's "
        "asking to join again does that, or a member's with other settings",
        "Kafka does not record which",
    )


# --- writing it down ----------------------------------------------------------------------------------------


def _enter(story: Story, entry: _Entry, at_ms: int) -> MemberJoined:
    entry.member.joined_ms = at_ms
    return story.join(entry.member, at_ms)


def _complete(
    story: Story, step: Step, value: GroupMetadataValue, entries: dict[str, _Entry], at_ms: int
) -> None:
    for entry in entries.values():
        story.hold(entry.member, ())
    for entry in entries.values():
        story.hold(entry.member, entry.held)
        for tp in entry.held:
            story.topic_ends[tp.topic] = max(story.topic_ends.get(tp.topic, -1), tp.partition)
    shared = {entry.member.member_id: entry.held for entry in entries.values()}
    step.completed = RebalanceCompleted(
        max(at_ms, step.started_ms),
        story.group,
        value.generation,
        value.protocol or None,
        value.leader or None,
        shared,
    )
    story.open, story.unstable = None, None
    story.vanished.clear()


def _replaced(former: Member, member: Member) -> Verdict:
    return Verdict(
        RebalanceReason.STATIC_MEMBER_REPLACED,
        former.member_id,
        Certainty.CERTAIN,
        f"{member.instance_id} (group.instance.id) has a new member id",
    )


def _difference(before: frozenset[str] | None, after: frozenset[str] | None) -> str:
    if before is None or after is None:
        return "its subscription reads otherwise than before"
    words = [f"+{name}" for name in sorted(after - before)] + [f"-{name}" for name in sorted(before - after)]
    return " ".join(words)
