"""D25: an open transaction keeps readers of committed records waiting.

Evidence: the last stable offset below the end (ListOffsets), the group's commit at it, the transaction's producer and
age (DescribeProducers, DescribeTransactions). A group that has committed beyond the last stable offset reads
uncommitted records too, and does not wait. Provoked with a transactional producer that neither commits nor aborts.
"""

from __future__ import annotations

from rota.model import TopicPartition, count_of
from rota.monitor.doctor.evidence import Evidence, OpenTransaction
from rota.monitor.doctor.rule import Lesson, Rule
from rota.monitor.doctor.telling import partitions_text, span_text
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity
from rota.monitor.view import PartitionView
from rota.shell import shell_line

__all__ = ["RULE"]

_NOTICED_MS = 3_000
"""Shorter ones are everybody's daily business."""
_LONG_MS = 60_000
"""Java's and librdkafka's default of ``transaction.timeout.ms``."""

_OVER = frozenset({"", "Empty", "CompleteCommit", "CompleteAbort", "Dead"})
"""States in which a coordinator has no open transaction; while it is ``Prepare…`` it writes the markers."""


def judge(evidence: Evidence) -> list[Finding]:
    """One finding for each transaction, or one without its name."""
    waiting = {part.partition: part for part in evidence.view.partitions if _waits(part)}
    if not waiting:
        return []
    found: dict[int, list[OpenTransaction]] = {}
    for each in evidence.transactions or ():
        if each.partition in waiting:
            found.setdefault(each.producer_id, []).append(each)
    if not found:
        return _nameless(evidence, waiting)
    return [finding for each in found.values() for finding in _named(evidence, waiting, each)]


def _waits(part: PartitionView) -> bool:
    """Whether readers of committed records have read up to the transaction, and nothing but it is left to wait for."""
    if part.commit is None or part.stable is None or part.end is None:
        return False
    return part.stable < part.end and part.blocked_by_transaction > 0 and part.commit.offset <= part.stable


def _named(
    evidence: Evidence, waiting: dict[TopicPartition, PartitionView], open_: list[OpenTransaction]
) -> list[Finding]:
    first = min(open_, key=lambda each: each.partition)
    age_ms = _age_ms(evidence, open_)
    hanging = first.state in _OVER
    if age_ms < _NOTICED_MS:
        return []
    partitions = [each.partition for each in open_]
    behind = sum(waiting[each].blocked_by_transaction for each in partitions)
    name = first.transactional_id or f"producer id {first.producer_id}"
    long = hanging or age_ms >= min(_LONG_MS, first.timeout_ms or _LONG_MS)
    whose = "and no coordinator knows it: it will never end" if hanging else f"by {name}"
    at_it = all(_at_it(waiting[each]) for each in partitions)
    lines = [
        EvidenceLine("begins at", f"{each.partition} offset {each.start_offset:,}", "DescribeProducers")
        for each in sorted(open_)[:4]
    ]
    lines.append(EvidenceLine("producer", _producer(first), "DescribeProducers, DescribeTransactions"))
    lines.append(
        EvidenceLine("open for", span_text(age_ms), "DescribeTransactions" if first.since_ms else "looks")
    )
    if first.timeout_ms:
        lines.append(EvidenceLine("transaction.timeout.ms", f"{first.timeout_ms:,}", "DescribeTransactions"))
    return [
        RULE.finding(
            evidence,
            f"a transaction has been open in {partitions_text(partitions)} for {span_text(age_ms)}, {whose}: "
            f"{count_of(behind, 'offset')} behind it cannot be read by read_committed consumers",
            *lines,
            severity=Severity.WARNING if long else Severity.INFO,
            certainty=Certainty.LIKELY if at_it else Certainty.GUESS,
            partitions=partitions,
            advice=_advice(first, name, hanging=hanging),
            commands=_commands(evidence, first, hanging=hanging),
            doubts="Members with isolation.level=read_uncommitted do not wait for it (nobody tells which a member "
            "has); the group's commit stands exactly where the transaction begins."
            if at_it
            else "The group has not come to it yet: what keeps it back now is something else.",
        )
    ]


