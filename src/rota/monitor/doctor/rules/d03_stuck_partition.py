"""D03: one partition does not move while its member goes on with others: a record that cannot be handled."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rota.monitor.doctor.evidence import Evidence, Need, RecordFacts
from rota.monitor.doctor.pace import readable_lag
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.monitor.facts import Commit, Snapshot
    from rota.monitor.view import PartitionView

__all__ = ["RULE"]

LOOKS: Final = 3
"""So many looks must show the same commit with something to read behind it,"""
LEAST_S: Final = 4
"""over so long: less is the rhythm of commits."""
SURE_S: Final = 60
LIKELY_S: Final = 10


def judge(evidence: Evidence) -> list[Finding]:
    """Partitions that stand still while others of the same member, or of the group, advance."""
    rest = evidence.at_rest
    if len(rest) < LOOKS:
        return []
    held = [part for part in evidence.view.partitions if part.member is not None]
    moved = {part.partition: _moved_ms(evidence.course(part.partition, rest)) for part in held}
    anybody = max(moved.values(), default=0)
    found = []
    for part in held:
        assert part.member is not None
        since_ms = _stands_since(evidence, part, rest)
        if since_ms is None:
            continue
        # Where it stands it moved last when it came to stand: what moved later is something else.
        own = max(moved.get(each, 0) for each in part.member.assignment) > since_ms
        if own or (len(part.member.assignment) == 1 and anybody > since_ms):
            found.append(_finding(evidence, part, since_ms, own=own))
    return found


def _moved_ms(course: Sequence[tuple[int, Commit]]) -> int:
    """The last look that saw the commit further than the one before; 0 for none."""
    steps = (now[0] for before, now in pairwise(course) if now[1].offset > before[1].offset)
    return max(steps, default=0)


def _stands_since(evidence: Evidence, part: PartitionView, rest: Sequence[Snapshot]) -> int | None:
    """Since which look its commit is the same, with records behind it in each; None where it stands too shortly."""
    if part.commit is None or not readable_lag(part):
        return None
    offset = part.commit.offset
    since_ms = looks = 0
    for look in reversed(rest):
        commit = look.commits[evidence.group].get(part.partition)
        log = look.partitions.get(part.partition)
        if commit is None or commit.offset != offset or log is None or log.end is None or log.end <= offset:
            break
        since_ms, looks = look.at_ms, looks + 1
    return since_ms if looks >= LOOKS and evidence.at_ms - since_ms >= 1000 * LEAST_S else None


def _recorded_ms(evidence: Evidence, part: PartitionView) -> int | None:
    """When the commit that stands was made, if `__consumer_offsets` tells."""
    steps = (evidence.commits or {}).get(part.partition, ())
    return min(
        (step.at_ms for step in steps if part.commit and step.offset == part.commit.offset), default=None
    )


def _finding(evidence: Evidence, part: PartitionView, seen_ms: int, *, own: bool) -> Finding:
    assert part.commit is not None
    assert part.member is not None
    partition, offset = part.partition, part.commit.offset
    recorded_ms = _recorded_ms(evidence, part)
    since_ms = seen_ms if recorded_ms is None else min(recorded_ms, seen_ms)
    source = "OffsetFetch" if since_ms == seen_ms else "__consumer_offsets"
    stands_s = (evidence.at_ms - since_ms) / 1000
    (name,) = evidence.names([part.member.member_id])
    certainty = _certainty(evidence, part, stands_s, own=own)
    record = evidence.records.get(partition)
    where = f"{partition.topic}:{partition.partition}"
    return RULE.finding(
        evidence,
        f"{partition} is stuck at offset {offset} for {span_text(1000 * stands_s)} while "
        f"{'its member goes' if own else 'others go'} on with the rest: {name} cannot get past that record",
        EvidenceLine(f"{partition}: committed, unchanged", f"{offset}", source),
        EvidenceLine("records behind it", f"{readable_lag(part):,}", "ListOffsets"),
        EvidenceLine(
            "the group", f"{evidence.facts.state}, with the same shares all the time", "DescribeGroups"
        ),
        *_record_lines(record),
        severity=Severity.WARNING if certainty is Certainty.GUESS else Severity.CRITICAL,
        certainty=certainty,
        partitions=(partition,),
        members=(part.member.member_id,),
        advice=f"Look at the record, and at {name}'s log for its error. Mend the handler, or send the record to a "
        f"dead-letter topic. To skip it, stop the members and reset this one partition to {offset + 1}.",
        commands=(
            evidence.command(
                *("--topic", partition.topic, "--partition", str(partition.partition)),
                *("--offset", str(offset), "--max-messages", "1", "--property", "print.key=true"),
                tool="kafka-console-consumer.sh",
            ),
            evidence.command(
                *("groups", "reset-offsets", "--topic", where, "--to-offset", str(offset + 1), "--dry-run"),
                names=[evidence.group],
            ),
        ),
        doubts="A client that works off one partition's batch before it turns to the next looks the same for a while; "
        "so does a handler that takes very long over this one record.",
    )


def _certainty(evidence: Evidence, part: PartitionView, stands_s: float, *, own: bool) -> Certainty:
    if own and stands_s >= SURE_S and _others_idle(evidence, part):
        return Certainty.CERTAIN
    return Certainty.LIKELY if stands_s >= (LIKELY_S if own else SURE_S) else Certainty.GUESS


def _others_idle(evidence: Evidence, part: PartitionView) -> bool:
    """Whether the member has nothing else to do: its other partitions are read to the end, or nearly."""
    assert part.member is not None
    others = [
        each
        for each in evidence.view.partitions
        if each.member == part.member and each.partition != part.partition
    ]
    return all(each.lag is not None and each.lag <= max(1, (part.lag or 0) // 100) for each in others)


def _record_lines(record: RecordFacts | None) -> list[EvidenceLine]:
    if record is None:
        return []
    size = "no value (a tombstone)" if record.value_size is None else f"{record.value_size:,} bytes"
    key = "no key" if record.key is None else f"key {record.key!r}"
    headers = f", headers {', '.join(record.headers)}" if record.headers else ""
    return [EvidenceLine(f"the record at {record.offset}", f"{key}, {size}{headers}", "Fetch")]


RULE = Rule(
    id="D03",
    name="stuck-partition",
    severity=Severity.CRITICAL,
    title="a partition stands still: a record that cannot be handled",
    judge=judge,
    needs=(Need.LOOKS,),
    explains_lag=True,
    silences=("D04", "D05", "D19"),
    lesson=Lesson(
        what="A group reads a partition in order. If one record cannot be handled (a poison pill), the commit stays "
        "in front of it: the member lives, sends heartbeats, reads its other partitions, and everything behind that "
        "record waits, until retention deletes it.",
        why="The handler raises on this record and tries again for ever, or hangs in it: a value that cannot be "
        "parsed, a row that breaks a constraint, a call without a time-out. Restarting brings the member back to the "
        "same record.",
        todo="Read the record (the command prints it without joining the group) and the member's log. The mend that "
        "lasts is a handler that gives up after a few tries and sends the record to a dead-letter topic. To get going "
        "now, stop the members, set this one partition's offset behind the record, and start them; keep a copy of it.",
    ),
)
