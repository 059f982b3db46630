"""D13: members were replaced one by one, and each replacement was a rebalance."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.lives import Life, lives, stem, summary
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceReason

__all__ = ["RULE"]

SOON_MS: Final = 120_000
"""Who comes within this time of another's leave may be its replacement,"""
EARLY_MS: Final = 60_000
"""or who came so shortly before it."""
GOODBYE = frozenset({RebalanceReason.MEMBER_LEFT, RebalanceReason.SESSION_EXPIRED})


def judge(evidence: Evidence) -> list[Finding]:
    """Pairs of one that left and one of the same kind that came, of at least two, and half the group."""
    known = lives(evidence)
    pairs = _replacements(known)
    size = max(len(evidence.facts.members), 1)
    if len(pairs) < max(2, (size + 1) // 2):
        return []
    begun_ms = min(min(old.left_ms or 0, new.joined_ms or 0) for old, new in pairs)
    done_ms = max(max(old.left_ms or 0, new.joined_ms or 0) for old, new in pairs)
    whole = summary(evidence)
    during = [
        each for each in whole.rebalances if begun_ms - 1000 <= each.rebalance.started_ms <= done_ms + 1000
    ]
    spent_ms = sum(each.rebalance.duration_ms or 0 for each in during)
    moved = sum(each.moved for each in during)
    source, took = evidence.events_source, span_text(done_ms - begun_ms)
    at = f"{datetime.fromtimestamp(begun_ms / 1000).astimezone():%H:%M}"
    return [
        RULE.finding(
            evidence,
            f"{count_of(len(pairs), 'member')} were replaced one by one from {at} on, in {took}: a deploy without "
            f"static membership, which cost {count_of(len(during), 'rebalance')}",
            EvidenceLine(
                "replaced", f"{len(pairs)} of {size}, such as {pairs[0][0].who} by {pairs[0][1].who}", source
            ),
            EvidenceLine("rebalances", f"{len(during)}, {span_text(spent_ms)} in all", source),
            EvidenceLine("partitions that changed hands", f"{moved:,} times", source),
            EvidenceLine("group.instance.id", "not set", source),
            certainty=Certainty.LIKELY,
            members=[life.member_id for pair in pairs for life in pair],
            advice="Give each instance a group.instance.id of its own that stays (a StatefulSet's pod name) and a "
            "session.timeout.ms longer than a restart: then nothing moves. Otherwise use cooperative-sticky or "
            "group.protocol=consumer, so that only what moves is stopped.",
            commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
            doubts="An autoscaler that removes members and adds others, or hosts that failed one after the other.",
        )
    ]


def _replacements(known: list[Life]) -> list[tuple[Life, Life]]:
    """Each who left, without an instance id, with the first unpaired newcomer of its kind around that time."""
    newcomers = [life for life in known if life.joined_ms is not None]
    pairs: list[tuple[Life, Life]] = []
    used: set[str] = set()
    for old in sorted(
        (life for life in known if life.left_ms is not None), key=lambda life: life.left_ms or 0
    ):
        if old.who.instance_id is not None or old.reason not in GOODBYE:
            continue
        left_ms = old.left_ms or 0
        fitting = [
            new
            for new in newcomers
            if new.member_id not in used
            and -EARLY_MS <= (new.joined_ms or 0) - left_ms <= SOON_MS
            and new.who.instance_id is None
            and stem(new.who.client_id) == stem(old.who.client_id)
            and (old.joined_ms is None or (new.joined_ms or 0) > old.joined_ms)
        ]
        if fitting:
            new = min(fitting, key=lambda life: abs((life.joined_ms or 0) - left_ms))
            used.add(new.member_id)
            pairs.append((old, new))
    replaced_again = {old.member_id for old, _ in pairs} & {new.member_id for _, new in pairs}
    return [] if len(replaced_again) > len(pairs) / 2 else pairs  # rather one that flaps


RULE = Rule(
    id="D13",
    name="rolling-deploy",
    severity=Severity.WARNING,
    title="a deploy rebalanced the group again and again",
    judge=judge,
    needs=(Need.EVENTS,),
    silences=("D12",),
    causes=("D09",),
    meant=True,
    lesson=Lesson(
        what="In a rolling restart each instance leaves and its successor joins. Without static membership the group "
        "learns of two changes for each instance, and shares its partitions out each time: ten instances are twenty "
        "rebalances, and a partition may travel several times through members that are about to end themselves.",
        why="group.instance.id is not set, so the coordinator cannot know that the newcomer is the old member's "
        "successor. With an eager assignor each of these rebalances stops every partition for a moment.",
        todo="Set group.instance.id to a name that survives the restart, unique in the group, and session.timeout.ms "
        "to more than a restart takes: the successor gets the same partitions, without any rebalance. The price: an "
        "instance that never comes back is noticed only after its session timeout. Or use cooperative-sticky, or "
        "group.protocol=consumer, where partitions that stay are never stopped.",
    ),
)
