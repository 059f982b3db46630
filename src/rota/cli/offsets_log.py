"""``rota groups offsets-log``: what the groups have recorded, one line a record, on any Kafka."""

from __future__ import annotations

import base64
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from rota.cli.ending import StopRequest
from rota.cli.options import check_group, cluster_options, json_option
from rota.cli.output import emit, emit_json, note, printable
from rota.cli.reader import check_reader
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Consumer, Message

    from rota.cluster import Cluster

__all__ = ["offsets_log"]

TOPIC: Final = "__consumer_offsets"
END_OF_PARTITION: Final = -191  # librdkafka's own code
NARROWEST: Final = 12


@click.command("offsets-log")
@click.argument("group", required=False, metavar="[GROUP]")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl+C; begin at the end.")
@click.option("--from-beginning", is_flag=True, help="With --follow: begin with what is there already.")
@json_option("Print one JSON object a record, with all of its fields.")
@cluster_options
def offsets_log(
    group: str | None, follow: bool, from_beginning: bool, as_json: bool, cluster: Cluster
) -> int:
    """Read what groups have recorded in __consumer_offsets: commits, generations, members, assignments.

    One line a record, oldest first within a group: when, which group, what kind of record, what it says. Without
    GROUP it reads what all of them have recorded. Brokers compact this log: of what was replaced since, little
    is left.

    \b
    Examples:
      rota groups offsets-log tour
      rota groups offsets-log tour --follow
      rota groups offsets-log --json
    """
    if group is not None:
        check_group(group)
    partitions = _partitions(cluster, group)
    printer = _JsonPrinter(group) if as_json else _Printer(group, cluster)
    reading = _Reading(cluster, partitions, follow=follow, from_end=follow and not from_beginning)
    code = reading.run(printer)
    if group is not None and not follow and not code and not printer.has_begun:
        note(f"nothing is recorded for group {group}; `rota groups list` shows the groups")
    return code


def _partitions(cluster: Cluster, group: str | None) -> list[TopicPartition]:
    """Where to look: a group is in one partition."""
    from rota.cluster.client import is_missing

    described = cluster.describe_topics([TOPIC], configs=False)[TOPIC]
    if is_missing(described):
        raise RotaError(f"no group has recorded anything at {cluster.bootstrap} yet")
    count = cluster.partition_counts([TOPIC])[TOPIC]
    if group is None:
        return [TopicPartition(TOPIC, number) for number in range(count)]
    from rota.coordinator import partition_for

    return [TopicPartition(TOPIC, partition_for(group, count))]


class _Reading:
    """Reads partitions by hand, with no group and no commits, to their end or further."""

    def __init__(
        self, cluster: Cluster, partitions: Sequence[TopicPartition], *, follow: bool, from_end: bool
    ) -> None:
        self._cluster = cluster
        self._partitions = partitions
        self._follow = follow
        self._from_end = from_end

    def run(self, printer: _Printer | _JsonPrinter) -> int:
        """Print until the end, or until somebody stops it; the exit code."""
        from rota.cli.outage import Outage

        outage = Outage(self._cluster.bootstrap)
        stop = StopRequest()
        consumer = self._cluster.consumer(
            {
                "error_cb": outage,
                "group.id": "rota-offsets-log",  # librdkafka wants a name; it is never sent
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 50,
            }
        )
        try:
            self._assign(consumer)
            ended: set[int] = set()
            while not stop.code and (self._follow or len(ended) < len(self._partitions)):
                message = consumer.poll(0.2)
                if message is None:
                    sys.stdout.flush()
                    check_reader()
                    continue
                error: Any = message.error()
                if error is None:
                    outage.over()
                    printer.show(message)
                elif error.code() == END_OF_PARTITION:
                    ended.add(int(message.partition() or 0))
                    if self._follow:
                        sys.stdout.flush()
                elif error.fatal() or not error.retriable():
                    raise RotaError(f"could not read {TOPIC}: {' '.join(str(error.str()).split())}")
            sys.stdout.flush()
        finally:
            consumer.close()
        return stop.code

    def _assign(self, consumer: Consumer) -> None:
        from confluent_kafka import OFFSET_BEGINNING, OFFSET_END
        from confluent_kafka import TopicPartition as ClientPartition

        start = OFFSET_END if self._from_end else OFFSET_BEGINNING
        consumer.assign([ClientPartition(tp.topic, tp.partition, start) for tp in self._partitions])


class _Printer:
    """Aligned columns; the group's grows with the names."""

    def __init__(self, group: str | None, cluster: Cluster) -> None:
        self._group = group
        self._cluster = cluster
        self._names: dict[bytes, str] | None = None
        self._width = max(NARROWEST, len(group or ""))
        self.has_begun = False

    def show(self, message: Message) -> None:
        """One line, if it is the group's."""
        from rota.cli.offsets_format import read_record
        from rota.cli.offsets_words import words_of
        from rota.wire import WireError

        try:
            record = read_record(message)
        except WireError as error:
            note(f"{TOPIC}-{message.partition()} @ {message.offset()} cannot be read: {error}")
            return
        if record is None:
            return
        words = words_of(record, self._topic_names() if _holds_ids(record.value) else {})
        if self._group not in {None, words.group}:
            return
        shown = printable(words.group)
        self._width = max(self._width, len(shown))
        if not self.has_begun:
            self.has_begun = True
            emit(f"{'TIME':<23}  {'GROUP':<{self._width}}  {'RECORD':<7}  WHAT")
        emit(f"{_time(message):<23}  {shown:<{self._width}}  {words.kind:<7}  {printable(words.text)}")

    def _topic_names(self) -> dict[bytes, str]:
        """Names by id; asked for once, when the first id comes along."""
        if self._names is None:
            described = self._cluster.describe_topics(list(self._cluster.topics()), configs=False)
            self._names = {
                base64.urlsafe_b64decode(each.topic_id + "=="): name
                for name, each in described.items()
                if not isinstance(each, RotaError)
            }
        return self._names


class _JsonPrinter:
    """Lines as ``rota consume --decode-offsets`` prints them, with where and when."""

    def __init__(self, group: str | None) -> None:
        self._group = group
        self.has_begun = False

    def show(self, message: Message) -> None:
        """One JSON object, if it is the group's."""
        from rota.cli.offsets_format import document, read_record
        from rota.wire import WireError

        where = {
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
        }
        try:
            record = read_record(message)
        except WireError as error:
            emit_json({**where, "undecodable": str(error)}, indent=None)
            return
        if record is not None and self._group in {None, record.group}:
            self.has_begun = True
            emit_json({**where, **document(message, record)}, indent=None)


def _holds_ids(value: Any) -> bool:
    return hasattr(value, "topic_partitions") or hasattr(value, "assigned_partitions")


def _time(message: Message) -> str:
    ms = int(message.timestamp()[1])
    if ms < 0:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)) + f".{ms % 1000:03d}"
