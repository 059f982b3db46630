"""What ``rota doctor`` prints: a verdict, then each finding: what is wrong, why one thinks so, what to do."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from rota.cli.doctor import LOOK_S
from rota.cli.output import count_of, printable
from rota.monitor.findings import Severity
from rota.monitor.words import age, time_text
from rota.timeline.summary import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.model import RotaError
    from rota.monitor.doctor import Diagnosis, Evidence, Rule, Unjudged
    from rota.monitor.findings import Finding

__all__ = ["document", "explanation", "report", "rule_document", "rule_lines", "unjudged_lines"]

LABEL: Final = 10
"""Columns of what stands in front of each paragraph."""
COLOURS: Final = {Severity.CRITICAL: "1;31", Severity.WARNING: "33", Severity.INFO: "36"}

Examined = tuple["Evidence", "Diagnosis"]


def report(
    examined: Sequence[Examined], width: int, *, whole: bool = True, colour: bool = False
) -> list[str]:
    """The whole screen; groups with the worst findings first. ``whole``: whether there may be no others."""
    ranked = sorted(examined, key=_badness)
    lines = [_verdict(examined, whole=whole)] if len(examined) > 1 or (examined and not whole) else []
    for evidence, diagnosis in ranked:
        alone = len(examined) == 1
        if verdict(evidence, diagnosis) == "healthy" and not alone:
            lines += [
                printable(f"  {diagnosis.group}: {finding.words} ({finding.rule}, worth knowing)")
                for finding in diagnosis.findings
            ]
            continue
        if lines:
            lines.append("")
        lines.append(printable(_heading(evidence, diagnosis)))
        for finding in diagnosis.findings:
            lines += ["", *_finding(finding, width, colour=colour)]
    return lines


def _badness(examined: Examined) -> tuple[int, int, str]:
    diagnosis = examined[1]
    worst = min((finding.severity.rank for finding in diagnosis.findings), default=len(Severity))
    return worst, -len(diagnosis.findings), diagnosis.group


def _verdict(examined: Sequence[Examined], *, whole: bool) -> str:
    ranked = [each[1] for each in sorted(examined, key=_badness)]
    ill = [diagnosis.group for diagnosis in ranked if diagnosis.verdict == "ill"]
    unknown = sum(verdict(*each) == "unknown" for each in examined)
    groups = count_of(len(examined), "group")
    if not ill and not unknown and whole:
        return f"{groups}: all healthy."
    if not ill:
        left = f", {unknown} not known" if unknown else ""
        return f"{groups}: nothing found so far{left}{'' if whole else ', and not everything was seen'}."
    shown = ", ".join(ill[:5]) + (f" and {len(ill) - 5} more" if len(ill) > 5 else "")
    return printable(f"{groups}: {len(ill)} {'needs' if len(ill) == 1 else 'need'} help: {shown}.")


def _heading(evidence: Evidence, diagnosis: Diagnosis) -> str:
    """One line about one group: ``orders: 1 critical, 2 warnings. Stable, 3 members, …``."""
    numbers = {
        severity: sum(finding.severity is severity for finding in diagnosis.findings) for severity in Severity
    }
    told = []
    if numbers[Severity.CRITICAL]:
        told.append(f"{numbers[Severity.CRITICAL]} critical")
    if numbers[Severity.WARNING]:
        told.append(count_of(numbers[Severity.WARNING], "warning"))
    if not told:
        told.append(_nothing_found(evidence, diagnosis))
    if numbers[Severity.INFO]:
        told.append(f"{count_of(numbers[Severity.INFO], 'thing')} worth knowing")
    return f"{diagnosis.group}: {', '.join(told)}{_left_open(diagnosis)}. {_state(evidence, diagnosis)}"


def verdict(evidence: Evidence, diagnosis: Diagnosis) -> str:
    """``healthy``, ``unknown`` or ``ill``; nobody knows of a group of which not everything was seen."""
    if (evidence.failure or evidence.unseen) is not None and diagnosis.verdict == "healthy":
        return "unknown"
    return diagnosis.verdict.value


def _nothing_found(evidence: Evidence, diagnosis: Diagnosis) -> str:
    if evidence.failure is not None:
        return "not known"
    if evidence.unseen is not None:
        return f"not known: {evidence.unseen}"
    return "nothing found so far" if diagnosis.unexplained else "healthy"


def _left_open(diagnosis: Diagnosis) -> str:
    """What might still say why the group is behind, where nothing worse was found."""
    if diagnosis.verdict != "unknown":
        return ""
    what = f"longer (--for {LOOK_S:g})" if diagnosis.span_s < LOOK_S - 1 else "again"
    return f"; not judged: {', '.join(diagnosis.unexplained)}: look {what}"


def _state(evidence: Evidence, diagnosis: Diagnosis) -> str:
    if evidence.failure is not None:
        return f"{evidence.failure[:1].upper()}{evidence.failure[1:]}."
    view = evidence.view
    parts = [view.facts.state, count_of(len(view.facts.members), "member")]
    parts.append(count_of(len(view.partitions), "partition"))
    behind = time_text(view.totals.time)
    late = f" ({behind} late)" if view.totals.lag and behind != "-" else ""
    parts.append(f"lag {view.totals.lag:,}{late}")
    watched = f"; watched for {age(diagnosis.span_s)}" if diagnosis.span_s else "; one look"
    return ", ".join(parts) + watched + "."


def _finding(finding: Finding, width: int, *, colour: bool) -> list[str]:
    label = finding.severity.value.upper()
    rule = f"{finding.rule} {finding.name}, {finding.certainty.value}"
    if finding.cause:
        rule += f"; its cause is {finding.cause}"
    lines = _paragraph(label, f"{finding.words}.", width)
    if colour:
        lines[0] = lines[0].replace(label, f"\x1b[{COLOURS[finding.severity]}m{label}\x1b[0m", 1)
    lines += _paragraph("", f"[{rule}]", width)
    if finding.severity is Severity.INFO:  # what to do about it can wait: `--explain` tells
        return lines
    for number, line in enumerate(finding.evidence):
        lines += _paragraph("" if number else "evidence", f"{line.what}: {line.value} ({line.source})", width)
    lines += _paragraph("what to do", finding.advice, width)
    lines += [printable(f"{'':{LABEL}}  $ {command}") for command in finding.commands]
    return lines + _paragraph("unless", finding.doubts, width)


def _paragraph(label: str, text: str, width: int) -> list[str]:
    """Text in a column of its own, its label in front of the first line."""
    if not text:
        return []
    wrapped = textwrap.wrap(
        printable(text), max(width - LABEL - 2, 30), break_long_words=False, break_on_hyphens=False
    )
    return [f"{label if not number else '':>{LABEL}}  {line}" for number, line in enumerate(wrapped)]


def unjudged_lines(examined: Iterable[Examined], width: int) -> list[str]:
    """Which rules could be judged for nobody, or not for all, and why: one paragraph a reason."""
    reasons: dict[str, dict[str, Unjudged]] = {}
    for _, diagnosis in examined:
        for each in diagnosis.unjudged:
            reasons.setdefault(each.why, {})[each.rule] = each
    lines: list[str] = []
    for why, found in reasons.items():
        text = f"{', '.join(sorted(found))}: {why}."
        lines += _paragraph("not judged" if not lines else "", text, width)
    return lines


def document(
    examined: Sequence[Examined], missing: Sequence[str] = (), failure: RotaError | None = None
) -> dict[str, Any]:
    """The same for programs; ``missing`` are groups that were named and do not exist, ``failure`` is why not everything
    was seen.
    """
    verdicts = {verdict(*each) for each in examined} | ({"unknown"} if missing or failure else set())
    return {
        "healthy": verdicts <= {"healthy"},
        "verdict": next((worst for worst in ("ill", "unknown") if worst in verdicts), "healthy"),
        "failure": None if failure is None else str(failure),
        "groups": [
            {
                "group": diagnosis.group,
                "healthy": verdict(evidence, diagnosis) == "healthy",
                "verdict": verdict(evidence, diagnosis),
                "failure": evidence.failure or evidence.unseen,
                "at_ms": diagnosis.at_ms,
                "watched_s": diagnosis.span_s,
                "state": evidence.facts.state,
                "members": len(evidence.facts.members),
                "lag": evidence.view.totals.lag,
                "findings": [to_plain(finding) for finding in diagnosis.findings],
                "judged": list(diagnosis.judged),
                "not_judged": [each._asdict() for each in diagnosis.unjudged],
            }
            for evidence, diagnosis in sorted(examined, key=_badness)
        ],
        "missing": list(missing),
    }


def explanation(rule: Rule, width: int) -> list[str]:
    """The lesson of one rule."""
    lines = [f"{rule.id} {rule.name} ({rule.severity.value}): {rule.title}"]
    for head, text in (
        ("What it is", rule.lesson.what),
        ("Why it happens", rule.lesson.why),
        ("What to do", rule.lesson.todo),
    ):
        lines += ["", head, *(f"  {line}" for line in textwrap.wrap(text, max(width - 2, 30)))]
    needs = [need.value for need in rule.needs]
    if needs:
        lines += ["", *textwrap.wrap(f"Needs {', '.join(needs)}.", width)]
    return lines


def rule_document(rule: Rule) -> dict[str, Any]:
    """One rule with its lesson, for programs."""
    return {
        "rule": rule.id,
        "name": rule.name,
        "severity": rule.severity.value,
        "title": rule.title,
        "needs": [need.value for need in rule.needs],
        "what": rule.lesson.what,
        "why": rule.lesson.why,
        "what_to_do": rule.lesson.todo,
    }


def rule_lines(rules: Iterable[Rule]) -> list[list[str]]:
    """The rows of a table of all rules."""
    return [[rule.id, rule.severity.value, rule.name, rule.title] for rule in rules]


def in_colour() -> bool:
    """Whether standard output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
