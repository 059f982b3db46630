"""D19: a member that has work and lives, but commits nothing any more, or never did.

Evidence: partitions that a member holds and that get records, and none of its partitions has a (new) commit for much
longer than usual. Kafka cannot say whether it reads: that it does, and only does not commit, is the likelier of two
explanations where it never committed. Provoked with a loop whose client has enable.auto.commit=false and no commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.model import TopicPartition, count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import (
    and_list,
    gaps,
    instants,
    middle,
    partitions_text,
    span_text,
    whole_number,
)
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import MemberJoined, MemberReconciled, RebalanceCompleted

if TYPE_CHECKING:
    from rota.monitor.facts import MemberFacts
    from rota.monitor.view import PartitionView

__all__ = ["RULE"]

_PATIENCE_MS = 10_000
"""Twice the default of ``auto.commit.interval.ms``: sooner nobody is missed."""
_UNUSUAL = 3
_FEW = 3
_AT_ONCE_MS = 5_000
"""Partitions whose last commits are no further apart stopped at one instant: less is the rhythm of commits."""
_LONGEST_SESSION_MS = 1_800_000
"""``group.max.session.timeout.ms`` unless it is set."""
_DOUBTS = (
    "It may read nothing at all: a handler that hangs on one record, a paused consumer. Or it keeps its offsets "
    "elsewhere on purpose (Flink and Kafka Connect between two checkpoints, a database)."
)


class _Silence(NamedTuple):
    """Why it is thought that a member does not commit. ``words`` follow ``has`` or ``have``."""

    kind: str
    for_ms: int
    words: str
    lines: tuple[EvidenceLine, ...]
    certainty: Certainty
    at_once: bool = False
    """Whether it stopped in all of its partitions at one instant."""


class _Silent(NamedTuple):
    """A member, and what it holds that has records."""

    member: MemberFacts
    with_work: list[PartitionView]
    silence: _Silence
    session_ms: int | None
    """``session.timeout.ms``, where it is known."""
    longest_ms: int
    """The longest that the brokers allow."""

    @property
    def lives(self) -> bool:
        """Whether it must have sent a heartbeat since: it is a member still, longer than its session lasts."""
        return self.silence.for_ms > (self.longest_ms if self.session_ms is None else self.session_ms)

    @property
    def may_be_dead(self) -> bool:
        """Whether it worked until an instant from which on nobody has heard of it."""
        return self.silence.at_once and not self.lives


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for all members of which the same is true."""
    if evidence.facts.is_rebalancing:
        return []
    found: dict[tuple[object, ...], list[_Silent]] = {}
    parts = {part.partition: part for part in evidence.view.partitions}
    for member in evidence.facts.members:
        held = [parts[each] for each in member.assignment if each in parts]
        with_work = [part for part in held if _records(part)]
        silence = _silence(evidence, member, held) if with_work else None
        if silence is not None:
            each = _Silent(
                member, with_work, silence, _session_ms(evidence, member), _longest_session_ms(evidence)
            )
            apart = each.session_ms if each.may_be_dead else None
            found.setdefault((silence.kind, each.lives, each.may_be_dead, apart), []).append(each)
    return [_finding(evidence, silent) for silent in found.values()]


def _silence(evidence: Evidence, member: MemberFacts, held: list[PartitionView]) -> _Silence | None:
    if all(part.commit is None for part in held):
        return _never(evidence, held, _held_since(evidence, member))
    if any(part.lag == 0 and (part.end or 0) > (part.start or 0) for part in held):
        return None  # some of its partitions are committed to the end
    if evidence.commits is not None:
        return _stopped(evidence, held, _came(evidence, member))
    return _not_between_looks(evidence, held)


def _never(evidence: Evidence, held: list[PartitionView], since_ms: int | None) -> _Silence | None:
    """Nothing is committed in any of its partitions."""
    for_ms = evidence.at_ms - since_ms if since_ms is not None else 0
    if for_ms < _PATIENCE_MS:
        return None
    records = sum(_records(part) for part in held)
    return _Silence(
        "never",
        for_ms,
        "never committed anything",
        (
            EvidenceLine("records there", f"{records:,}", "ListOffsets"),
            EvidenceLine("commits", "none", "OffsetFetch"),
            EvidenceLine("has held them for", span_text(for_ms), evidence.events_source),
        ),
        Certainty.LIKELY,
    )


