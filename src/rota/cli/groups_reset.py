"""``rota groups reset-offsets``: a dry run that shows a diff, and ``--execute`` that does it and can be taken back."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rota.cli.confirm import confirm, yes_option
from rota.cli.groups_options import chosen_groups, group_names, raise_all, say_members
from rota.cli.groups_rollback import rollback_options, say_undo, write_rollback
from rota.cli.options import admin_options, json_option
from rota.cli.output import emit, emit_csv, emit_json, note, printable
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.admin import Admin
    from rota.admin.resets import Outcome, Question
    from rota.model import TopicPartition
    from rota.monitor.reset import Plan, Target, Wanted

__all__ = ["reset_offsets"]

FINDINGS = 3
"""Of a dry run: what ``--execute`` would do is not, or not wholly, what was asked for."""

_INT64 = click.IntRange(-(2**63), 2**63 - 1)


@click.command("reset-offsets")
@group_names("reset")
@click.option(
    "--topic", "topics", multiple=True, metavar="TOPIC[:0,1]", help="These partitions; may be repeated."
)
@click.option("--all-topics", is_flag=True, help="All partitions that the group has committed.")
@click.option("--to-earliest", is_flag=True, help="To the first record that is kept.")
@click.option("--to-latest", is_flag=True, help="To the end of the log.")
@click.option("--to-current", is_flag=True, help="Commit what is committed again; the rest at the log's end.")
@click.option("--to-offset", type=_INT64, metavar="N", help="To this offset.")
@click.option("--shift-by", type=_INT64, metavar="±N", help="So many offsets forward, or back.")
@click.option(
    "--to-datetime", metavar="TIME", help="To the first record since 2026-11-21T14:02:00.000Z; with a zone."
)
@click.option(
    "--by-duration", metavar="PnDTnHnMnS", help="To the first record of the last PT15M; 15m and 2h will do."
)
@click.option(
    "--from-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="As a file says that --export or Kafka's tool wrote, or a rollback file.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would change (the default).")
@click.option("--execute", is_flag=True, help="Do it.")
@click.option("--export", is_flag=True, help="Print the plan as Kafka's CSV (topic,partition,offset).")
@click.option("--plain", is_flag=True, help="Print Kafka's own four columns instead of the diff.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the diff as CSV with a header.")
@rollback_options
@yes_option
@json_option()
@admin_options
def reset_offsets(
    names: Sequence[str],
    topics: Sequence[str],
    all_topics: bool,
    from_file: Path | None,
    dry_run: bool,
    execute: bool,
    export: bool,
    plain: bool,
    as_csv: bool,
    as_json: bool,
    rollback: Path | None,
    no_rollback: bool,
    yes: Sequence[str],
    admin: Admin,
    **scenario: Any,
) -> int:
    """Set where each GROUP goes on reading. Shows what would change; --execute does it.

    A group takes offsets only while nobody is in it: a reset of an active one is refused, and its members are
    named. Before anything changes, what is committed now is written to a file, and the command that brings it back is
    printed.

    Exit codes: 0 as asked; 1 refused or failed, at least in part; 3 a dry run whose plan is not all that was asked
    for: an offset outside the log, a partition without a leader, a group with members.

    \b
    Examples:
      rota groups reset-offsets tour --all-topics --to-earliest
      rota groups reset-offsets tour --topic web:0,2 --shift-by -100 --execute
      rota groups reset-offsets tour --all-topics --by-duration PT15M
      rota groups reset-offsets tour --all-topics --to-current --export > tour.csv
      rota groups reset-offsets tour --from-file tour.csv --execute
    """
    if execute and dry_run:
        raise RotaError("--execute and --dry-run exclude each other: choose one", exit_code=2)
    shape = _shape(export=export, plain=plain, csv=as_csv, json=as_json)
    target = _target(from_file, scenario)
    question = _question(target, topics, all_topics, from_file, names)
    run = _Run(admin, target, shape, single=len(names) == 1)
    plans, failures = _plans(admin, names, question, spans=shape in {"diff", "csv", "json"})
    if execute:
        return run.execute(plans, failures, rollback, no_rollback=no_rollback, yes=yes)
    return run.show(plans, failures)


def _shape(**asked: bool) -> str:
    """How the answer is shown."""
    given = [name for name, wanted in asked.items() if wanted]
    if len(given) > 1:
        raise RotaError("--export, --plain, --csv and --json exclude each other: choose one", exit_code=2)
    return given[0] if given else "diff"


def _target(from_file: Path | None, scenario: Mapping[str, Any]) -> Target:
    """The one scenario that was given."""
    from rota.monitor.reset import Kind, Target
    from rota.monitor.reset_words import duration_ms, moment_ms

    given = {
        Kind(name.replace("_", "-")): value
        for name, value in scenario.items()
        if value is not None and value is not False
    }
    if from_file is not None:
        given[Kind.FROM_FILE] = True
    if len(given) != 1:
        what = (
            "say where to"
            if not given
            else f"{' and '.join(f'--{kind}' for kind in given)} exclude each other"
        )
        raise RotaError(f"{what}: choose one of {', '.join(f'--{kind}' for kind in Kind)}", exit_code=2)
    ((kind, value),) = given.items()
    if kind is Kind.TO_DATETIME:
        return Target(kind, moment_ms(value))
    if kind is Kind.BY_DURATION:
        return Target(kind, int(time.time() * 1000) - duration_ms(value))
    return Target(kind, 0 if value is True else value)


def _question(
    target: Target, topics: Sequence[str], all_topics: bool, from_file: Path | None, names: Sequence[str]
) -> Question:
    """Which partitions are meant."""
    from rota.admin.resets import Question
    from rota.monitor.reset_words import scope_of

    if from_file is not None:
        if topics or all_topics:
            raise RotaError(
                "--from-file says itself which partitions: leave out --topic and --all-topics", exit_code=2
            )
        return Question(target, (), _read_file(from_file, names))
    if bool(topics) == all_topics:
        raise RotaError(
            "say which partitions: --topic TOPIC[:0,1], or --all-topics for all that is committed",
            exit_code=2,
        )
    return Question(target, tuple(map(scope_of, topics)))


def _plans(
    admin: Admin, names: Sequence[str], question: Question, *, spans: bool
) -> tuple[list[Plan], list[RotaError]]:
    """A plan for each group that is meant, and why others have none."""
    from rota.admin.resets import make_plans

    if question.wanted is None:
        groups, failures = chosen_groups(admin, names)
    else:
        groups, failures = tuple(question.wanted), []
    found = make_plans(admin, groups, question, spans=spans).values()
    failures += [answer for answer in found if isinstance(answer, RotaError)]
    return [plan for plan in found if not isinstance(plan, RotaError)], failures


def _read_file(path: Path, names: Sequence[str]) -> dict[str, dict[TopicPartition, Wanted]]:
    from rota.monitor.reset_file import read_plan

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise RotaError(f"{path} cannot be read: {why}") from None
    return read_plan(text, names, "standard input" if str(path) == "-" else str(path))


@dataclass(frozen=True, slots=True)
class _Run:
    """One invocation: how its answer is shown, and carrying it out."""

    admin: Admin
    target: Target
    shape: str
    single: bool
    """One group was named: then Kafka's CSV has no group in it."""

    def show(self, plans: Sequence[Plan], failures: Sequence[RotaError]) -> int:
        """The dry run."""
        from rota.cli.groups_reset_text import sum_words

        self._print(plans, executed={}, rollback=None)
        findings = [_say_findings(plan, executing=False) for plan in plans]
        if self.shape == "diff" and plans:
            when = "once nobody is in it, " if any(plan.is_refused for plan in plans) else ""
            note(f"Nothing was changed; {when}with --execute: {sum_words(plans)}.")
        raise_all(failures)
        return FINDINGS if any(findings) else 0

    def execute(
        self,
        plans: Sequence[Plan],
        failures: list[RotaError],
        rollback: Path | None,
        *,
        no_rollback: bool,
        yes: Sequence[str],
    ) -> int:
        """Do what can be done; whatever cannot is named. What cannot be taken back is asked about."""
        from rota.admin.resets import carry_out
        from rota.cli.groups_reset_text import sum_words

        able = [plan for plan in plans if plan.rows and not plan.is_refused and not plan.problems]
        before = {plan.group: plan.before() for plan in able if plan.before()}
        if no_rollback and before:
            what = f"With --no-rollback what is committed now is lost: {sum_words(able)}."
            confirm(list(before), yes, what)
        path = None if no_rollback else write_rollback(before, datetime.now(UTC), rollback)
        outcomes: dict[str, Outcome] = {}
        try:
            for plan in able:
                outcomes[plan.group] = carry_out(self.admin, plan)
        finally:
            # A table of what was refused would look as if it had been done.
            shown = [plan for plan in plans if self.shape != "diff" or not plan.is_refused]
            self._print(shown, outcomes, str(path) if path else None)
            for plan in plans:
                _say_findings(plan, executing=True)
            say_undo(path, before)
        done = [outcome.plan for outcome in outcomes.values() if not outcome.failures]
        if self.shape == "diff" and done:
            note(f"Done: {sum_words(done)}.")
        raise_all([*failures, *_refusals(plans), *_broken(outcomes.values())])
        return 0

    def _print(self, plans: Sequence[Plan], executed: Mapping[str, Outcome], rollback: str | None) -> None:
        from rota.cli import groups_reset_text as text
        from rota.monitor.reset_file import plan_csv

        failed = {
            plan.group: executed[plan.group].failures if plan.group in executed else {} for plan in plans
        }
        if self.shape == "export":
            sys.stdout.write(
                plan_csv({plan.group: _new_offsets(plan) for plan in plans}, with_group=not self.single)
            )
        elif self.shape == "plain":
            emit()
            for line in text.kafka_lines(plan for plan in plans if not plan.is_refused):
                emit(line)
        elif self.shape == "csv":
            emit_csv(
                text.CSV_HEADER, [row for plan in plans for row in text.csv_rows(plan, failed[plan.group])]
            )
        elif self.shape == "json":
            emit_json(
                [
                    text.document(
                        plan, executed=plan.group in executed, failures=failed[plan.group], rollback=rollback
                    )
                    for plan in plans
                ]
            )
        else:
            self._print_diffs(plans, failed)

    def _print_diffs(
        self, plans: Sequence[Plan], failed: Mapping[str, Mapping[TopicPartition, RotaError]]
    ) -> None:
        from rota.cli import groups_reset_text as text

        for plan in plans:
            state = plan.state if plan.exists else "does not exist yet"
            emit()
            emit(printable(f"Group {plan.group} ({state}), {text.target_words(self.target)}:"))
            if plan.rows:
                emit()
            for line in text.diff_lines(plan, failed[plan.group]) if plan.rows else ():
                emit(line)
        if plans:
            emit()


