"""``rota dlq``: dead letters, the records that no attempt could handle."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from rota.cli.lazy import LazyGroup
from rota.cli.outage import Outage
from rota.cli.output import note
from rota.cli.reader import check_reader
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from confluent_kafka import Consumer, Message

    from rota.cluster import Cluster
    from rota.consumer.failed.letter_box import Selection

__all__ = [
    "bounds_of",
    "check_exceptions",
    "dlq",
    "partitions_of",
    "read",
    "reader",
    "selection",
    "selection_options",
]

_AGO = re.compile(r"(\d{1,9})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AT_ONCE = 500


@click.group(
    cls=LazyGroup,
    lazy={
        "show": ("rota.cli.dlq_show:show", "Show dead letters: where they come from and why."),
        "replay": ("rota.cli.dlq_replay:replay", "Send dead letters back to where they come from."),
    },
)
def dlq() -> None:
    """Show dead letters, the records that a consumer could not handle, and send them back.

    They are in the topic that a handler of `rota.consumer` names as its dead_letter; docs/dead-letters.md says
    what their headers mean.
    """


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which letters are meant; the command receives ``only_exception``, ``only_group``, ``offsets``, ``since``."""
    for option in reversed(
        [
            click.option(
                "--only-exception",
                multiple=True,
                metavar="NAME",
                help="Only letters of this exception, with or without its module; may be repeated.",
            ),
            click.option(
                "--only-group",
                multiple=True,
                metavar="GROUP",
                help="Only letters of this group; may be repeated.",
            ),
            click.option(
                "--offset",
                "offsets",
                multiple=True,
                metavar="P:O",
                help="Only the letter at offset O of partition P; may be repeated.",
            ),
            click.option(
                "--from",
                "since",
                metavar="TIME",
                help="Only what failed since: 15m, 2h (ago), 14:02, 2026-11-21T14:02.",
            ),
        ]
    ):
        command = option(command)
    return command


def selection(
    only_exception: Sequence[str], only_group: Sequence[str], offsets: Sequence[str], since: str | None
) -> Selection:
    """What the options mean."""
    from rota.consumer.failed.letter_box import Selection

    return Selection(
        frozenset(only_exception),
        frozenset(only_group),
        frozenset(map(_place, offsets)),
        None if since is None else _since_ms(since, time.time()),
    )


def partitions_of(cluster: Cluster, topic: str) -> list[TopicPartition]:
    """Those of the topic; an unknown one is a RotaError."""
    count = cluster.partition_counts([topic])[topic]
    return [TopicPartition(topic, number) for number in range(count)]


def reader(cluster: Cluster, group: str) -> Consumer:
    """A consumer that joins no group and commits nothing by itself."""
    return cluster.consumer(
        {
            "error_cb": Outage(cluster.bootstrap),
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
        }
    )


def bounds_of(
    cluster: Cluster, partitions: Sequence[TopicPartition], chosen: Selection
) -> dict[TopicPartition, tuple[int, int]]:
    """What has to be read of each partition: from its first offset, up to its end as it is now.

    Raises:
        RotaError: nobody knows where a partition begins or ends.
    """
    firsts, ends = cluster.start_offsets(partitions), cluster.end_offsets(partitions)
    found = {}
    for partition in partitions:
        first, end = firsts[partition], ends[partition]
        if first is None or end is None:
            raise RotaError(f"nobody can say how far {partition} goes: it has no leader now; try again")
        _check_offsets(partition, first, end, chosen)
        found[partition] = chosen.bounds(partition.partition, first, end)
    numbers = [partition.partition for partition in partitions]
    for number, offset in sorted(chosen.offsets):
        if number not in numbers:
            raise RotaError(
                f"--offset {number}:{offset}: {partitions[0].topic} has no partition {number}; "
                f"the last is {max(numbers)}",
                exit_code=2,
            )
    return found


def check_exceptions(cluster: Cluster, topic: str, chosen: Selection) -> None:
    """Nothing was meant. Raises RotaError if that is because no letter has an exception of such a name."""
    from rota.consumer.failed.letter_box import Found, Selection

    if not chosen.exceptions:
        return
    there: Counter[str] = Counter()
    consumer = reader(cluster, f"rota-dlq-show-{os.getpid()}")
    try:
        for message in read(consumer, bounds_of(cluster, partitions_of(cluster, topic), Selection())):
            letter = Found.of(message).letter if message is not None else None  # type: ignore[arg-type]
            if letter is not None:
                there[letter.exception] += 1
    finally:
        consumer.close()
    known = {*there, *(name.rpartition(".")[2] for name in there)}
    for name in sorted(chosen.exceptions - known):
        if there:
            names = ", ".join(f"{each} ({count:,})" for each, count in there.most_common(10))
            raise RotaError(f"no letter in {topic} has the exception {name}: there are {names}")


def read(consumer: Consumer, bounds: Mapping[TopicPartition, tuple[int, int]]) -> Iterator[Message | None]:
    """The records of each partition within its bounds, in order; None whenever none is at hand."""
    from confluent_kafka import TopicPartition as ClientPartition

    left = {partition for partition, (start, end) in bounds.items() if start < end}
    consumer.assign([ClientPartition(*partition, bounds[partition][0]) for partition in sorted(left)])
    while left:
        batch = consumer.consume(_AT_ONCE, 0.2)
        for message in batch:
            partition = TopicPartition(str(message.topic()), int(message.partition() or 0))
            if message.error() is not None:
                _check(message, partition, left)
            elif partition in left:
                offset, end = message.offset() or 0, bounds[partition][1]
                if offset < end:
                    yield message
                if offset + 1 >= end:
                    left.discard(partition)
        if not batch:
            check_reader()
            yield None


def _check(message: Message, partition: TopicPartition, left: set[TopicPartition]) -> None:
    from confluent_kafka import KafkaError

    error = message.error()
    assert error is not None
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
        left.discard(partition)  # what lies between here and its end are markers, or an open transaction
    elif error.fatal() or not error.retriable():
        raise RotaError(f"could not read {partition}: {' '.join(str(error.str()).split())}")
    else:
        note(f"waiting: {' '.join(str(error.str()).split())}")


def _check_offsets(partition: TopicPartition, first: int, end: int, chosen: Selection) -> None:
    for number, offset in sorted(chosen.offsets):
        if number == partition.partition and not first <= offset < end:
            holds = f"holds offsets {first} to {end - 1}" if first < end else "is empty"
            raise RotaError(f"--offset {number}:{offset} does not exist: {partition} {holds}")


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal() and len(text) < 30):
        raise RotaError(f"--offset {text!r}: expected a partition and an offset, such as 0:17", exit_code=2)
    return int(partition), int(offset)


def _since_ms(text: str, now_s: float) -> int:
    found = _AGO.fullmatch(text)
    if found is not None:
        return int((now_s - int(found[1]) * _SECONDS[found[2]]) * 1000)
    today = datetime.fromtimestamp(now_s).astimezone().date().isoformat()
    try:
        moment = datetime.fromisoformat(text if "-" in text[:5] else f"{today}T{text}")
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise RotaError(
            f"--from {text!r} is no time such as 15m, 2h, 14:02 or 2026-11-21T14:02", exit_code=2
        ) from None