def _stopped(evidence: Evidence, held: list[PartitionView], since_ms: int | None) -> _Silence | None:
    """It used to commit."""
    times = instants(evidence, [part.partition for part in held])
    own = [at_ms for at_ms in times if since_ms is None or at_ms >= since_ms]
    usual_ms = middle(gaps(own))
    start_ms = own[-1] if own else since_ms
    if start_ms is None or len(own) < _FEW:
        return None
    for_ms = evidence.at_ms - start_ms
    if for_ms < max(_PATIENCE_MS, _UNUSUAL * usual_ms) or not _produced(evidence, held, start_ms):
        return None
    return _Silence(
        "stopped",
        for_ms,
        f"committed nothing for {span_text(for_ms)}",
        (
            EvidenceLine("last commit", f"{span_text(for_ms)} ago", "__consumer_offsets"),
            EvidenceLine("between commits before", span_text(usual_ms), "__consumer_offsets"),
        ),
        Certainty.LIKELY,
        at_once=_at_once(evidence, held, own[0], usual_ms),
    )


def _at_once(evidence: Evidence, held: list[PartitionView], since_ms: int, usual_ms: float) -> bool:
    """Whether the last commits of its partitions were together, as far as a rhythm of commits allows."""
    last = [
        steps[-1].at_ms
        for part in held
        if (steps := (evidence.commits or {}).get(part.partition, ())) and steps[-1].at_ms >= since_ms
    ]
    return max(last) - min(last) <= max(_AT_ONCE_MS, _UNUSUAL * usual_ms)


def _session_ms(evidence: Evidence, member: MemberFacts) -> int | None:
    recorded = evidence.recorded.members if evidence.recorded is not None else ()
    known = {each.member_id: each.session_timeout_ms for each in (member, *recorded)}
    found = known[member.member_id]
    if found is not None or evidence.facts.type != "Consumer" or member.upgraded is False:
        return found
    # Of a consumer group (KIP-848) the brokers decide it.
    own = (evidence.group_configs or {}).get("consumer.session.timeout.ms")
    return whole_number(own or (evidence.broker_configs or {}).get("group.consumer.session.timeout.ms"))


def _longest_session_ms(evidence: Evidence) -> int:
    told = whole_number((evidence.broker_configs or {}).get("group.max.session.timeout.ms"))
    return _LONGEST_SESSION_MS if told is None else told


def _not_between_looks(evidence: Evidence, held: list[PartitionView]) -> _Silence | None:
    """All that is known is that nothing changed while it was watched."""
    for_ms = round(1000 * evidence.span_s)
    if for_ms < _PATIENCE_MS or not evidence.settled or not _produced(evidence, held, None):
        return None
    for part in held:
        if len({commit.offset for _, commit in evidence.course(part.partition)}) > 1:
            return None
    return _Silence(
        "watched",
        for_ms,
        f"committed nothing while the group was watched, {span_text(for_ms)}",
        (EvidenceLine("commits", f"unchanged for {span_text(for_ms)}", "OffsetFetch"),),
        Certainty.GUESS,
        at_once=True,
    )


def _produced(evidence: Evidence, held: list[PartitionView], since_ms: int | None) -> bool:
    """Whether records came in meanwhile, in most of the partitions that have work.

    With lag alone a member may be stuck at one record; that records keep coming makes it a matter of commits.
    """
    looks = [look for look in evidence.looks if since_ms is None or look.at_ms >= since_ms]
    if len(looks) < 2:
        return all((part.lag or 0) > 0 for part in held if _records(part))
    grown = 0
    for part in held:
        first, last = (look.partitions.get(part.partition) for look in (looks[0], looks[-1]))
        if first is not None and last is not None and (last.end or 0) > (first.end or 0):
            grown += 1
    return grown > 0


def _came(evidence: Evidence, member: MemberFacts) -> int | None:
    """When it came or last got another share; None if that was before anything is known."""
    since_ms: int | None = None
    for event in evidence.events or ():
        match event:
            case MemberJoined(member=who) | MemberReconciled(member=who) if who == member.member_id:
                since_ms = event.at_ms
            case RebalanceCompleted() if member.member_id in event.assignment:
                since_ms = since_ms if since_ms is not None else event.at_ms
    return since_ms


