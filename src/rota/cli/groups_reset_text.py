"""A reset on a screen: the diff of each group, Kafka's own four columns, JSON and CSV."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rota.cli.output import count_of, printable, table
from rota.monitor.reset import Effect, Kind
from rota.monitor.words import age

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rota.model import RotaError, TopicPartition
    from rota.monitor.facts import MemberFacts
    from rota.monitor.reset import Plan, Row, Span, Target

__all__ = [
    "CSV_HEADER",
    "csv_rows",
    "diff_lines",
    "document",
    "kafka_lines",
    "member_words",
    "moment",
    "sum_words",
    "target_words",
]

_WORDS = {
    Effect.FIRST: "first commit",
    Effect.UNCHANGED: "unchanged",
    Effect.METADATA: "metadata changed",
    Effect.REMOVED: "commit removed",
    Effect.IMPOSSIBLE: "impossible",
}

CSV_HEADER = (
    "group",
    "topic",
    "partition",
    "old_offset",
    "new_offset",
    "effect",
    "records",
    "first_written",
    "last_written",
    "remark",
    "error",
)


def target_words(target: Target) -> str:
    """``--to-offset 7``; a moment with its zone."""
    if target.is_time:
        return (
            f"--{target.kind} {moment(target.value)}"
            if target.kind is Kind.TO_DATETIME
            else (f"--{target.kind}, to {moment(target.value)}")
        )
    if target.kind is Kind.SHIFT_BY:
        return f"--{target.kind} {target.value:+d}"
    return f"--{target.kind} {target.value}" if target.kind is Kind.TO_OFFSET else f"--{target.kind}"


def diff_lines(plan: Plan, failures: Mapping[TopicPartition, RotaError] | None = None) -> list[str]:
    """One line a partition, old -> new; what is empty in all of them has no column."""
    failed = failures or {}
    cells = [_cells(row, failed.get(row.partition)) for row in plan.rows]
    header = ["TOPIC", "PARTITION", "OLD", "", "NEW", "RECORDS", "WRITTEN", "REMARK"]
    kept = [i for i, name in enumerate(header) if i < 6 or any(row[i] for row in cells)]
    rows = [[row[i] for i in kept] for row in cells]
    return table([header[i] for i in kept], rows, right=("PARTITION", "OLD", "NEW"), gap=2)


def kafka_lines(plans: Iterable[Plan]) -> list[str]:
    """The table of ``kafka-consumer-groups --reset-offsets``, Kafka 4.1."""
    rows = [("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")]
    rows += [
        (printable(plan.group), row.partition.topic, str(row.partition.partition), str(row.new.offset))
        for plan in plans
        for row in plan.rows
        if row.new is not None
    ]
    return [f"{group:<30} {topic:<30} {number:<10} {offset:<15}" for group, topic, number, offset in rows]


def sum_words(plans: Sequence[Plan]) -> str:
    """``1,200 records again, 400 skipped, in 3 partitions``."""
    again, skipped = (sum(plan.total(effect) for plan in plans) for effect in (Effect.AGAIN, Effect.SKIPPED))
    parts = [
        *([f"{count_of(again, 'record')} again"] if again else []),
        *([f"{count_of(skipped, 'record')} skipped"] if skipped else []),
    ]
    changed = sum(len([row for row in plan.changes if not row.problem]) for plan in plans)
    if not changed:
        return "no offset becomes another"
    where = f"{count_of(changed, 'partition')} changed"
    return ", ".join([*parts, where])


def member_words(member: MemberFacts) -> str:
    """``web-1 on /10.0.0.7, instance pod-0 (web-1-4f…)``: enough to find the process."""
    static = f", instance {member.instance_id}" if member.instance_id else ""
    return f"{member.client_id} on {member.host.lstrip('/')}{static} ({member.member_id})"


def moment(ms: int) -> str:
    """A moment in local time, with its zone; as a number where no calendar goes so far."""
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def document(
    plan: Plan, *, executed: bool, failures: Mapping[TopicPartition, RotaError], rollback: str | None
) -> dict[str, Any]:
    """One group for ``--json``; ``executed`` whether it was tried."""
    return {
        "group": plan.group,
        "state": plan.state,
        "refused": plan.is_refused,
        "executed": executed,
        "rollbackFile": rollback,
        "members": [
            {
                "memberId": member.member_id,
                "clientId": member.client_id,
                "host": member.host,
                "groupInstanceId": member.instance_id,
            }
            for member in plan.active
        ],
        "partitions": [_row_document(row, failures.get(row.partition)) for row in plan.rows],
    }


def csv_rows(plan: Plan, failures: Mapping[TopicPartition, RotaError]) -> list[tuple[object, ...]]:
    """The rows below ``CSV_HEADER``; what does not exist is empty."""
    found = []
    for row in plan.rows:
        each = _row_document(row, failures.get(row.partition))
        found.append((plan.group, *("" if value is None else value for value in each.values())))
    return found


def _row_document(row: Row, failure: RotaError | None) -> dict[str, Any]:
    return {
        "topic": row.partition.topic,
        "partition": row.partition.partition,
        "oldOffset": row.old.offset if row.old else None,
        "newOffset": row.new.offset if row.new else None,
        "effect": str(row.effect),
        "records": row.records,
        "firstWritten": moment(row.span.first_ms) if row.span else None,
        "lastWritten": moment(row.span.last_ms) if row.span else None,
        "remark": row.remark or None,
        "error": str(failure) if failure else row.problem or None,
    }


def _cells(row: Row, failure: RotaError | None) -> list[str]:
    what = (
        f"{row.records:,} {row.effect}"
        if row.effect in {Effect.AGAIN, Effect.SKIPPED}
        else _WORDS[row.effect]
    )
    return [
        row.partition.topic,
        str(row.partition.partition),
        str(row.old.offset) if row.old else "-",
        "->",
        str(row.new.offset) if row.new else "-",
        what,
        _span_words(row.span) if row.span else "",
        f"failed: {failure}" if failure else row.problem or row.remark,
    ]


def _span_words(span: Span) -> str:
    """``2026-11-21 14:02:11 to 14:37:55 (35m44s)``, in local time."""
    try:
        first, last = (datetime.fromtimestamp(ms / 1000).astimezone() for ms in span)
    except (ValueError, OverflowError, OSError):
        return f"{span.first_ms} to {span.last_ms} ms"
    same_day = first.date() == last.date()
    end = f"{last:%H:%M:%S}" if same_day else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {end} ({age((last - first).total_seconds())})"
