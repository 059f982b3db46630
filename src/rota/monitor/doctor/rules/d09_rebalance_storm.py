"""D09: the group rebalances again and again, or does not get done with a rebalance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.model import count_of
from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.lives import Life, lives, summary
from rota.monitor.doctor.pace import share
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceCompleted, RebalanceReason

if TYPE_CHECKING:
    from rota.timeline.summary import RebalanceSummary

__all__ = ["RULE"]

ENOUGH: Final = 6
"""So many rebalances of late are a storm; a member that crashes and comes back makes up to four."""
OVER_S: Final = 60
"""So long after the last of them the storm is over."""
SAME_MS: Final = 250
"""A join is recorded so long before or after the rebalance that it causes."""
NEAR_MS: Final = 60_000
"""Who comes so shortly before or after somebody else leaves comes in his place."""
LONG_S: Final = 30
"""A rebalance that takes longer is stuck."""


def judge(evidence: Evidence) -> list[Finding]:
    """Count what is more than a group that grows; and how long the rebalance goes on that goes on."""
    found = [_storm(evidence), _endless(evidence)]
    return [finding for finding in found if finding is not None][:1]


def _storm(evidence: Evidence) -> Finding | None:
    whole = summary(evidence)
    known = lives(evidence)
    counted = [each for each in whole.rebalances if not _only_new(each, known)]
    if len(counted) < ENOUGH:
        return None
    first_ms = counted[0].rebalance.started_ms
    last_ms = max(each.rebalance.completed_ms or evidence.at_ms for each in counted)
    took_s = max((last_ms - first_ms) / 1000, 0.001)
    busy_s = sum(each.rebalance.duration_ms or 0 for each in counted) / 1000
    quiet_s = 0.0 if evidence.facts.is_rebalancing else (evidence.at_ms - last_ms) / 1000
    over = quiet_s >= OVER_S
    ended = f", the last {span_text(1000 * quiet_s)} ago" if over else ""
    worst = max((each.longest_pause_ms for each in whole.rebalances), default=0)
    source = evidence.events_source
    return RULE.finding(
        evidence,
        f"the group rebalanced {len(counted)} times within {span_text(1000 * took_s)}{ended}: "
        "nobody reads the partitions that change hands",
        EvidenceLine(
            "rebalances", f"{len(counted)}, one every {span_text(1000 * took_s / len(counted))}", source
        ),
        EvidenceLine("time spent in them", f"{span_text(1000 * busy_s)} ({share(busy_s, took_s)})", source),
        *([EvidenceLine("longest pause", span_text(worst), source)] if worst else []),
        EvidenceLine("reasons", _reasons(counted), source),
        severity=Severity.WARNING if over else Severity.CRITICAL,
        advice="Find out who comes and goes: the list of rebalances names each member and how it went.",
        commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
        doubts="Somebody scales or deploys the group just now, and will be done soon.",
    )


def _only_new(each: RebalanceSummary, known: list[Life]) -> bool:
    """Whether it was only that somebody came: nobody left around that time, and nobody like him before."""
    rebalance = each.rebalance
    if rebalance.reason is not RebalanceReason.MEMBER_JOINED:
        return False
    until_ms = (rebalance.completed_ms or rebalance.started_ms) + SAME_MS
    came = [
        life
        for life in known
        if life.joined_ms is not None and rebalance.started_ms - SAME_MS <= life.joined_ms <= until_ms
    ]
    gone = [(life.who, life.left_ms) for life in known if life.left_ms is not None]
    replaced = any(abs(left_ms - rebalance.started_ms) <= NEAR_MS for _, left_ms in gone)
    return not replaced and not any(
        who == life.who and left_ms <= (life.joined_ms or 0) for life in came for who, left_ms in gone
    )


def _reasons(counted: list[RebalanceSummary]) -> str:
    numbers: dict[str, int] = {}
    for each in counted:
        numbers[each.rebalance.words] = numbers.get(each.rebalance.words, 0) + 1
    ranked = sorted(numbers.items(), key=lambda item: -item[1])
    return and_list([f"{words} ({number}×)" if number > 1 else words for words, number in ranked], 4)


def _endless(evidence: Evidence) -> Finding | None:
    """A rebalance that has been going on for long."""
    if not evidence.facts.is_rebalancing:
        return None
    since = [look.at_ms for look in evidence.looks if evidence.group in look.groups]
    for look in reversed(evidence.looks):
        group = look.groups.get(evidence.group)
        if group is not None and not group.is_rebalancing:
            since = [at_ms for at_ms in since if at_ms > look.at_ms]
            break
    # Of old looks few are kept: what was at rest between two of them is known from events alone.
    done = (each.at_ms for each in evidence.events or () if isinstance(each, RebalanceCompleted))
    done_ms = max(done, default=0)
    since = [at_ms for at_ms in since if at_ms > done_ms]
    started = evidence.view.rebalance.started_ms if evidence.view.rebalance else None
    begun_ms = min(since[0] if since else evidence.at_ms, started or evidence.at_ms)
    goes_on_s = (evidence.at_ms - begun_ms) / 1000
    if goes_on_s < LONG_S:
        return None
    waits = evidence.view.rebalance.waiting_for if evidence.view.rebalance else ()
    who = f": it waits for {and_list(waits)}" if waits else ""
    limit = max((member.rebalance_timeout_ms or 0 for member in evidence.facts.members), default=0)
    return RULE.finding(
        evidence,
        f"a rebalance has been going on for {span_text(1000 * goes_on_s)}{who}",
        EvidenceLine("state", evidence.facts.state, "DescribeGroups"),
        EvidenceLine("since", f"{span_text(1000 * goes_on_s)} ago", evidence.events_source),
        EvidenceLine("members", count_of(len(evidence.facts.members), "member"), "DescribeGroups"),
        *([EvidenceLine("it may take up to", span_text(limit), "__consumer_offsets")] if limit else []),
        certainty=Certainty.CERTAIN,
        advice="The coordinator waits for every member to come to the barrier, for as long as the longest "
        "max.poll.interval.ms among them. Look at the member it waits for: a handler or callback hangs. Restart it.",
        commands=(
            evidence.command("groups", "rebalances", names=[evidence.group]),
            evidence.command("groups", "describe", "--members", "--verbose", names=[evidence.group]),
        ),
        doubts="A handler that is meant to take so long.",
    )


RULE = Rule(
    id="D09",
    name="rebalance-storm",
    severity=Severity.CRITICAL,
    title="the group rebalances again and again",
    judge=judge,
    needs=(Need.EVENTS,),
    silences=("D04", "D07", "D16"),
    lesson=Lesson(
        what="A rebalance shares the partitions out anew. While it goes on, partitions that change hands (with an "
        "eager assignor all of them) are read by nobody, and what was read and not committed is read again. One is "
        "healthy; one after the other is an outage: members spend their time joining, and lag grows on all partitions.",
        why="Something makes members come and go: a restart loop (D10), a handler slower than max.poll.interval.ms "
        "(D11), frozen or overloaded hosts (D12), a deploy without static membership (D13), changing subscriptions or "
        "topics (D14), a client that joins again and again (D15). Storms feed themselves: after each, members have "
        "more to catch up on, take longer, and are thrown out again.",
        todo="Mend the cause that the finding names; the storm ends by itself. To calm a group meanwhile: stop the "
        "member that flaps, raise max.poll.interval.ms or lower max.poll.records, and give members "
        "group.instance.id, so that a quick restart moves nothing.",
    ),
)
