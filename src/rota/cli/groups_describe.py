"""``rota groups describe``: groups in the layouts of ``kafka-consumer-groups``, once or again and again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from rota.cli.groups_look import Late, Look
from rota.cli.groups_options import group_names, missing_words
from rota.cli.options import FiniteRange, admin_options, json_option
from rota.cli.output import emit, emit_csv, emit_json, note, printable
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.admin import Admin
    from rota.cli.groups_look import Report
    from rota.cli.groups_text import Line

__all__ = ["describe"]

WATCH_TIMEOUT_S = 4.0
"""A live picture that cannot be refreshed says so sooner than a single question gives up."""


@click.command()
@group_names("describe")
@click.option("--offsets", is_flag=True, help="Offsets and lag per partition (the default).")
@click.option("--members", is_flag=True, help="The members and how many partitions each holds.")
@click.option("--state", is_flag=True, help="Coordinator, strategy, state and number of members.")
@click.option("--verbose", is_flag=True, help="More columns: epochs and assignments.")
@click.option(
    "--time-lag",
    is_flag=True,
    help="Behind Kafka's columns how late each partition is, and how that is known (docs/lag.md).",
)
@click.option(
    "--watch",
    type=FiniteRange(min=0.1, max=86_400),
    metavar="SECONDS",
    help="Look again every so often, until Ctrl+C.",
)
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV: the table's columns, with all groups below one header."
)
@json_option("Print one JSON document; with --watch one a line.")
@admin_options
def describe(
    names: Sequence[str],
    offsets: bool,
    members: bool,
    state: bool,
    verbose: bool,
    time_lag: bool,
    watch: float | None,
    as_csv: bool,
    as_json: bool,
    admin: Admin,
) -> int:
    """Describe each GROUP in the layout of `kafka-consumer-groups --describe`.

    LAG is the number of records between the committed offset and the end of the log; a `-` is a value that
    does not exist or that nobody could tell.

    \b
    Examples:
      rota groups describe tour
      rota groups describe tour --members --verbose
      rota groups describe --all --state
      rota groups describe tour --time-lag
      rota groups describe tour --watch 2
    """
    if offsets + members + state > 1:
        raise RotaError("--offsets, --members and --state exclude each other: choose one", exit_code=2)
    if as_csv and (as_json or watch is not None):
        raise RotaError("--csv goes neither with --json nor with --watch", exit_code=2)
    view = "members" if members else "state" if state else "offsets"
    if time_lag and view != "offsets":
        raise RotaError("--time-lag is about offsets: leave out --members and --state", exit_code=2)
    late = Late(admin) if time_lag else None
    look = Look(tuple(names), view, verbose, late)
    if watch is not None:
        _watch(look, admin, watch, as_json=as_json)
    else:
        _once(look, admin, "json" if as_json else "csv" if as_csv else "table")
    return 0


def _once(look: Look, admin: Admin, shape: str) -> None:
    """The groups that answered, then an error about those that did not, or do not exist."""
    seen = look.at(admin)
    problems = seen.problems()
    if shape == "table":
        _print(seen.reports, look)
    elif shape == "csv":
        _print_csv(seen.reports, look)
    elif seen.reports or not problems:
        emit_json([report.as_json() for report in seen.reports])
    for problem in problems[:-1]:
        note(f"error: {problem}")
    if problems:
        raise problems[-1]


def _watch(look: Look, admin: Admin, seconds: float, *, as_json: bool) -> None:
    """Look again and again, until Ctrl+C."""
    from rota.cli.watch import every, watch_text

    admin.nodes()  # a wrong address is said once, at the start; later failures are shown and waited out
    admin.timeout_s = min(admin.timeout_s, WATCH_TIMEOUT_S)
    if as_json:
        for _ in every(seconds):
            emit_json(_line(look, admin), indent=None)
            sys.stdout.flush()
    options = [f"--{look.view}"] if look.view != "offsets" else []
    options += (["--verbose"] if look.verbose else []) + (["--time-lag"] if look.late else [])
    title = " ".join(["rota groups describe", *(look.names or ["--all"]), *options])
    watch_text(seconds, printable(title), lambda: _block(look, admin))


def _print(reports: Sequence[Report], look: Look) -> None:
    """Tables on standard output, each after a blank line as in Kafka; remarks on standard error."""
    from rota.cli.watch import Palette

    palette = Palette()
    for report in reports:
        lines = look.lines(report)
        if lines:
            emit()
        for line in lines:
            emit(palette.paint(line.text, line.member_id))
        for remark in report.remarks():
            note("", remark)


def _print_csv(reports: Sequence[Report], look: Look) -> None:
    """One header, whatever the groups; what does not exist is ``-``, as in the table."""
    header, rows = look.cells(reports)
    if header:
        emit_csv(header, rows)
    for report in reports:
        for remark in report.remarks():
            note(remark)


def _line(look: Look, admin: Admin) -> Any:
    """One line for --watch --json; a look that failed says why in its place."""
    try:
        seen = look.at(admin)
    except RotaError as error:
        return {"error": str(error)}
    problems = seen.problems()
    if problems and not seen.reports:
        return {"error": "; ".join(map(str, problems))}
    missing = [{"group": name, "error": missing_words([name])} for name in seen.missing]
    failures = [{"error": str(failure)} for failure in seen.failures]
    return [*(report.as_json() for report in seen.reports), *missing, *failures]


def _block(look: Look, admin: Admin) -> list[Line]:
    """One picture for --watch: the tables and the remarks together, each after a blank line as `_print` has it."""
    from rota.cli.groups_text import Line

    try:
        seen = look.at(admin)
    except RotaError as error:
        return [Line(printable(str(error)))]
    block: list[Line] = []
    for report in seen.reports:
        table = look.lines(report)
        block += [Line(""), *table] if table else []
        for remark in report.remarks():
            block += [Line(""), Line(printable(remark))]
    for problem in seen.problems():
        block += [*([Line("")] if block else []), Line(printable(str(problem)))]
    return block or [Line("There are no groups.")]
