"""One cause is told once: findings that another explains are silenced, or become a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rota.monitor.doctor.rule import Rule
from rota.monitor.findings import Certainty, Finding, Severity

__all__ = ["compete"]


def compete(findings: Iterable[Finding], rules: Mapping[str, Rule]) -> list[Finding]:
    """What is left of the findings, the worst first.

    A silenced finding goes when every partition that it names is named by those that silence it; where one side names
    none, every member; where one side names no member either, at once. A cause joins the finding that it explains; of
    several causes the surest does, and the others stay what they are.
    """
    left = sorted(findings, key=_rank)
    left = [finding for finding in left if not _silenced(finding, left, rules)]
    for effect in list(left):
        causes = [each for each in left if effect.rule in rules[each.rule].causes]
        if causes:
            cause = min(causes, key=lambda each: (list(Certainty).index(each.certainty), _rank(each)))
            left[left.index(effect)] = _explained(effect, cause, meant=rules[cause.rule].meant)
            left.remove(cause)
    return sorted(left, key=_rank)


def _rank(finding: Finding) -> tuple[int, int, str, tuple[object, ...]]:
    certainty = list(Certainty).index(finding.certainty)
    return finding.severity.rank, certainty, finding.rule, (finding.partitions, finding.members)


def _silenced(finding: Finding, among: Iterable[Finding], rules: Mapping[str, Rule]) -> bool:
    stronger = [each for each in among if finding.rule in rules[each.rule].silences]
    if not stronger:
        return False
    if finding.partitions and all(each.partitions for each in stronger):
        return set(finding.partitions) <= {tp for each in stronger for tp in each.partitions}
    if finding.members and all(each.members for each in stronger):
        return set(finding.members) <= {member for each in stronger for member in each.members}
    return True


def _explained(effect: Finding, cause: Finding, *, meant: bool) -> Finding:
    """The effect, told with its cause: the advice and the command are the cause's."""
    return replace(
        effect,
        words=f"{effect.words.rstrip('.')}. The cause: {cause.words}",
        severity=cause.severity
        if meant
        else min(effect.severity, cause.severity, key=lambda severity: Severity(severity).rank),
        certainty=cause.certainty,
        evidence=effect.evidence + cause.evidence,
        partitions=tuple(dict.fromkeys(effect.partitions + cause.partitions)),
        members=tuple(dict.fromkeys(effect.members + cause.members)),
        advice=cause.advice or effect.advice,
        commands=tuple(dict.fromkeys(cause.commands + effect.commands)),
        doubts=cause.doubts or effect.doubts,
        cause=cause.rule,
    )
