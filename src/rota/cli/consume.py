"""``rota consume``: read records, alone (no group, nothing committed) or as a member of a group."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rota.cli import record_format
from rota.cli.commits import Commits
from rota.cli.ending import StopRequest
from rota.cli.gone import TopicWatch
from rota.cli.key_values import key_values
from rota.cli.options import cluster_options, json_option
from rota.cli.outage import Outage
from rota.cli.output import count_of, note
from rota.cli.reader import check_reader, discard_output
from rota.model import RotaError, TopicPartition, number_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Consumer, Message

    from rota.cluster import Cluster

__all__ = ["consume"]

MAX_POLL_EXCEEDED = -147  # librdkafka's own code: it has left the group and joins again at the next poll


@click.command()
@click.argument("topics", nargs=-1, required=True, metavar="TOPIC...")
@click.option(
    "--group",
    "-g",
    metavar="GROUP",
    help="Read as a member of GROUP; without it, all partitions and no commits.",
)
@click.option(
    "--from-beginning",
    is_flag=True,
    help="Start at the first record (in a group: where nothing is committed yet).",
)
@click.option("--max-messages", type=click.IntRange(min=1), metavar="N", help="Stop after N records.")
@click.option(
    "--timeout-ms",
    type=click.IntRange(min=1),
    metavar="MS",
    help="Stop when no record has come for this long.",
)
@click.option("--print-key", is_flag=True, help="Print the key before the value.")
@click.option("--print-partition", is_flag=True, help="Print the partition.")
@click.option("--print-offset", is_flag=True, help="Print the offset.")
@click.option("--print-timestamp", is_flag=True, help="Print the timestamp.")
@click.option(
    "--format",
    "layout",
    metavar="TEXT",
    help="Your own layout: {topic} {partition} {offset} {timestamp} {key} {value} {headers}.",
)
@json_option("Print one JSON object a record.")
@click.option(
    "--decode-offsets",
    is_flag=True,
    help="Print the records of __consumer_offsets in words, as Kafka's formatters for them do.",
)
@click.option(
    "--commit",
    type=click.Choice(["auto", "manual"]),
    default="auto",
    show_default=True,
    help="auto: in the background, whether a record is printed yet or not; manual: only what was printed.",
)
@click.option(
    "--auto-commit-interval-ms",
    type=click.IntRange(1, 86_400_000),
    default=5000,
    show_default=True,
    metavar="MS",
    help="How often --commit auto commits.",
)
@click.option(
    "--delay-ms",
    type=click.IntRange(0, 86_400_000),
    default=0,
    metavar="MS",
    help="Take this long over each record, as a slow handler would.",
)
@click.option(
    "--client-id",
    default="rota-consume",
    show_default=True,
    metavar="NAME",
    help="How the group's descriptions name this member.",
)
@click.option("--instance-id", metavar="NAME", help="Be a static member (group.instance.id).")
@click.option(
    "--property", "properties", multiple=True, metavar="K=V", help="A consumer property; may be repeated."
)
@cluster_options
def consume(
    topics: Sequence[str],
    group: str | None,
    from_beginning: bool,
    max_messages: int | None,
    timeout_ms: int | None,
    print_key: bool,
    print_partition: bool,
    print_offset: bool,
    print_timestamp: bool,
    layout: str | None,
    as_json: bool,
    decode_offsets: bool,
    commit: str,
    auto_commit_interval_ms: int,
    delay_ms: int,
    client_id: str,
    instance_id: str | None,
    properties: Sequence[str],
    cluster: Cluster,
) -> int:
    """Read the records of each TOPIC and print them, until Ctrl+C.

    Without --group it reads every partition and leaves no trace. With --group it joins, shares the partitions
    with the other members, says on standard error what it got or lost, and commits as --commit says. Given
    a number of messages and a timeout it fails (1) if fewer records came. A TOPIC that starts with ^ is a
    pattern (only with --group).

    \b
    Examples:
      rota consume web-events-partitioned --from-beginning --print-key --print-partition --print-offset
      rota consume web-events-partitioned --group tour --client-id consumer-1
      rota consume orders --group slow --commit manual --delay-ms 500
      rota consume new_users --from-beginning --max-messages 10 --timeout-ms 5000 --json
      rota consume __consumer_offsets --from-beginning --decode-offsets
      rota consume new_users --format '{partition}@{offset} {key}={value}'
    """
    columns = {
        "key": print_key,
        "partition": print_partition,
        "offset": print_offset,
        "timestamp": print_timestamp,
    }
    render = _renderer(layout, as_json=as_json, decode_offsets=decode_offsets, columns=columns)
    _check_group_options(group, topics, commit=commit, instance_id=instance_id)
    settings = Settings(
        topics=tuple(topics),
        group=group,
        from_beginning=from_beginning,
        commit=commit,
        max_messages=max_messages,
        timeout_ms=timeout_ms,
        delay_s=delay_ms / 1000,
    )
    config = _consumer_config(settings, client_id, instance_id, auto_commit_interval_ms)
    given = key_values(properties, "--property")
    if "group.id" in given:
        raise RotaError(f"the group is said by --group {given['group.id']}, not by --property", exit_code=2)
    return _read(cluster, settings, {**config, **given}, render)


@dataclass(frozen=True, slots=True)
class Settings:
    """What to read, how and until when."""

    topics: tuple[str, ...]
    group: str | None
    from_beginning: bool
    commit: str
    max_messages: int | None
    timeout_ms: int | None
    delay_s: float


class Reader:
    """Polls, prints and, where asked to, commits. One thread does everything, so that nothing overlaps."""

    def __init__(
        self,
        consumer: Consumer,
        settings: Settings,
        render: Callable[[Message], bytes],
        outage: Outage,
        commits: Commits | None,
        watch: TopicWatch,
    ) -> None:
        self._consumer = consumer
        self._outage = outage
        self._settings = settings
        self._render = render
        self._commits = commits
        self._watch = watch
        self._held: set[TopicPartition] = set()
        self._stop = StopRequest()

    def run(self, partitions: Sequence[TopicPartition]) -> int:
        """Read until something ends it; the last commit and the goodbye to the group happen in any case."""
        if self._settings.group is None:
            self._assign(partitions)
        else:
            self._subscribe()
        try:
            printed = self._loop()
        except OSError:  # nobody takes what is printed: of that nothing more is committed
            discard_output()
            self._commits = None
            raise
        finally:
            self._commit()
            self._close()
        if self._stop.code:
            return self._stop.code
        limit = self._settings.max_messages
        if limit is not None and printed < limit:
            raise RotaError(f"only {printed} of {count_of(limit, 'record')} came before the timeout")
        return 0

    def _loop(self) -> int:
        out = sys.stdout.buffer
        settings = self._settings
        printed = 0
        waiting_since = time.monotonic()
        while not self._stop.code and (settings.max_messages is None or printed < settings.max_messages):
            message = self._consumer.poll(0 if printed else 0.2)
            if message is None:
                out.flush()
                check_reader()
                self._miss_topics()
                message = self._consumer.poll(0.2)
            if message is None:
                idle_ms = (time.monotonic() - waiting_since) * 1000
                if settings.timeout_ms is not None and idle_ms >= settings.timeout_ms:
                    break
            elif message.error() is not None:
                self._check(message.error())
                continue
            else:
                self._outage.over()
                out.write(self._render(message))
                printed += 1
                waiting_since = time.monotonic()
                if settings.delay_s:
                    out.flush()
                    self._work()
                    if self._stop.code:
                        break  # the work on this record was cut short: it is not done
                if self._commits is not None:
                    self._commits.printed(message)
            if self._commits is not None and self._commits.due():
                self._commit()
        out.flush()
        return printed

    def _miss_topics(self) -> None:
        """Say which topics are gone. In a group they may come back; alone, with nothing left to read, it ends."""
        gone = self._watch.gone()
        for line in self._watch.news():
            note(f"{_clock()} {line}")
        for topic in gone:
            if self._settings.group is None and not self._watch.there:
                raise RotaError(f"topic {topic} is gone")
            note(f"{_clock()} topic {topic} is gone")

    def _work(self) -> None:
        """The pretended work on one record; its commit may only follow afterwards."""
        self._stop.sleep(self._settings.delay_s)

    def _check(self, error: Any) -> None:
        """An error while reading: those that mend themselves are noted, the others end it."""
        text = " ".join(str(error.str()).split())
        if error.code() == MAX_POLL_EXCEEDED:
            note(
                f"{_clock()} too slow: max.poll.interval.ms passed over one record, "
                "so the group went on without this member"
            )
            return
        if error.fatal() or not error.retriable():
            raise RotaError(f"could not read {' '.join(self._settings.topics)}: {text}")
        note(f"waiting: {text}")

    def _assign(self, partitions: Sequence[TopicPartition]) -> None:
        """All partitions by hand: no group is joined."""
        from confluent_kafka import OFFSET_BEGINNING, OFFSET_END
        from confluent_kafka import TopicPartition as ClientPartition

        start = OFFSET_BEGINNING if self._settings.from_beginning else OFFSET_END
        self._consumer.assign([ClientPartition(tp.topic, tp.partition, start) for tp in partitions])

    def _subscribe(self) -> None:
        from confluent_kafka import KafkaException

        from rota.cluster import Local

        topics = list(self._settings.topics)
        try:
            self._consumer.subscribe(
                topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except KafkaException as error:
            patterns = [topic for topic in topics if topic.startswith("^")]
            if error.args[0].code() != Local.INVALID_ARGUMENT or not patterns:
                raise
            names = " ".join(map(repr, patterns))
            raise RotaError(
                f"{names} is no pattern: it wants a regular expression, such as '^orders-.*'", exit_code=2
            ) from None

    def _on_assign(self, _: Consumer, partitions: list[Any]) -> None:
        self._held |= _ours(partitions)
        self._say("assigned", partitions)

    def _on_revoke(self, _: Consumer, partitions: list[Any]) -> None:
        self._commit()
        self._let_go("revoked", partitions)

    def _on_lost(self, _: Consumer, partitions: list[Any]) -> None:
        self._let_go("lost, somebody else may read them already:", partitions)

    def _let_go(self, word: str, partitions: list[Any]) -> None:
        gone = _ours(partitions)
        self._held -= gone
        if self._commits is not None:
            self._commits.forget(gone)
        self._say(word, partitions)

    def _say(self, word: str, partitions: list[Any]) -> None:
        names = _in_words(_ours(partitions)) or "no partition"
        idle = "; idle: others hold all partitions" if word == "assigned" and not self._held else ""
        note(
            f"{time.strftime('%H:%M:%S')} {word} {names} (now {count_of(len(self._held), 'partition')}{idle})"
        )

    def _commit(self) -> None:
        if self._commits is not None:
            sys.stdout.buffer.flush()
            self._commits.send(self._consumer)

    def _close(self) -> None:
        """Leave the group; what was printed is committed before. Nobody waits for brokers that are away."""
        if not self._outage.bounded(self._consumer.close):
            note("left without a goodbye: the group will notice when this member's session ends")
        if self._commits is not None:
            self._commits.finish()


def _read(
    cluster: Cluster, settings: Settings, config: dict[str, Any], render: Callable[[Message], bytes]
) -> int:
    """Look the topics up, so that a wrong name is said at once, and read them."""
    found = cluster.known_topics([topic for topic in settings.topics if not topic.startswith("^")]).values()
    partitions = [TopicPartition(topic.name, part.partition) for topic in found for part in topic.partitions]
    outage = Outage(cluster.bootstrap)
    commits = Commits() if settings.group is not None and settings.commit == "manual" else None
    callbacks = {"error_cb": outage} | ({"on_commit": commits.answered} if commits is not None else {})
    consumer = cluster.consumer({**callbacks, **config})
    return Reader(consumer, settings, render, outage, commits, TopicWatch(cluster, found)).run(partitions)


def _renderer(
    layout: str | None, *, as_json: bool, decode_offsets: bool, columns: dict[str, bool]
) -> Callable[[Message], bytes]:
    if decode_offsets and (layout is not None or any(columns.values())):
        raise RotaError(
            "--decode-offsets prints JSON lines of its own; leave out the other layouts", exit_code=2
        )
    if as_json and layout is not None:
        raise RotaError("--json and --format exclude each other", exit_code=2)
    if (as_json or layout is not None) and any(columns.values()):
        raise RotaError(
            "--print-… belongs to the plain layout; --json and --format hold it already", exit_code=2
        )
    if decode_offsets:
        from rota.cli.offsets_format import offsets_line

        return offsets_line
    if as_json:
        return record_format.json_line
    return record_format.console(**columns) if layout is None else record_format.pattern(layout)


def _check_group_options(
    group: str | None, topics: Sequence[str], *, commit: str, instance_id: str | None
) -> None:
    for option, name in (("--group", group), ("--instance-id", instance_id)):
        if name is not None and not name.strip():
            raise RotaError(f"{option} wants a name, not {name!r}", exit_code=2)
    if group is not None:
        return
    if instance_id is not None or commit == "manual":
        raise RotaError("--commit manual and --instance-id are a group's: give --group too", exit_code=2)
    if any(topic.startswith("^") for topic in topics):
        raise RotaError("a pattern (^…) needs --group", exit_code=2)


def _consumer_config(
    settings: Settings, client_id: str, instance_id: str | None, auto_commit_interval_ms: int
) -> dict[str, Any]:
    config: dict[str, Any] = {
        # librdkafka wants a name even where no group is joined; it is never sent.
        "group.id": settings.group or f"rota-consume-{os.getpid()}",
        "client.id": client_id,
        "auto.offset.reset": "earliest" if settings.from_beginning else "latest",
        "enable.auto.commit": settings.group is not None and settings.commit == "auto",
        "auto.commit.interval.ms": auto_commit_interval_ms,
        "fetch.queue.backoff.ms": 50,
    }
    if instance_id is not None:
        config["group.instance.id"] = instance_id
    return config


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _ours(partitions: list[Any]) -> set[TopicPartition]:
    return {TopicPartition(tp.topic, tp.partition) for tp in partitions}


def _in_words(partitions: set[TopicPartition]) -> str:
    """``orders 0, 2; users 0-19``."""
    by_topic: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    return "; ".join(f"{topic} {', '.join(number_runs(numbers))}" for topic, numbers in by_topic.items())
