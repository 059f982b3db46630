"""A group's events and findings as lines of text, and everything that is known of a group, member or partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from rota.monitor.findings import Certainty
from rota.monitor.words import (
    CERTAINTY_WORDS,
    QUALITY_WORDS,
    SEVERITY_SIGNS,
    age,
    count,
    per_second,
    time_text,
)
from rota.timeline.account import clock_text
from rota.timeline.events import MemberLeft, RebalanceReason, RebalanceStarted
from rota.timeline.look import seconds
from rota.timeline.sentences import held_words, sentence
from rota.top.group_page import generation_word
from rota.top.head import SEVERITY_STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.monitor.cast import Cast
    from rota.monitor.findings import Finding
    from rota.monitor.rebalances import Told
    from rota.monitor.view import GroupView, MemberView, PartitionView
    from rota.timeline.events import Event

__all__ = [
    "describe_group",
    "describe_member",
    "describe_partition",
    "event_lines",
    "explain",
    "finding_lines",
    "last_rebalance",
    "rebalance_lines",
]


def event_lines(view: GroupView, cast: Cast, events: Iterable[Event] | None = None) -> list[Text]:
    """What happened (or only these ``events``), the newest last."""
    word = generation_word(view).capitalize()
    told = {(item.member, item.reason) for item in view.events if isinstance(item, RebalanceStarted)}
    lines = []
    for event in view.events if events is None else events:
        words = sentence(event, cast.name, word=word)
        if isinstance(event, MemberLeft) and events is None and (event.member, event.reason) in told:
            continue  # the rebalance that it began says the same
        if words is not None:
            style = "bold yellow" if isinstance(event, RebalanceStarted) else ""
            lines.append(Text.assemble((f"{clock_text(event.at_ms)}  ", "dim"), (words, style)))
    return lines


FOLLOWS_MS: Final = 10_000
"""A rebalance for which members asked again, so soon after another, is its second step (cooperative-sticky)."""


def last_rebalance(told: Sequence[Told], now_ms: int) -> str:
    """When the last one was, why and how sure that is, and what it cost; for the line below a group's name."""
    steps = _last_steps([item for item in told if item.is_done])
    if not steps:
        return "No rebalance is known of."
    first, last = steps[0], steps[-1]
    ago = age((now_ms - last.until_ms) / 1000)
    doubtful = [each.certainty for each in first.verdicts if each.certainty is not Certainty.CERTAIN]
    text = f"Last rebalance {ago} ago: {first.words}"
    text += f" ({CERTAINTY_WORDS[doubtful[0]]})" if doubtful else ""
    if first.account is None:
        return text
    took_ms = last.until_ms - first.at_ms
    if took_ms > 0 and first.exact:
        text += f", took {seconds(took_ms)}"
    elif first.began_between_ms is not None:
        text += f", took at most {seconds(last.until_ms - first.since_ms)}"
    text += f" in {len(steps)} steps" if len(steps) > 1 else ""
    moved = {move.partition for item in steps if item.account is not None for move in item.account.moves}
    text += f", {len(moved)} moved" if moved else ""
    costs = [item.cost.words for item in steps if item.cost.words]
    return f"{text}; {costs[0]}" if len(costs) == 1 else text


def _last_steps(done: Sequence[Told]) -> Sequence[Told]:
    """The last rebalance, with the one before it that it only finishes."""
    start = len(done) - 1
    while start > 0 and _follows(done[start - 1], done[start]):
        start -= 1
    return done[max(start, 0) :]


def _follows(before: Told, item: Told) -> bool:
    reasons = {verdict.reason for verdict in item.verdicts}
    return (
        before.account is not None
        and item.account is not None
        and reasons <= {RebalanceReason.MEMBER_REJOINED, RebalanceReason.LEADER_REJOINED}
        and item.at_ms - before.until_ms < FOLLOWS_MS
    )


def rebalance_lines(told: Sequence[Told]) -> list[Text]:
    """The account of each, the newest first."""
    lines = []
    for item in reversed(told):
        head, *rest = item.lines()
        lines += [Text(head, "bold"), *(Text(line) for line in rest), Text("")]
    return lines


def finding_lines(findings: Iterable[Finding]) -> list[Text]:
    """One line each, the worst first, and what to do below it."""
    lines = []
    for finding in sorted(findings, key=lambda item: item.severity.rank):
        style = SEVERITY_STYLES[finding.severity]
        sure = CERTAINTY_WORDS[finding.certainty]
        lines.append(
            Text.assemble(
                (f"{SEVERITY_SIGNS[finding.severity]} {finding.rule} ", style),
                finding.words,
                (f" ({sure})", "dim"),
            )
        )
        if finding.advice:
            lines.append(Text(f"  → {finding.advice}"))
    return lines


