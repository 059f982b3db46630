"""What `rota groups describe` has found of groups: the reports, and what is said beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rota.cli.groups_options import chosen_groups, consumer_groups, missing_words
from rota.model import RETRIABLE, RotaError
from rota.monitor.facts import REBALANCING, TopicFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rota.admin import Admin
    from rota.cli.groups_text import Line, OffsetRow
    from rota.model import TopicPartition
    from rota.monitor.facts import GroupFacts, MemberFacts, Snapshot
    from rota.monitor.view import GroupView, TimeLag

__all__ = ["Late", "Look", "Report", "Seen"]


@dataclass(frozen=True, slots=True)
class Report:
    """One group at one moment; ``rows`` is None for the views that need no offsets."""

    group: GroupFacts
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
            "groupEpoch": group.epoch,
            "targetAssignmentEpoch": group.target_epoch,
            "members": [_member_json(member) for member in group.members],
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
        return [*self.failures, *([RotaError(missing_words(self.missing))] if self.missing else [])]


class Late:
    """Looks that know how late a partition is; they remember what was learnt for that."""

    def __init__(self, admin: Admin) -> None:
        from rota.watching.looking import Looking

        self._names: Sequence[str] = ()
        self._looking = Looking(admin, groups=lambda: self._names)
        self._last: Snapshot | None = None

    def look(self, names: Sequence[str]) -> tuple[Snapshot, Mapping[str, GroupView]]:
        """What there is now of these groups: who lists them knows why some may be missing, so they are listed once.

        Raises:
            RotaError: nothing could be learnt.
        """
        self._names = names
        seen = self._looking.look()
        if seen.snapshot is None or seen.snapshot is self._last:
            assert seen.failure is not None
            raise seen.failure
        self._last = seen.snapshot
        return seen.snapshot, seen.views


@dataclass(frozen=True, slots=True)
class Look:
    """What to look at: the groups (none = all of them) and the view."""

    names: tuple[str, ...]
    view: str
    verbose: bool
    late: Late | None = None
    """Where lag in time is wanted."""

    def at(self, admin: Admin) -> Seen:
        """The groups as they are now. Commits are read before ends: a busy group is never ahead of its log."""
        return self._offsets(admin) if self.view == "offsets" else self._described(admin)

    def _described(self, admin: Admin) -> Seen:
        names, failures, types = self.names, [], {}
        if not names:
            listed, failure = consumer_groups(admin)
            names, types = (
                tuple(group.group for group in listed),
                {group.group: group.type for group in listed},
            )
            failures = [failure] if failure is not None else []
        answers = admin.describe_groups(names, types)
        described = [answer for answer in answers.values() if not isinstance(answer, RotaError)]
        failed = {name: answer for name, answer in answers.items() if isinstance(answer, RotaError)}
        return self._seen(
            [Report(group, None) for group in described], [*failures, *_gathered(failed, admin)]
        )

    def _offsets(self, admin: Admin) -> Seen:
        from rota.cli.groups_text import offset_rows

        names, missing = chosen_groups(admin, self.names)
        snapshot, times = self._looked(admin, names)
        failures = dict(snapshot.failures)
        ends = {tp: facts.end for tp, facts in snapshot.partitions.items()}
        reports = []
        for name in sorted(snapshot.groups):
            late = times.get(name)
            rows = tuple(offset_rows(snapshot.groups[name], snapshot.commits[name], ends, late))
            reports.append(Report(snapshot.groups[name], rows, _no_leader(snapshot.topics, rows)))
        return self._seen(reports, [*missing, *_gathered(failures, admin)])

    def _looked(
        self, admin: Admin, names: Sequence[str]
    ) -> tuple[Snapshot, dict[str, dict[TopicPartition, TimeLag]]]:
        """What there is, and how late each partition of each group is, if that is wanted."""
        from rota.admin import Depth, scan

        if self.late is None:
            return scan(admin, names, depth=Depth.LAG), {}
        snapshot, views = self.late.look(names)
        times = {
            name: {part.partition: part.time for part in view.partitions} for name, view in views.items()
        }
        return snapshot, times

    def _seen(self, reports: Sequence[Report], failures: list[RotaError]) -> Seen:
        missing = [
            each.group.group for each in reports if not each.group.exists and each.group.group in self.names
        ]
        return Seen([report for report in reports if report.group.exists], missing, failures)

    def lines(self, report: Report) -> list[Line]:
        """The table of one group."""
        from rota.cli import groups_text

        if self.view == "members":
            return groups_text.member_lines(report.group, verbose=self.verbose)
        if self.view == "state":
            return groups_text.state_lines(report.group, verbose=self.verbose)
        assert report.rows is not None
        with_time = self.late is not None
        return groups_text.offset_lines(
            report.group.group, report.rows, verbose=self.verbose, with_time=with_time
        )

    def cells(self, reports: Sequence[Report]) -> tuple[list[str], list[list[str]]]:
        """One table of all groups, with the same columns whatever they are."""
        from rota.cli import groups_text as text

        header: list[str] = []
        rows: list[list[str]] = []
        for report in reports:
            group, verbose = report.group, self.verbose
            if self.view == "members":
                header, more = text.member_table(group, verbose=verbose, static=True, mixed=True)
            elif self.view == "state":
                header, more = text.state_table(group, verbose=verbose)
            else:
                header, more = text.offset_table(
                    group.group, report.rows or (), verbose=verbose, with_time=self.late is not None
                )
            rows += more
        return header, rows


def _no_leader(topics: Mapping[str, TopicFacts], rows: Iterable[OffsetRow]) -> tuple[str, ...]:
    """Of the topics in these rows those with partitions that nobody leads, and what to do about it."""
    unled = [
        topic
        for name in sorted({row.partition.topic for row in rows if row.end is None})
        if (topic := topics.get(name)) is not None and None in topic.partitions.values()
    ]
    return tuple(map(_no_leader_words, unled))


def _no_leader_words(facts: TopicFacts) -> str:
    from rota.cluster.descriptions import PartitionDescription, TopicDescription
    from rota.cluster.health import no_leader_words

    parts = [
        PartitionDescription(number, leader, facts.replicas.get(number, ()), facts.in_sync.get(number, ()))
        for number, leader in facts.partitions.items()
    ]
    return no_leader_words(TopicDescription(facts.name, facts.topic_id, facts.internal, tuple(parts)))


def _gathered(failures: Mapping[str, RotaError], admin: Admin) -> list[RotaError]:
    """One error for all groups whose coordinators are away, instead of one each."""
    from rota.admin import AdminError

    away = [
        name for name, error in failures.items() if isinstance(error, AdminError) and error.code in RETRIABLE
    ]
    others = [error for name, error in failures.items() if name not in away]
    return [*others, *([_away_error(away, admin.bootstrap)] if away else [])]


def _away_error(names: Sequence[str], bootstrap: str) -> RotaError:
    what = (
        f"coordinator of group {names[0]} does"
        if len(names) == 1
        else f"coordinators of groups {', '.join(names)} do"
    )
    return RotaError(
        f"the {what} not answer at {bootstrap}: if a broker has failed, another takes over within seconds, unless "
        "__consumer_offsets has no other replica; try again"
    )


def _tp(tp: TopicPartition) -> dict[str, Any]:
    return {"topic": tp.topic, "partition": tp.partition}


def _member_json(member: MemberFacts) -> dict[str, Any]:
    return {
        "memberId": member.member_id,
        "groupInstanceId": member.instance_id,
        "clientId": member.client_id,
        "host": member.host,
        "assignment": [_tp(tp) for tp in member.assignment],
        "targetAssignment": None if member.target is None else [_tp(tp) for tp in member.target],
        "epoch": member.epoch,
        "upgraded": member.upgraded,
    }


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
        **({} if row.time is None else {"timeLag": _time_json(row.time)}),
    }


def _time_json(time: TimeLag) -> dict[str, Any]:
    return {
        "seconds": time.seconds,
        "eventDelaySeconds": time.event_delay_s,
        "method": str(time.method),
        "quality": str(time.quality),
    }
