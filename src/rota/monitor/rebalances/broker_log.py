"""What a broker's own log says of groups: why a rebalance began, and how members went.

Apache Kafka's coordinator (``GroupMetadataManager``, ``GroupCoordinator``) logs a line for each, with the client's own
reason where it gave one (KIP-800: Java's clients do, librdkafka does not). Nothing of that is in `__consumer_offsets`.
The lines are found by what is in them, whatever pattern a log's layout puts before; generations and member ids tie them
to what was recorded, so that the log's clock and time zone do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rota.monitor.findings import Certainty
from rota.monitor.rebalances.verdicts import Verdict
from rota.timeline.events import RebalanceReason

__all__ = ["Line", "LineKind", "read_line", "read_log", "upgraded"]


class LineKind(StrEnum):
    """What a line is about."""

    PREPARING = "preparing"
    """A classic group begins a rebalance: with its old generation, and the reason."""
    LEFT = "left"
    """A member asked to leave; ``text`` is the client's reason, "" if it gave none."""
    EXPIRED = "expired"
    """A member's session was over."""
    STUCK = "stuck"
    """A member did not let go of partitions within its rebalance timeout (KIP-848)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``generation`` is the old one where it begins a rebalance, else -1."""

    kind: LineKind
    group: str
    member: str
    text: str = ""
    generation: int = -1


_GROUP: Final = r"\[Group(?:Id)? (?P<group>.+?)\] "
_STATIC: Final = _GROUP + r"Static member (?P<member>\S+) with instance id .+ "
_FENCED: Final = _GROUP + r"Member (?P<member>\S+) fenced from the group because "
_LEFT: Final = (
    r"has left group through explicit `LeaveGroup` request; client reason: (?P<text>.*?)(?: \([\w.]+\))?$"
)
_PREPARING: Final = r"Preparing to rebalance group (?P<group>.+) in state \w+ with old generation "
_PATTERNS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (LineKind.PREPARING, _PREPARING + r"(?P<generation>\d+) \(reason: (?P<text>.*)\)\."),
        (LineKind.LEFT, _GROUP + r"(?:Dynamic member|Member) (?P<member>\S+) " + _LEFT),
        (LineKind.LEFT, _STATIC + _LEFT),
        (LineKind.LEFT, _GROUP + r"Member (?P<member>\S+) left the consumer group\."),
        (LineKind.LEFT, _STATIC + r"left the consumer group\."),
        (
            LineKind.EXPIRED,
            r"Member (?P<member>\S+) in group (?P<group>.+) has failed, removing it from the group\.",
        ),
        (LineKind.EXPIRED, _FENCED + r"(?P<text>the member session expired)\."),
        (LineKind.STUCK, _FENCED + r"(?P<text>it failed to transition from epoch \d+ within \d+ms)\."),
    )
)
_HINTS: Final = (
    "Preparing to rebalance",
    "LeaveGroup` request",
    "left the consumer group",
    "has failed,",
    "fenced",
)
_NO_REASON: Final = frozenset({"not provided", "null", ""})
_SUBJECT: Final = re.compile(
    r"(?:Adding new member|Leader|Updating metadata for member|removing member) (?P<member>\S+?),? "
)
_CLIENT: Final = re.compile(r"; client reason: (?P<text>.*)$")


def read_line(text: str) -> Line | None:
    """What a line of a broker's log says about a group; None: nothing that is of use here."""
    if not any(hint in text for hint in _HINTS):
        return None
    for kind, pattern in _PATTERNS:
        found = pattern.search(text)
        if found is not None:
            values = found.groupdict()
            words = (values.get("text") or "").strip()
            member = values.get("member") or ""
            if kind == LineKind.PREPARING:
                subject = _SUBJECT.match(words)
                member = "" if subject is None else subject["member"]
            elif kind == LineKind.LEFT and words in _NO_REASON:
                words = ""
            return Line(kind, values["group"], member, words, int(values.get("generation") or -1))
    return None


def read_log(lines: Iterable[str]) -> Iterator[Line]:
    """The lines that are of use."""
    for text in lines:
        line = read_line(text)
        if line is not None:
            yield line


def upgraded(verdicts: list[Verdict], line: Line) -> list[Verdict]:
    """The causes of a rebalance in the light of what the broker gave as its reason."""
    own = _CLIENT.search(line.text)
    said = (
        ""
        if own is None or own["text"] in _NO_REASON
        else f"the client's reason, in the broker's log: {own['text']}"
    )
    found = [_confirmed(each, said) if _agrees(each, line) else each for each in verdicts]
    if found != verdicts or not verdicts:
        return found
    reason = _reason(line)
    if reason is None or verdicts[0].certainty == Certainty.CERTAIN:
        return verdicts
    first = verdicts[0]
    known = first.evidence if first.certainty == Certainty.LIKELY else "the broker's log says so"
    words = "; ".join(part for part in (known, said) if part)
    return [Verdict(reason, line.member, Certainty.CERTAIN, words), *verdicts[1:]]


def _confirmed(verdict: Verdict, said: str) -> Verdict:
    evidence = "; ".join(part for part in (verdict.evidence, said) if part)
    return verdict._replace(certainty=Certainty.CERTAIN, evidence=evidence, doubts="")


def _agrees(verdict: Verdict, line: Line) -> bool:
    reason = verdict.reason
    if line.text.startswith("Adding new member"):
        return reason == RebalanceReason.MEMBER_JOINED and verdict.member == line.member
    if line.text.startswith("Updating metadata"):
        return reason == RebalanceReason.SUBSCRIPTION_CHANGED and verdict.member == line.member
    return line.text.startswith("Leader") and reason == RebalanceReason.PARTITIONS_ADDED


def _reason(line: Line) -> RebalanceReason | None:
    if line.text.startswith("Leader"):
        return RebalanceReason.LEADER_REJOINED
    return RebalanceReason.MEMBER_REJOINED if line.text.startswith("Updating metadata") else None