def explain(findings: Iterable[Finding]) -> list[Text]:
    """Everything that a doctor says."""
    lines: list[Text] = []
    for finding in sorted(findings, key=lambda item: item.severity.rank):
        style = SEVERITY_STYLES[finding.severity]
        head = f"{SEVERITY_SIGNS[finding.severity]} {finding.rule} {finding.name}, {finding.severity.value}, "
        lines += [Text(head + CERTAINTY_WORDS[finding.certainty], style), Text(f"  {finding.words}", "bold")]
        lines += [Text(f"    {line.what}: {line.value}  [{line.source}]") for line in finding.evidence]
        if finding.advice:
            lines.append(Text(f"  What to do: {finding.advice}"))
        lines += [Text(f"    $ {command}", "cyan") for command in finding.commands]
        if finding.doubts:
            lines.append(Text(f"  What would change the doctor's mind: {finding.doubts}", "dim"))
        lines.append(Text(""))
    return lines


def describe_group(view: GroupView, cast: Cast) -> list[Text]:
    """All that is known of a group."""
    facts, totals = view.facts, view.totals
    at = facts.coordinator
    lines = _fields(
        ("group", facts.group),
        ("type", facts.type),
        ("state", facts.state),
        ("assignor", facts.assignor or "-"),
        (generation_word(view), "-" if facts.epoch is None else str(facts.epoch)),
        ("coordinator", "-" if at is None else f"{at.host}:{at.port} (id {at.id})"),
        ("lag", f"{totals.lag:,} records in {totals.partitions} partitions"),
        ("time lag", f"{time_text(totals.time)} ({QUALITY_WORDS[totals.time.quality]})"),
        ("worst partition", "-" if totals.worst is None else str(totals.worst)),
        ("without a commit", str(totals.uncommitted)),
        ("unknown", str(totals.unknown)),
    )
    lines += [Text(""), Text("Topics", "bold")]
    for topic, part in view.topics.items():
        lines.append(
            Text(
                f"  {topic}: {part.partitions} partitions, lag {count(part.lag)}, {time_text(part.time)}, "
                f"in {per_second(part.rates.produced_per_s)}/s, out {per_second(part.rates.consumed_per_s)}/s"
            )
        )
    lines += [Text(""), Text("Members", "bold")]
    for member in view.members:
        held = held_words(member.member.assignment)
        lines.append(Text(f"  {cast.name(member.member.member_id)} ({member.member.member_id}): {held}"))
    if view.findings:
        lines += [Text(""), Text("Doctor", "bold"), *explain(view.findings)]
    lines += [Text(""), Text("Rebalances", "bold")]
    return lines + (rebalance_lines(view.told) or [Text("  none is known of", "dim")])


def describe_member(member: MemberView, cast: Cast) -> list[Text]:
    """All that is known of a member."""
    facts = member.member
    wanted = facts.regex or (", ".join(sorted(facts.subscription)) if facts.subscription is not None else "-")
    return _fields(
        ("member", cast.name(facts.member_id)),
        ("member id", facts.member_id),
        ("client.id", facts.client_id or "-"),
        ("group.instance.id", facts.instance_id or "- (dynamic member)"),
        ("host", facts.host.removeprefix("/")),
        ("rack", facts.rack or "-"),
        ("subscribes to", wanted),
        ("holds", held_words(facts.assignment)),
        ("is to hold", "-" if facts.target is None else held_words(facts.target)),
        ("epoch", "-" if facts.epoch is None else f"{facts.epoch} (target {facts.target_epoch})"),
        ("session.timeout.ms", _ms(facts.session_timeout_ms)),
        ("rebalance timeout", _ms(facts.rebalance_timeout_ms)),
        ("assignors", ", ".join(facts.protocols) or "-"),
        ("lag", f"{count(member.totals.lag)} records, {time_text(member.totals.time)}"),
    )


def describe_partition(part: PartitionView, cast: Cast) -> list[Text]:
    """All that is known of a partition in a group."""
    commit = part.commit
    return _fields(
        ("partition", str(part.partition)),
        ("owner", "nobody" if part.member is None else cast.name(part.member.member_id)),
        ("committed", "nothing" if commit is None else f"{commit.offset:,}"),
        ("committed at", "-" if commit is None or commit.at_ms is None else clock_text(commit.at_ms)),
        ("leader epoch", "-" if commit is None or commit.leader_epoch is None else str(commit.leader_epoch)),
        ("metadata", (commit.metadata if commit is not None else "") or "-"),
        ("log", f"{_offset(part.start)} to {_offset(part.end)}, last stable offset {_offset(part.stable)}"),
        ("lag", f"{'at most ' if part.at_most else ''}{count(part.lag)} records"),
        ("time lag", f"{time_text(part.time)}: {QUALITY_WORDS[part.time.quality]}"),
        ("found by", part.time.method.value),
        (
            "newest record is",
            "-" if part.time.event_delay_s is None else f"{age(part.time.event_delay_s)} younger",
        ),
        ("in, out", f"{per_second(part.rates.produced_per_s)}/s, {per_second(part.rates.consumed_per_s)}/s"),
        ("lost to retention", count(part.lost)),
        ("open transaction", f"{count(part.blocked_by_transaction)} records behind it"),
        ("leader", "nobody" if part.leaderless else "yes"),
    )


def _fields(*pairs: tuple[str, str]) -> list[Text]:
    room = max(len(name) for name, _ in pairs)
    return [Text.assemble((f"{name:>{room}}  ", "dim"), value) for name, value in pairs]


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value:,} ms"


def _offset(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
