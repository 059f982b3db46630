"""D17: members do not speak alike: an upgrade that was begun and not finished, or that somebody has undone.

Evidence: in a consumer group (KIP-848), who still speaks the classic protocol (ConsumerGroupDescribe), and by which
assignors (`__consumer_offsets`); and a classic group whose assignor went from a cooperative one back to an eager one.
Of a classic group Kafka records only the assignor that it agreed on, not what each member supports.
Provoked with librdkafka members of both protocols in one group, and with an old member after a new one.
"""

from __future__ import annotations

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.rules.d16_eager_stop import EAGER
from rota.monitor.doctor.telling import and_list
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import MemberJoined, RebalanceCompleted

__all__ = ["RULE"]

_ROLLING_MS = 10 * 60_000
"""A rollout in which somebody joined so lately may still go on."""
_DOUBTS = "A rolling restart that is still going on: then wait for its end."


def judge(evidence: Evidence) -> list[Finding]:
    """At most one finding: the protocol is told before the assignors."""
    return _two_protocols(evidence) or _gone_back(evidence)


def _two_protocols(evidence: Evidence) -> list[Finding]:
    members = evidence.facts.members
    classic = [member for member in members if member.upgraded is False]
    upgraded = [member for member in members if member.upgraded]
    if not classic or not upgraded:
        return []
    names = evidence.names(member.member_id for member in classic)
    recorded = evidence.recorded.members if evidence.recorded else ()
    lists = {member.member_id: member.protocols for member in recorded}
    return [
        RULE.finding(
            evidence,
            f"{len(classic)} of {count_of(len(members), 'member')} still "
            f"{'speaks' if len(classic) == 1 else 'speak'} the classic protocol ({and_list(names)}): the move to "
            "group.protocol=consumer is not finished",
            EvidenceLine("speak the consumer protocol", str(len(upgraded)), "ConsumerGroupDescribe"),
            EvidenceLine("speak the classic protocol", and_list(names), "ConsumerGroupDescribe"),
            *(
                EvidenceLine(f"assignors of {name}", and_list(lists[member.member_id]), "__consumer_offsets")
                for name, member in list(zip(names, classic, strict=True))[:4]
                if lists.get(member.member_id)
            ),
            severity=_severity(evidence),
            members=[member.member_id for member in classic],
            advice=f"Restart {and_list(names)} with group.protocol=consumer. Until then partitions that they give up "
            "move as slowly as in a classic rebalance, for each of them has to join again.",
            commands=(
                evidence.command("groups", "describe", "--members", "--verbose", names=[evidence.group]),
            ),
            doubts=_DOUBTS,
        )
    ]


def _gone_back(evidence: Evidence) -> list[Finding]:
    """A cooperative group that an eager member has made eager again."""
    made = [
        each for each in evidence.events or () if isinstance(each, RebalanceCompleted) and each.assignment
    ]
    if not made or made[-1].protocol not in EAGER or evidence.facts.assignor not in ("", made[-1].protocol):
        return []
    earlier = [each for each in made if each.protocol and "cooperative" in each.protocol]
    if not earlier:
        return []
    back = made[made.index(earlier[-1]) + 1]
    newcomers = sorted(set(back.assignment) - set(earlier[-1].assignment))
    names = evidence.names(newcomers)
    stayed = set(back.assignment) & set(earlier[-1].assignment)
    why = (
        "a member that knows only the old assignor decides for all"
        if stayed
        else "all its members are others"
    )
    when = f"when {and_list(names)} joined" if names else "although nobody new joined"
    return [
        RULE.finding(
            evidence,
            f"the group went from {earlier[-1].protocol} back to {back.protocol} in generation {back.generation}, "
            f"{when}: {why}",
            EvidenceLine("assignor before", str(earlier[-1].protocol), evidence.events_source),
            EvidenceLine(
                f"assignor of generation {back.generation}", str(back.protocol), evidence.events_source
            ),
            EvidenceLine("new in it", and_list(names) or "nobody", evidence.events_source),
            severity=_severity(evidence),
            certainty=Certainty.LIKELY,
            members=newcomers,
            advice="Give all members the same partition.assignment.strategy. A cooperative group needs every member "
            "to support its assignor; one old deployment, cron job or debugging session in the group is enough to "
            "undo the upgrade.",
            commands=(evidence.command("groups", "describe", "--members", names=[evidence.group]),),
            doubts="A rollback on purpose.",
        )
    ]


def _severity(evidence: Evidence) -> Severity:
    """Worth knowing while somebody is still restarting members; later it is a warning."""
    joined = [event.at_ms for event in evidence.events or () if isinstance(event, MemberJoined)]
    fresh = bool(joined) and evidence.at_ms - max(joined) < _ROLLING_MS
    return Severity.INFO if fresh else Severity.WARNING


RULE = Rule(
    id="D17",
    name="mixed-assignors",
    severity=Severity.WARNING,
    title="members do not speak alike",
    judge=judge,
    lesson=Lesson(
        what="A classic group uses an assignor that all its members support; the member with the shortest list "
        "decides for all. In a consumer group (KIP-848) members of both protocols may live side by side while it is "
        "migrated. Both are meant to last for one rollout.",
        why="A rollout that stopped half way, an old deployment that nobody remembers, a developer's laptop with the "
        "group's name. While it lasts the group has the drawbacks of the old way: an eager assignor stops everybody, "
        "and a classic member in a consumer group has to join again for each change of its share.",
        todo="Finish the rollout or undo it. For classic groups the order matters: first every member supports both "
        "assignors, then every member supports the new one alone. A member that supports none of the group's "
        "assignors is refused (INCONSISTENT_GROUP_PROTOCOL) and leaves no trace but in its own log.",
    ),
)
