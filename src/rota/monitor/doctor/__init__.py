"""The doctor: says what is wrong with a group, on what evidence, how sure it is, and what to do.

`diagnose` is pure: the same evidence gives the same findings. What lies in `rota.monitor.doctor.rules` is a rule.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from rota.monitor.doctor import rules as _rules
from rota.monitor.doctor.compete import compete
from rota.monitor.doctor.diagnosis import Diagnosis, Unjudged
from rota.monitor.doctor.evidence import CommitStep, Evidence, Need, OpenTransaction, RecordFacts
from rota.monitor.doctor.rule import Lesson, Rule

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
    "all_rules",
    "diagnose",
]


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
    """Everything that the rules find in this evidence, the worst first; each cause is told once."""
    unjudged, judged, found = [], [], []
    for rule in all_rules():
        why = rule.lacking(evidence)
        if why is not None:
            unjudged.append(Unjudged(rule.id, rule.name, why))
            continue
        judged.append(rule.id)
        found += rule.judge(evidence)
    return Diagnosis(
        group=evidence.group,
        at_ms=evidence.at_ms,
        span_s=evidence.span_s,
        findings=tuple(compete(found, {rule.id: rule for rule in all_rules()})),
        judged=tuple(judged),
        unjudged=tuple(unjudged),
    )
