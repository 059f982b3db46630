"""D18: in a consumer group (KIP-848) a member does not let go of partitions that are meant for others.

Evidence: a member whose epoch stays behind the group's, others whose target has partitions that nobody shows, for
longer than two heartbeats (looks, or since the rebalance began). ConsumerGroupDescribe does not name partitions that
are being given up; `__consumer_offsets` does. Provoked with librdkafka: a member that is busy and does not poll while
another one joins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import TopicPartition
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, partitions_text, span_text, whole_number
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceCompleted, RebalanceStarted

if TYPE_CHECKING:
    from rota.monitor.facts import GroupFacts, MemberFacts

__all__ = ["RULE"]

_SOURCE = "ConsumerGroupDescribe"
_HEARTBEAT_MS = 5_000
"""``group.consumer.heartbeat.interval.ms`` unless it is set."""


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for the group, with everybody who holds it up."""
    group = evidence.facts
    late = [member for member in group.members if _is_late(group, member)]
    waiting = {member.member_id: _missing(member) for member in group.members if _missing(member)}
    if group.type != "Consumer" or not late or not waiting:
        return []
    lasts_ms = max(_unchanged_ms(evidence), _rebalancing_ms(evidence))
    if lasts_ms < 2 * _heartbeat_ms(evidence):
        return []
    held, source = _held_back(evidence, late, waiting)
    names = and_list(evidence.names(member.member_id for member in late))
    waiters = and_list(evidence.names(waiting))
    limit_ms = _limit_ms(evidence, late)
    lines = [
        EvidenceLine(f"epoch of {name}", f"{member.epoch} (the group is at {group.epoch})", _SOURCE)
        for name, member in zip(evidence.names(member.member_id for member in late), late, strict=True)
    ]
    if limit_ms is not None:
        lines.append(EvidenceLine("rebalance timeout", span_text(limit_ms), "__consumer_offsets"))
    return [
        RULE.finding(
            evidence,
            f"{names} has not let go of {partitions_text(held)} for {span_text(lasts_ms)}, and {waiters} "
            f"{'wait' if len(waiting) > 1 else 'waits'} for {'it' if len(held) == 1 else 'them'}",
            *lines,
            EvidenceLine("meant for others", partitions_text(held), source),
            EvidenceLine("unchanged for", span_text(lasts_ms), _SOURCE),
            certainty=Certainty.CERTAIN if len(late) == 1 else Certainty.LIKELY,
            partitions=held,
            members=[member.member_id for member in late],
            advice=f"Look at what {names} is doing: it sends heartbeats, so its process lives, but it does not poll "
            "(a long handler), or its revoke callback hangs. Restart it if it does not come back"
            + (
                f"; the coordinator throws it out after {span_text(limit_ms)}."
                if limit_ms is not None
                else "; the coordinator throws it out when its max.poll.interval.ms is over."
            ),
            commands=(
                evidence.command("groups", "describe", "--members", "--verbose", names=[evidence.group]),
            ),
            doubts="A handler that is meant to take so long: then the partitions move when it is done.",
        )
    ]


def _is_late(group: GroupFacts, member: MemberFacts) -> bool:
    """It is not at the group's epoch, although it has all that it is meant to have: so it still gives something up."""
    if None in (member.epoch, group.epoch, member.target):
        return False
    return member.epoch != group.epoch and not _missing(member)


def _missing(member: MemberFacts) -> frozenset[TopicPartition]:
    """What it is meant to have and does not."""
    return frozenset(member.target or ()) - frozenset(member.assignment)


def _held_back(
    evidence: Evidence, late: list[MemberFacts], waiting: dict[str, frozenset[TopicPartition]]
) -> tuple[list[TopicPartition], str]:
    """What they hold, and who says so: the record of it, or else what others miss and nobody has."""
    names = {member.member_id for member in late}
    recorded = evidence.recorded.members if evidence.recorded else ()
    told = {each for member in recorded if member.member_id in names for each in member.revoking}
    if told:
        return sorted(told), "__consumer_offsets"
    shown = {each for member in evidence.facts.members for each in member.assignment}
    surplus = {each for member in late for each in member.assignment if each not in (member.target or ())}
    return sorted(frozenset().union(*waiting.values()) - shown | surplus), _SOURCE


def _unchanged_ms(evidence: Evidence) -> int:
    """For how long looks in a row have found the same epochs, until now."""
    first_ms, now = evidence.at_ms, _epochs(evidence.facts)
    for look in reversed(evidence.looks):
        seen = look.groups.get(evidence.group)
        if seen is None or _epochs(seen) != now:
            break
        first_ms = look.at_ms
    return evidence.at_ms - first_ms


def _epochs(group: GroupFacts) -> object:
    return group.epoch, {member.member_id: (member.epoch, _missing(member)) for member in group.members}


def _rebalancing_ms(evidence: Evidence) -> int:
    """For how long the rebalance goes on that the events tell of; 0 if none does."""
    since_ms: int | None = None
    for event in evidence.events or ():
        if isinstance(event, RebalanceStarted):
            since_ms = event.at_ms
        elif isinstance(event, RebalanceCompleted):
            since_ms = None
    return 0 if since_ms is None else evidence.at_ms - since_ms


def _heartbeat_ms(evidence: Evidence) -> int:
    own = (evidence.group_configs or {}).get("consumer.heartbeat.interval.ms")
    common = (evidence.broker_configs or {}).get("group.consumer.heartbeat.interval.ms")
    return whole_number(own) or whole_number(common) or _HEARTBEAT_MS


def _limit_ms(evidence: Evidence, late: list[MemberFacts]) -> int | None:
    recorded = evidence.recorded.members if evidence.recorded else ()
    known = {member.member_id: member.rebalance_timeout_ms for member in (*late, *recorded)}
    limits = [limit for member in late if (limit := known.get(member.member_id)) is not None]
    return max(limits, default=None)


RULE = Rule(
    id="D18",
    name="not-letting-go",
    severity=Severity.WARNING,
    title="a member does not let go of partitions",
    judge=judge,
    causes=("D09",),
    lesson=Lesson(
        what="In a consumer group (KIP-848, group.protocol=consumer) the coordinator works out who is to have what, "
        "and each member goes there by itself: it first gives up what is not its own any more, says so with its next "
        "heartbeat, and only then others get these partitions. Nobody stops for the others. But a member that does "
        "not give up keeps those waiting who are to have its partitions.",
        why="Partitions are given up inside poll(), after the revoke callback has returned. Who works on a record for "
        "minutes, or hangs in that callback (a commit that is tried for ever, a lock, a slow flush), does not get "
        "there. Heartbeats come from another thread, so the member looks alive. Its epoch stays behind the group's: "
        "that is how one finds it.",
        todo="Take a stack dump of that member, or restart it. Keep the work between two polls far below "
        "max.poll.interval.ms, which is also the time after which the coordinator throws such a member out, and put a "
        "limit on what the revoke callback waits for.",
    ),
)
