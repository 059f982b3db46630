"""D14: members read different topics, or what they read changed, and the group rebalanced for it."""

from __future__ import annotations

from typing import Final

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence
from rota.monitor.doctor.lives import since_ms
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceReason, RebalanceStarted

__all__ = ["RULE"]

CHANGES = frozenset({RebalanceReason.SUBSCRIPTION_CHANGED, RebalanceReason.PARTITIONS_ADDED})
OFTEN: Final = 3


def judge(evidence: Evidence) -> list[Finding]:
    """What differs now, else what changed of late."""
    found = [_differs(evidence), _changed(evidence)]
    return [finding for finding in found if finding is not None][:1]


def _differs(evidence: Evidence) -> Finding | None:
    kinds: dict[frozenset[str], list[str]] = {}
    for member in evidence.facts.members:
        if member.subscription is None or member.regex:
            return None
        kinds.setdefault(member.subscription, []).append(member.member_id)
    if len(kinds) < 2 or evidence.facts.is_rebalancing:
        return None
    ranked = sorted(kinds.items(), key=lambda item: (-len(item[1]), len(item[0]), sorted(item[0])))
    (usual, many), (other, few) = ranked[0], ranked[1]
    if not usual & other:
        return None  # two programs under one name, which is another rule's
    return RULE.finding(
        evidence,
        f"{and_list(evidence.names(few), 3)} {'reads' if len(few) == 1 else 'read'} {_topics(other)}, "
        f"{'the other' if len(kinds) == 2 else 'most'} {count_of(len(many), 'member')} {_topics(usual)}",
        *(
            EvidenceLine(and_list(evidence.names(members), 3), _topics(topics), "DescribeGroups")
            for topics, members in ranked[:4]
        ),
        members=few,
        advice="Let all members of the group subscribe to the same topics. If a deploy goes on, wait for its end; if "
        "the programs are different ones, give each a group of its own.",
        commands=(evidence.command("groups", "describe", "--members", "--verbose", names=[evidence.group]),),
        doubts="A deploy that adds or removes a topic: then it is over when the last member is replaced.",
    )


def _changed(evidence: Evidence) -> Finding | None:
    after_ms = since_ms(evidence)
    changes = [
        event
        for event in evidence.events or ()
        if isinstance(event, RebalanceStarted) and event.reason in CHANGES and event.at_ms >= after_ms
    ]
    if not changes:
        return None
    last = changes[-1]
    often = len(changes) >= OFTEN
    what = {
        RebalanceReason.SUBSCRIPTION_CHANGED: "a member's subscription changed",
        RebalanceReason.PARTITIONS_ADDED: "a topic's number of partitions changed",
    }[last.reason]
    when = f"{span_text(evidence.at_ms - last.at_ms)} ago"
    return RULE.finding(
        evidence,
        f"the group rebalanced because {what}"
        + (
            f", {len(changes)} times in {span_text(last.at_ms - changes[0].at_ms)}"
            if len(changes) > 1
            else ""
        ),
        EvidenceLine("last change", f"{when}: {last.detail or what}", evidence.events_source),
        EvidenceLine("changes of late", str(len(changes)), evidence.events_source),
        severity=Severity.WARNING if often else Severity.INFO,
        certainty=Certainty.LIKELY,
        members=[last.member] if last.member else [],
        advice="Nothing to do if somebody deployed, or added partitions. If it goes on: a pattern that matches topics "
        "which come and go, or a program that subscribes anew in its loop.",
        commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
        doubts="Somebody changed it on purpose.",
    )


def _topics(topics: frozenset[str]) -> str:
    return and_list(sorted(topics), 4) or "no topic"


RULE = Rule(
    id="D14",
    name="subscription-differs",
    severity=Severity.WARNING,
    title="members read different topics, or what they read changes",
    judge=judge,
    causes=("D09",),
    meant=True,
    lesson=Lesson(
        what="All members of a group share what all of them subscribe to. If one subscribes to other topics than the "
        "rest, its topics are shared among fewer members, and every change of any member's subscription, or of a "
        "topic's number of partitions, is a rebalance for all.",
        why="A deploy that adds a topic and is half done; a configuration that differs between hosts; two programs "
        "that were given the same group.id; a pattern (^orders-.*) that matches topics which are made and deleted all "
        "the time; a program that calls subscribe() with another list in its loop.",
        todo="Compare the members' subscriptions (the command shows them) and align their settings. Give different "
        "programs different groups. Make patterns narrow. Add partitions in quiet hours: the group rebalances once, "
        "and clients notice new partitions only after metadata.max.age.ms (five minutes unless set).",
    ),
)