def _new_offsets(plan: Plan) -> dict[TopicPartition, Wanted]:
    from rota.monitor.reset import Wanted

    return {tp: Wanted(commit) for tp, commit in plan.commits().items()}


def _say_findings(plan: Plan, *, executing: bool) -> bool:
    """Name what is not as asked for; whether there was anything."""
    if not plan.rows:
        note(f"Group {plan.group} has committed nothing: name partitions with --topic.")
    if plan.left_out:
        names = ", ".join(map(str, plan.left_out[:5])) + (" …" if len(plan.left_out) > 5 else "")
        note(f"Group {plan.group} has committed nothing in {names}: left as it is; --topic includes it.")
    refused = plan.is_refused and bool(plan.changes)
    if refused:
        assert plan.facts is not None
        say_members(
            plan.facts, "it takes no offsets from others" if executing else "--execute would be refused"
        )
    return refused or bool(plan.problems) or bool(plan.remarks) or not plan.rows


def _refusals(plans: Sequence[Plan]) -> list[RotaError]:
    found = []
    for plan in plans:
        if plan.is_refused:
            found.append(
                RotaError(f"group {plan.group} is {plan.state} and was not reset: stop its members first")
            )
        elif plan.problems:
            why = "; ".join(f"{row.partition}: {row.problem}" for row in plan.problems)
            found.append(
                RotaError(
                    f"group {plan.group} was not reset: {why}; --topic TOPIC:0,1 names the other partitions"
                )
            )
        elif not plan.rows:
            found.append(RotaError(f"group {plan.group} was not reset: it has committed nothing"))
    return found


def _broken(outcomes: Any) -> list[RotaError]:
    return [
        RotaError(f"group {outcome.plan.group}, {tp}: {failure}")
        for outcome in outcomes
        for tp, failure in sorted(outcome.failures.items())
    ]
