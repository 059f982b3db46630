"""What every finding of every rule must be like; tests call it with what they got."""

from __future__ import annotations

import shlex
from typing import Any

import click

from rota.cli.root import root
from rota.monitor.doctor import Evidence, all_rules, diagnose
from rota.monitor.findings import Finding

__all__ = ["KAFKA_TOOLS", "alone", "check_command", "findings_of", "told"]

KAFKA_TOOLS = {
    "kafka-configs.sh",
    "kafka-console-consumer.sh",
    "kafka-topics.sh",
    "kafka-transactions.sh",
    "kafka-consumer-groups.sh",
    "kafka-leader-election.sh",
}


def alone(rule_id: str, evidence: Evidence) -> list[Finding]:
    """What this rule finds, whatever others say; each finding is one that a person can use."""
    (rule,) = [each for each in all_rules() if each.id == rule_id]
    assert rule.lacking(evidence) is None
    found = rule.judge(evidence)
    for finding in found:
        check(finding)
    return found


def findings_of(evidence: Evidence) -> list[str]:
    """The rules whose findings are left after they have competed, the worst first."""
    diagnosis = diagnose(evidence)
    assert not [each for each in diagnosis.unjudged if "the rule failed" in each.why]
    found = diagnosis.findings
    for finding in found:
        check(finding)
    return [finding.rule for finding in found]


def told(finding: Finding) -> str:
    """Everything that a person is told, in one text."""
    lines = [f"{line.what}: {line.value} ({line.source})" for line in finding.evidence]
    return "\n".join([finding.words, *lines, finding.advice, *finding.commands, finding.doubts])


def check(finding: Finding) -> None:
    assert finding.words, finding
    assert not finding.words.endswith((".", "\n")), finding.words
    assert finding.words.split()[0] not in {"A", "All", "Each", "Nobody", "The"}, (
        finding.words
    )  # it follows a label
    assert len(finding.words) <= 300, finding.words
    assert finding.evidence, finding
    assert all(line.what and line.value and line.source for line in finding.evidence), finding
    assert finding.advice, finding
    assert finding.doubts, finding
    assert "None" not in told(finding), told(finding)
    for command in finding.commands:
        check_command(command)


def check_command(command: str) -> dict[str, Any]:
    """A line of Rota's, and what click reads in it, or of a tool of Kafka's; both say where the cluster is."""
    tool, *words = shlex.split(command)
    assert "--bootstrap-server" in words or words[0] == "plan", command
    if tool != "rota":
        assert tool in KAFKA_TOOLS, command
        return {}
    here: click.Command = root
    context = click.Context(root, info_name="rota")
    while isinstance(here, click.Group):
        name, found, words = here.resolve_command(context, words)
        assert found is not None, command
        here, context = found, click.Context(found, info_name=name, parent=context)
    return here.make_context(here.name, words).params  # raises what a person would be told