def _held_since(evidence: Evidence, member: MemberFacts) -> int | None:
    """Since when, at the latest, it has held its partitions."""
    since_ms = _came(evidence, member)
    for look in evidence.looks:
        seen = look.groups.get(evidence.group)
        if seen is not None and any(
            each.member_id == member.member_id and each.assignment == member.assignment
            for each in seen.members
        ):
            return look.at_ms if since_ms is None else min(look.at_ms, since_ms)
    return since_ms


def _records(part: PartitionView) -> int:
    """How many there are to read; of a partition without a commit all of them."""
    if part.end is None or part.start is None:
        return 0
    return max(0, part.end - (part.start if part.commit is None else max(part.commit.offset, part.start)))


def _finding(evidence: Evidence, silent: list[_Silent]) -> Finding:
    worst = max((each.silence for each in silent), key=lambda silence: silence.for_ms)
    with_work = [part for each in silent for part in each.with_work]
    partitions: list[TopicPartition] = [part.partition for part in with_work]
    members = [each.member.member_id for each in silent]
    names, several = and_list(evidence.names(members)), len(members) > 1
    held = f"{names} {'hold' if several else 'holds'} {partitions_text(partitions)}"
    has = "have" if several else "has"
    if silent[0].may_be_dead:
        return _perhaps_dead(evidence, silent, f"{held}, and {has} {worst.words}")
    alive = ("send" if several else "sends") + " heartbeats"
    lives = f"{alive if silent[0].lives else 'are members' if several else 'is a member'}, and {has}"
    if worst.kind == "never":
        then = "after a restart auto.offset.reset decides where to begin"
    else:
        then = f"a restart begins again {count_of(sum(map(_records, with_work)), 'record')} before the end"
    return RULE.finding(
        evidence,
        f"{held}, {lives} {worst.words}: {then}",
        *worst.lines,
        certainty=worst.certainty,
        partitions=partitions,
        members=members,
        advice=f"Look in the log of {names} for commits that fail. With enable.auto.commit=false the program must "
        "commit itself, after the work is done and when partitions are revoked.",
        commands=(evidence.command("groups", "offsets-log", names=[evidence.group]),),
        doubts=_DOUBTS,
    )


def _perhaps_dead(evidence: Evidence, silent: list[_Silent], words: str) -> Finding:
    """Nobody knows whether it lives until its session is over."""
    members = [each.member.member_id for each in silent]
    names, whose = and_list(evidence.names(members)), "its" if len(members) == 1 else "their"
    session_ms = silent[0].session_ms
    over = (
        f"how long {whose} session lasts is not known here"
        if session_ms is None
        else f"{whose} session ({span_text(session_ms)}) is not over"
    )
    worst = max((each.silence for each in silent), key=lambda silence: silence.for_ms)
    source = "DescribeConfigs" if evidence.facts.type == "Consumer" else "__consumer_offsets"
    known = [] if session_ms is None else [EvidenceLine("session.timeout.ms", f"{session_ms:,}", source)]
    return RULE.finding(
        evidence,
        f"{words}: perhaps dead or frozen; {over}",
        *worst.lines,
        *known,
        certainty=Certainty.GUESS,
        partitions=[part.partition for each in silent for part in each.with_work],
        members=members,
        advice=f"See whether {names} still runs. Who is dead loses its partitions to others when its session is over; "
        "who lives is still a member then: look in its log for commits that fail, or for work that hangs.",
        commands=(evidence.command("groups", "describe", "--members", names=[evidence.group]),),
        doubts=_DOUBTS,
    )


RULE = Rule(
    id="D19",
    name="never-commits",
    severity=Severity.WARNING,
    title="reads, but does not commit",
    judge=judge,
    needs=(),
    explains_lag=True,
    lesson=Lesson(
        what="A commit is the only thing that a group remembers. A consumer reads on from a position of its own in "
        "memory; what it has committed matters when somebody else takes the partition over, or it is started again. "
        "Who reads and does not commit works well until the next rebalance, and then does everything again.",
        why="enable.auto.commit=false and no commit in the program; a commit that fails and whose error nobody looks "
        "at (asynchronous commits without a callback); a consumer that is only polled for its rebalance, with its "
        "records thrown away; a transaction that is never finished. From outside it looks like a consumer that reads "
        "nothing: the brokers do not tell whether a member fetches.",
        todo="Commit after the work, at least every few seconds, synchronously when partitions are revoked and at the "
        "end. Look at each commit's error. If the offsets are kept elsewhere on purpose, ignore this finding, or "
        "commit as well, so that lag can be watched.",
    ),
)