def _nameless(evidence: Evidence, waiting: dict[TopicPartition, PartitionView]) -> list[Finding]:
    """Only the offsets are known: in several looks the last stable offset stays where it is."""
    stuck = {
        each: part
        for each, part in waiting.items()
        if _at_it(part)
        and evidence.span_s * 1000 >= _NOTICED_MS
        and all(
            (seen := look.partitions.get(each)) is not None and seen.stable == part.stable
            for look in evidence.looks
            if evidence.group in look.groups
        )
    }
    if evidence.transactions is not None or not stuck:
        return []
    watched = span_text(evidence.span_s * 1000)
    return [
        RULE.finding(
            evidence,
            f"a transaction is open in {partitions_text(stuck)}, and was while it was watched ({watched}): "
            f"{count_of(sum(part.blocked_by_transaction for part in stuck.values()), 'offset')} behind it cannot be "
            "read by read_committed consumers",
            *(
                EvidenceLine(f"{each}: last stable offset", f"{part.stable:,} of {part.end:,}", "ListOffsets")
                for each, part in sorted(stuck.items())[:4]
            ),
            severity=Severity.WARNING if evidence.span_s * 1000 >= _LONG_MS else Severity.INFO,
            certainty=Certainty.GUESS,
            partitions=stuck,
            advice="Find the producer that left it open (DescribeProducers was not allowed here).",
            commands=(_kafka(evidence, "find-hanging", "--broker-id", _leader(evidence, next(iter(stuck)))),),
            doubts="Short transactions that follow each other closely look the same in few looks.",
        )
    ]


def _at_it(part: PartitionView) -> bool:
    return part.commit is not None and part.commit.offset == part.stable


def _age_ms(evidence: Evidence, open_: list[OpenTransaction]) -> int:
    """How long it has been open: since the coordinator says it began, or else since the producer last wrote."""
    times = [each.since_ms if each.since_ms is not None else each.written_ms for each in open_]
    return max((evidence.at_ms - at_ms for at_ms in times if at_ms is not None), default=0)


def _producer(one: OpenTransaction) -> str:
    name = f"{one.transactional_id}, " if one.transactional_id else ""
    state = f", state {one.state or 'unknown to any coordinator'}" if one.state is not None else ""
    return f"{name}id {one.producer_id}, epoch {one.producer_epoch}{state}"


def _advice(one: OpenTransaction, name: str, *, hanging: bool) -> str:
    if hanging:
        return "Abort it with Kafka's tool, as below: nothing else ends a transaction that its coordinator has lost."
    if one.timeout_ms:
        return (
            f"Look at {name}: it has begun a transaction and neither commits nor aborts it. The coordinator aborts it "
            f"when it is {span_text(one.timeout_ms)} old. A shorter transaction.timeout.ms bounds such waits."
        )
    return f"Look at {name}: it has begun a transaction and neither commits nor aborts it."


def _commands(evidence: Evidence, one: OpenTransaction, *, hanging: bool) -> tuple[str, ...]:
    if hanging or one.transactional_id is None:
        where = ("--topic", one.partition.topic, "--partition", str(one.partition.partition))
        return (_kafka(evidence, "abort", *where, "--start-offset", str(one.start_offset)),)
    return (_kafka(evidence, "describe", "--transactional-id", one.transactional_id),)


def _kafka(evidence: Evidence, *words: str) -> str:
    """Kafka's tool wants the address in front of the verb."""
    return shell_line(["kafka-transactions.sh", *evidence.connection, *words])


def _leader(evidence: Evidence, partition: TopicPartition) -> str:
    leader = evidence.looks[-1].partitions[partition].leader
    return str(0 if leader is None else leader)


RULE = Rule(
    id="D25",
    name="open-transaction",
    severity=Severity.WARNING,
    title="an open transaction keeps readers waiting",
    judge=judge,
    silences=("D03", "D04", "D19"),
    lesson=Lesson(
        what="With isolation.level=read_committed a consumer reads up to the last stable offset: the first record of "
        "the oldest transaction that is still open in the partition. Everything behind it waits, also what others "
        "wrote without transactions. The group's lag grows, and nothing is wrong with the group.",
        why="A producer began a transaction and neither committed nor aborted it: it waits for something, it is stuck, "
        "or it died. The coordinator aborts a dead producer's transaction after its transaction.timeout.ms, 60 seconds "
        "by default, 15 minutes at most unless the brokers allow more (Flink is often set so). In rare cases the "
        "partition holds a transaction that the coordinator has forgotten: a hanging transaction, which no timeout "
        "ends.",
        todo="Find the producer by its transactional id, and end or restart it: when it comes back it aborts its old "
        "transaction. Keep transactions short, and the timeout near what you can bear to wait. A hanging transaction "
        "is ended with kafka-transactions.sh abort.",
    ),
)
