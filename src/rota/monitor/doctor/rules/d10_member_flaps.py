"""D10: one member leaves and comes back again and again: a restart loop."""

from __future__ import annotations

from typing import Final

from rota.monitor.doctor.evidence import Evidence, Need
from rota.monitor.doctor.lives import Life, Who, lives, most_at_once, summary
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import and_list, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.timeline.events import RebalanceReason

__all__ = ["RULE"]

RETURNS: Final = 3
"""So many returns of each process are a loop."""
OTHERS: Final = frozenset({RebalanceReason.POLL_INTERVAL_EXCEEDED, RebalanceReason.JOIN_TIMEOUT})
"""Ways to go that are another rule's: the process lives on."""


def judge(evidence: Evidence) -> list[Finding]:
    """Who joined under new member ids, more often than a deploy explains."""
    slots: dict[Who, list[Life]] = {}
    for life in lives(evidence):
        slots.setdefault(life.who, []).append(life)
    found = []
    for who, held in slots.items():
        ended = [life for life in held if life.left_ms is not None]
        returns = len(held) - most_at_once(held)
        if returns < RETURNS * most_at_once(held) or not ended:
            continue
        if sum(life.reason in OTHERS for life in ended) > len(ended) / 2:
            continue
        found.append(_finding(evidence, who, held, ended, returns))
    return found


def _finding(evidence: Evidence, who: Who, held: list[Life], ended: list[Life], returns: int) -> Finding:
    first_ms = min(life.left_ms for life in ended if life.left_ms is not None)
    last_ms = max(life.joined_ms or 0 for life in held)
    lasted = [life.left_ms - life.joined_ms for life in ended if life.left_ms and life.joined_ms]
    costs = [
        each.duration_ms for item in summary(evidence).rebalances if (each := item.rebalance).duration_ms
    ]
    crashed = sum(life.reason is RebalanceReason.SESSION_EXPIRED for life in ended)
    ways = [f"{crashed}× without a word"] if crashed else []
    ways += [f"{len(ended) - crashed}× with a goodbye"] if len(ended) > crashed else []
    source = evidence.events_source
    lines = [EvidenceLine("came back", f"{returns}× in {span_text(max(last_ms - first_ms, 0))}", source)]
    if lasted:
        lines.append(EvidenceLine("stayed each time", span_text(sum(lasted) / len(lasted)), source))
    lines.append(EvidenceLine("left", and_list(ways), source))
    if sum(costs) >= 100 * len(costs) > 0:
        lines.append(EvidenceLine("each rebalance took", span_text(sum(costs) / len(costs)), source))
    return RULE.finding(
        evidence,
        f"{who} left and came back {returns} times within {span_text(max(last_ms - first_ms, 0))}: "
        "its program is started again and again",
        *lines,
        certainty=Certainty.LIKELY,
        members=[life.member_id for life in held],
        advice=f"Look at why {who.instance_id or who.client_id or 'it'} ends: its log, its exit code, the memory "
        "limit (OOM), a health check that is too strict. Stop it until it is mended; the others go on without "
        "rebalances. With group.instance.id a quick restart costs no rebalance.",
        commands=(evidence.command("groups", "rebalances", names=[evidence.group]),),
        doubts="Several short-lived programs on one host that share a client id, such as a job that is run by a timer.",
    )


RULE = Rule(
    id="D10",
    name="member-flaps",
    severity=Severity.WARNING,
    title="a member is started again and again",
    judge=judge,
    needs=(Need.EVENTS,),
    silences=("D12", "D13"),
    causes=("D09",),
    lesson=Lesson(
        what="The same program (client id and host) leaves the group and comes back under a new member id, over and "
        "over. Each time costs two rebalances: one when it goes, or when its session expires, and one when it comes.",
        why="It crashes on something it reads soon after its start and is restarted by a supervisor; it runs out of "
        "memory; a liveness probe kills it while it joins. Often it is the record that it cannot handle (D03): it "
        "crashes, restarts at the same offset, and crashes.",
        todo="Read its log and exit code. Until it is mended stop it, or let the supervisor wait longer between two "
        "starts. Static membership (group.instance.id, with a session timeout longer than a restart) lets a program "
        "come back without any rebalance, but does not mend it.",
    ),
)
