"""The doctor: says what is wrong with a group, on what evidence, how sure it is, and what to do.

`diagnose` is pure: the same evidence gives the same findings. What lies in `rota.monitor.doctor.rules` is a rule.
"""

from __future__ import annotations

import logging
import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from rota.monitor.doctor import rules as _rules
from rota.monitor.doctor.compete import compete
from rota.monitor.doctor.diagnosis import Diagnosis, Unjudged, Verdict
from rota.monitor.doctor.evidence import CommitStep, Evidence, Need, OpenTransaction, RecordFacts
from rota.monitor.doctor.rule import Lesson, Rule

if TYPE_CHECKING:
    from rota.monitor.findings import Finding

__all__ = [
    "CommitStep",
    "Diagnosis",
    "Evidence",
    "Lesson",
    "Need",
    "OpenTransaction",
    "RecordFacts",
    "Rule",
    "Unjudged",
    "Verdict",
    "all_rules",
    "diagnose",
]

log = logging.getLogger(__name__)
_broken: set[tuple[str, type[Exception]]] = set()
"""Rules whose mistakes were logged: the same one may come with every look, in thousands of groups."""


@cache
def all_rules() -> tuple[Rule, ...]:
    """All rules, in the order of their numbers."""
    found = (
        import_module(f"{_rules.__name__}.{module.name}").RULE
        for module in pkgutil.iter_modules(_rules.__path__)
        if module.name.startswith("d") and module.name[1:3].isdigit()
    )
    return tuple(sorted(found, key=lambda rule: rule.id))


def diagnose(evidence: Evidence) -> Diagnosis:
    """Everything that the rules find in this evidence, the worst first; each cause is told once.

    A rule that fails, which is a mistake of Rota's, is not judged; the others are.
    """
    unjudged, judged = [], []
    found: list[Finding] = []
    for rule in all_rules():
        try:
            why = rule.lacking(evidence)
            here = rule.judge(evidence) if why is None else []
            if why is None and not here:
                why = rule.too_soon(evidence)
            found += here
        except Exception as error:
            why = f"the rule failed: {error!r} (a mistake of Rota's; the log tells more)"
            _log_once(rule, evidence, error)
        if why is None:
            judged.append(rule.id)
        else:
            unjudged.append(Unjudged(rule.id, rule.name, why))
    return Diagnosis(
        group=evidence.group,
        at_ms=evidence.at_ms,
        span_s=evidence.span_s,
        findings=tuple(compete(found, {rule.id: rule for rule in all_rules()})),
        judged=tuple(judged),
        unjudged=tuple(unjudged),
        unexplained=_unexplained(evidence, unjudged),
    )


def _unexplained(evidence: Evidence, unjudged: list[Unjudged]) -> tuple[str, ...]:
    """Rules that may be why the group is behind, if it is, and were not judged."""
    if not evidence.view.totals.lag:
        return ()
    lacking = {each.rule for each in unjudged}
    return tuple(rule.id for rule in all_rules() if rule.explains_lag and rule.id in lacking)


def _log_once(rule: Rule, evidence: Evidence, error: Exception) -> None:
    if (rule.id, type(error)) not in _broken:
        _broken.add((rule.id, type(error)))
        log.error("rule %s failed for group %s", rule.id, evidence.group, exc_info=error)
