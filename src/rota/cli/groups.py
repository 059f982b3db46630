"""``rota groups``: list and describe groups, in the layouts of ``kafka-consumer-groups``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rota.cli.lazy import LazyGroup
from rota.cli.options import FiniteRange, check_group, cluster_options, json_option
from rota.cli.output import emit, emit_json, note
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rota.cli.groups_text import Line, OffsetRow
    from rota.cluster import Cluster, GroupDescription

__all__ = ["groups"]

STATES = (
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
)
TYPES = ("Classic", "Consumer")
WATCH_TIMEOUT_S = 4.0
"""A live picture that cannot be refreshed says so sooner than a single question gives up."""

REBALANCING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")


@click.group(
    cls=LazyGroup,
    lazy={
        "list": ("rota.cli.groups:list_groups", "List the groups, their types and states."),
        "describe": ("rota.cli.groups:describe", "Show a group's offsets and lag, members or state."),
        "offsets-log": ("rota.cli.offsets_log:offsets_log", "Read what groups have recorded, in words."),
    },
)
def groups() -> None:
    """List groups; describe their offsets, lag, members and state; read what they have recorded.

    Only looks: nothing here joins a group or moves an offset.
    """


@click.command("list")
@click.option(
    "--state",
    is_flag=False,
    flag_value="",
    metavar="[STATE,…]",
    help="Show states; only these if any are named.",
)
@click.option(
    "--type",
    "kind",
    is_flag=False,
    flag_value="",
    metavar="[TYPE,…]",
    help="Show types (classic, consumer); only these if any are named.",
)
@json_option()
@cluster_options
def list_groups(state: str | None, kind: str | None, as_json: bool, cluster: Cluster) -> None:
    """List the groups, one name a line; with --state or --type as a table.

    \b
    Examples:
      rota groups list
      rota groups list --state --type
      rota groups list --state preparingrebalance,empty
    """
    from rota.cli.groups_text import list_lines

    states, kinds = _names(state, STATES, "state"), _names(kind, TYPES, "type")
    listed, failure = cluster.groups()
    found = [
        group
        for group in listed
        if (not states or group.state in states) and (not kinds or group.type in kinds)
    ]
    if as_json:
        emit_json([{"group": group.group, "type": group.type, "state": group.state} for group in found])
    else:
        for line in list_lines(found, with_type=kind is not None, with_state=state is not None):
            emit(line)
    if failure is not None:
        raise failure


@click.command()
@click.argument("names", nargs=-1, metavar="[GROUP]...")
@click.option("--all", "every", is_flag=True, help="Describe every group.")
@click.option("--offsets", is_flag=True, help="Offsets and lag per partition (the default).")
@click.option("--members", is_flag=True, help="The members and how many partitions each holds.")
@click.option("--state", is_flag=True, help="Coordinator, strategy, state and number of members.")
@click.option("--verbose", is_flag=True, help="More columns: epochs and assignments.")
@click.option(
    "--watch",
    type=FiniteRange(min=0.1, max=86_400),
    metavar="SECONDS",
    help="Look again every so often, until Ctrl+C.",
)
@json_option("Print one JSON document; with --watch one a line.")
@cluster_options
def describe(
    names: Sequence[str],
    every: bool,
    offsets: bool,
    members: bool,
    state: bool,
    verbose: bool,
    watch: float | None,
    as_json: bool,
    cluster: Cluster,
) -> int:
    """Describe each GROUP in the layout of `kafka-consumer-groups --describe`.

    LAG is the number of records between the committed offset and the end of the log; a `-` is a value that
    does not exist or that nobody could tell. Member and group epochs always read `-`: librdkafka cannot ask.

    \b
    Examples:
      rota groups describe tour
      rota groups describe tour --members --verbose
      rota groups describe --all --state
      rota groups describe tour --watch 2
    """
    for name in names:
        check_group(name)
    if bool(names) == every:
        raise RotaError("name the groups to describe, or give --all for every group", exit_code=2)
    if offsets + members + state > 1:
        raise RotaError("--offsets, --members and --state exclude each other: choose one", exit_code=2)
    view = "members" if members else "state" if state else "offsets"
    look = Look(tuple(names), view=view, verbose=verbose)
    if watch is not None:
        _watch(look, cluster, watch, as_json=as_json)
    else:
        _once(look, cluster, as_json=as_json)
    return 0


def _once(look: Look, cluster: Cluster, *, as_json: bool) -> None:
    """The groups that answered, then an error about those that did not, or do not exist."""
    seen = look.at(cluster)
    problems = seen.problems()
    if as_json and (seen.reports or not problems):
        emit_json([report.as_json() for report in seen.reports])
    elif not as_json:
        _print(seen.reports, look)
    for problem in problems[:-1]:
        note(f"error: {problem}")
    if problems:
        raise problems[-1]


def _watch(look: Look, cluster: Cluster, seconds: float, *, as_json: bool) -> None:
    """Look again and again, until Ctrl+C."""
    from rota.cli.watch import every, watch_text

    cluster.nodes()  # a wrong address is said once, at the start; later failures are shown and waited out
    cluster.timeout_s = WATCH_TIMEOUT_S
    if as_json:
        for _ in every(seconds):
            emit_json(_line(look, cluster), indent=None)
            sys.stdout.flush()
    options = ([f"--{look.view}"] if look.view != "offsets" else []) + (["--verbose"] if look.verbose else [])
    title = " ".join(["rota groups describe", *(look.names or ["--all"]), *options])
    watch_text(seconds, title, lambda: _block(look, cluster))


@dataclass(frozen=True, slots=True)
class Report:
    """One group at one moment; ``rows`` is None for the views that need no offsets."""

    group: GroupDescription
    rows: tuple[OffsetRow, ...] | None
    unled: tuple[str, ...] = ()
    """What there is to say about partitions without a leader."""

    def remarks(self) -> list[str]:
        """What is said beside the table: who has no leader, that nobody is there, that it will soon look different,
        who is idle.
        """
        name = self.group.group
        found = [f"{words[:1].upper()}{words[1:]}." for words in self.unled]
        idle = [member.member_id for member in self.group.members if not member.assignment]
        if self.group.state == "Empty":
            found.append(f"Nobody is in group {name!r} now.")
        elif self.group.state in REBALANCING:
            found.append(f"Group {name!r} is in the middle of a rebalance: the table will soon be another.")
        elif idle:
            found.append(f"Idle in consumer group '{name}', without a partition: {', '.join(idle)}")
        return found

    def as_json(self) -> dict[str, Any]:
        """The whole report under Kafka's names."""
        group, at = self.group, self.group.coordinator
        document: dict[str, Any] = {
            "group": group.group,
            "type": group.type,
            "state": group.state,
            "assignor": group.assignor or None,
            "coordinator": None if at is None else {"id": at.id, "host": at.host, "port": at.port},
            "members": [
                {
                    "memberId": member.member_id,
                    "groupInstanceId": member.instance_id,
                    "clientId": member.client_id,
                    "host": member.host,
                    "assignment": [_tp(tp) for tp in member.assignment],
                    "targetAssignment": None if member.target is None else [_tp(tp) for tp in member.target],
                }
                for member in group.members
            ],
        }
        if self.rows is not None:
            document["offsets"] = [_row_json(row) for row in self.rows]
        return document


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look has found: the groups, the names of those that do not exist, and why others may be missing."""

    reports: list[Report]
    missing: list[str]
    failures: list[RotaError]

    def problems(self) -> list[RotaError]:
        """Everything that is an error, in one line each."""
        return [*self.failures, *([RotaError(_missing(self.missing))] if self.missing else [])]


@dataclass(frozen=True, slots=True)
class Look:
    """What to look at: the groups (none = all of them) and the view."""

    names: tuple[str, ...]
    view: str
    verbose: bool

    def at(self, cluster: Cluster) -> Seen:
        """The groups as they are now.

        Commits are read before ends, so that a busy group never seems ahead of its log.
        """
        names, failures = self.names, []
        if not names:
            listed, failure = cluster.groups()
            names = tuple(group.group for group in listed)
            failures = [failure] if failure is not None else []
        answers = cluster.try_describe_groups(names)
        described = [answer for answer in answers.values() if not isinstance(answer, RotaError)]
        failures += _gathered(answer for answer in answers.values() if isinstance(answer, RotaError))
        missing = [group.group for group in described if not group.exists and group.group in self.names]
        found = [group for group in described if group.exists]
        if self.view != "offsets":
            return Seen([Report(group, None) for group in found], missing, failures)
        return Seen(_offset_reports(cluster, found), missing, failures)

    def lines(self, report: Report) -> list[Line]:
        """The table of one group."""
        from rota.cli import groups_text

        if self.view == "members":
            return groups_text.member_lines(report.group, verbose=self.verbose)
        if self.view == "state":
            return groups_text.state_lines(report.group, verbose=self.verbose)
        assert report.rows is not None
        return groups_text.offset_lines(report.group.group, report.rows, verbose=self.verbose)


def _offset_reports(cluster: Cluster, groups: Sequence[GroupDescription]) -> list[Report]:
    """Each group with its offsets and the ends of its partitions."""
    from rota.cli.groups_text import offset_rows

    committed = cluster.committed_offsets_of([group.group for group in groups])
    wanted = {tp for offsets in committed.values() for tp in offsets}
    wanted |= {tp for group in groups for tp in group.owners()}
    ends = cluster.end_offsets(sorted(wanted))
    words = _no_leader(cluster, {tp.topic for tp, end in ends.items() if end is None})
    reports = []
    for group in groups:
        rows = tuple(offset_rows(group, committed[group.group], ends))
        topics = sorted({row.partition.topic for row in rows if row.end is None} & words.keys())
        reports.append(Report(group, rows, tuple(words[topic] for topic in topics)))
    return reports


def _no_leader(cluster: Cluster, topics: Collection[str]) -> dict[str, str]:
    """Of these topics those with partitions that nobody leads, and what to do about it."""
    from rota.cluster.health import no_leader_words

    found = cluster.describe_topics(topics, configs=False)
    words = {
        name: no_leader_words(topic) for name, topic in found.items() if not isinstance(topic, RotaError)
    }
    return {name: text for name, text in words.items() if text}


def _gathered(failures: Iterable[RotaError]) -> list[RotaError]:
    """One error for all groups whose coordinators are away, instead of one each."""
    from rota.cluster import CoordinatorAwayError

    away: list[CoordinatorAwayError] = []
    others: list[RotaError] = []
    for failure in failures:
        if isinstance(failure, CoordinatorAwayError):
            away.append(failure)
        else:
            others.append(failure)
    if away:
        names = [name for failure in away for name in failure.groups]
        others.append(CoordinatorAwayError(names, away[0].bootstrap, away[0].code))
    return others


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
            note(f"\n{remark}")


def _line(look: Look, cluster: Cluster) -> Any:
    """One line for --watch --json; a look that failed says why in its place."""
    try:
        seen = look.at(cluster)
    except RotaError as error:
        cluster.close()  # a fresh connection finds a restarted broker sooner
        return {"error": str(error)}
    problems = seen.problems()
    if problems and not seen.reports:
        return {"error": "; ".join(map(str, problems))}
    missing = [{"group": name, "error": _missing([name])} for name in seen.missing]
    failures = [{"error": str(failure)} for failure in seen.failures]
    return [*(report.as_json() for report in seen.reports), *missing, *failures]


def _block(look: Look, cluster: Cluster) -> list[Line]:
    """One picture for --watch: the tables and the remarks together, each after a blank line as `_print` has it."""
    from rota.cli.groups_text import Line

    try:
        seen = look.at(cluster)
    except RotaError as error:
        cluster.close()
        return [Line(str(error))]
    block: list[Line] = []
    for report in seen.reports:
        table = look.lines(report)
        block += [Line(""), *table] if table else []
        for remark in report.remarks():
            block += [Line(""), Line(remark)]
    for problem in seen.problems():
        block += [*([Line("")] if block else []), Line(str(problem))]
    return block or [Line("There are no groups.")]


def _missing(names: Sequence[str]) -> str:
    what = f"group {names[0]} does" if len(names) == 1 else f"groups {', '.join(names)} do"
    return f"{what} not exist; `rota groups list` shows those that do"


def _names(given: str | None, known: Sequence[str], what: str) -> frozenset[str]:
    """The named states or types under Kafka's spelling; whatever the case they were typed in."""
    by_lower = {name.lower(): name for name in known}
    wanted = [word.strip() for word in (given or "").split(",") if word.strip()]
    wrong = [word for word in wanted if word.lower() not in by_lower]
    if wrong:
        raise RotaError(f"no {what} {', '.join(wrong)}: the {what}s are {', '.join(known)}", exit_code=2)
    return frozenset(by_lower[word.lower()] for word in wanted)


def _tp(tp: Any) -> dict[str, Any]:
    return {"topic": tp.topic, "partition": tp.partition}


def _row_json(row: OffsetRow) -> dict[str, Any]:
    return {
        "topic": row.partition.topic,
        "partition": row.partition.partition,
        "leaderEpoch": row.committed.leader_epoch if row.committed else None,
        "currentOffset": row.committed.offset if row.committed else None,
        "logEndOffset": row.end,
        "lag": row.lag,
        "memberId": row.member.member_id if row.member else None,
        "host": row.member.host if row.member else None,
        "clientId": row.member.client_id if row.member else None,
    }
