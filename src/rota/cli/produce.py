"""``rota produce``: write records and say how many of them the cluster acknowledged.

A record counts when its acknowledgement has arrived, not when it was handed to the client; the summary is
what a check for lost messages may start from.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rota.cli.ending import StopRequest
from rota.cli.key_values import key_values
from rota.cli.options import FiniteRange, cluster_options, json_option
from rota.cli.outage import Outage
from rota.cli.output import count_of, emit, emit_json, note, table
from rota.cli.reader import check_reader
from rota.cli.undelivered import Undelivered
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from confluent_kafka import KafkaException, Producer

    from rota.cluster import Cluster

__all__ = ["produce"]

Pair = tuple["bytes | None", "bytes | None"]

PROGRESS_EVERY_S = 2.0
LAST_ANSWERS_S = 20.0
"""How long the last acknowledgements are waited for: Kafka takes half of that to replace a broker that has failed."""

UNANSWERED = (-192, -152, -151)
"""librdkafka's own codes: the record's time was over, or ours, when it was still in a queue or on its way."""

MAX_BYTES = "message.max.bytes"
DEFAULT_MAX_BYTES = 1_000_000
"""librdkafka's own."""

NOT_IDEMPOTENT = (
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "queuing.strategy",
)
"""Who chooses one of these may choose what an idempotent producer refuses: then it is none, as in Java."""

CLEAR_LINE = "\x1b[K"

CHARACTER_OF = {"\\t": "\t", "\\0": "\0"}


@dataclass
class Tally:
    """What became of the records so far: per partition how many, the first and the last offset."""

    partitions: dict[int, list[int]] = field(default_factory=dict)
    failed: int = 0
    first_error: str = ""
    """Of what was refused; empty if what failed was only never answered."""

    @property
    def acknowledged(self) -> int:
        return sum(entry[0] for entry in self.partitions.values())

    def add(self, partition: int, offset: int) -> None:
        entry = self.partitions.setdefault(partition, [0, offset, offset])
        entry[0] += 1
        entry[1] = min(entry[1], offset)
        entry[2] = max(entry[2], offset)

    def fail(self, error: str) -> None:
        """One was not acknowledged: refused, or (an empty ``error``) never answered."""
        self.failed += 1
        self.first_error = self.first_error or error


@click.command()
@click.argument("topic")
@click.option("--events", is_flag=True, help="Make up web events, keyed by user.")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send FILE's lines; - is standard input.",
)
@click.option(
    "--key-separator", metavar="TEXT", help=r"Split each line here into key and value (\t for a tab)."
)
@click.option(
    "--rate",
    type=FiniteRange(min=0),
    metavar="N",
    help="Records a second; 0 = as fast as it goes.  [default: 10 with --events, else 0]",
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N records.")
@click.option(
    "--duration", type=FiniteRange(min=0, min_open=True), metavar="SECONDS", help="Stop after this time."
)
@click.option(
    "--keys",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Number of users in the events.",
)
@click.option(
    "--skew",
    type=FiniteRange(min=0),
    default=0.0,
    show_default=True,
    metavar="S",
    help="How much busier the first users are (Zipf's exponent; 1 is a lot).",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed makes the same events."
)
@click.option("--show", is_flag=True, help="Print each acknowledged record: key, partition and offset.")
@click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="K=V",
    help="A producer property (linger.ms=5); may be repeated.",
)
@json_option("Print the summary as one JSON document.")
@cluster_options
def produce(
    topic: str,
    events: bool,
    file: Path | None,
    key_separator: str | None,
    rate: float | None,
    count: int | None,
    duration: float | None,
    keys: int,
    skew: float,
    seed: int,
    show: bool,
    properties: Sequence[str],
    as_json: bool,
    cluster: Cluster,
) -> int:
    """Write records to TOPIC: web events (--events), a file's lines (--file), or the lines you type.

    The same key always reaches the same partition, and the same one that Java's producer would choose
    (murmur2). Nothing is written twice though it may be sent twice (enable.idempotence). At the end a summary
    counts what was acknowledged, per partition; Ctrl+C ends early.

    \b
    Examples:
      rota produce web-events-partitioned --events --rate 20
      rota produce web-events-partitioned --events --keys 1000 --skew 1.2 --count 50000 --rate 0
      echo 'user-7,{"type":"click"}' | rota produce web-events-partitioned --key-separator ,
      rota produce new_users --file users.txt --json
    """
    if events and (file is not None or key_separator is not None):
        raise RotaError("--events makes its own records; leave out --file and --key-separator", exit_code=2)
    separator = _separator(key_separator)
    chosen = key_values(properties, "--property")
    settings: dict[str, Any] = {"partitioner": "murmur2_random", "linger.ms": 5, **chosen}
    if not any(name in chosen or cluster.setting(name) for name in NOT_IDEMPOTENT):
        settings["enable.idempotence"] = True
    source: Iterable[Pair] = _events(seed, keys, skew) if events else _lines(file, separator)
    pace = (10.0 if events else 0.0) if rate is None else rate
    cluster.partition_counts([topic])
    tally, stop, outage = Tally(), StopRequest(), Outage(cluster.bootstrap)
    producer = cluster.producer({"error_cb": outage, **settings})
    most_bytes = int(settings.get(MAX_BYTES) or cluster.setting(MAX_BYTES) or DEFAULT_MAX_BYTES)
    why = Undelivered(cluster, topic)
    sender = Sender(
        producer, topic, tally, outage, stop, why, show=show and not as_json, most_bytes=most_bytes
    )
    started = time.monotonic()
    failure: RotaError | None = None
    try:
        sender.send_all(stop.items(iter(source)), pace=pace, count=count, duration=duration)
    except RotaError as error:  # a bad line: those before it were sent and are counted
        failure = error
    sender.finish(cluster.timeout_s)
    _summarise(topic, tally, time.monotonic() - started, as_json=as_json)
    if tally.failed:
        reason = tally.first_error or why.reason() or "no broker has answered in time"
        raise RotaError(f"{count_of(tally.failed, 'record')} not acknowledged: {reason}")
    if failure is not None:
        raise failure
    return stop.code


class Progress:
    """One line on a terminal's standard error, made anew every two seconds; the next output overwrites it."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._on = sys.stderr.isatty()
        self._count = 0
        self._shown_at = time.monotonic()

    def tick(self) -> None:
        """Show how far it is, if it is time."""
        passed = time.monotonic() - self._shown_at
        if not self._on or passed < PROGRESS_EVERY_S:
            return
        count = self._tally.acknowledged
        speed = (count - self._count) / passed
        sys.stderr.write(f"{CLEAR_LINE}{count_of(count, 'record')} acknowledged, {speed:,.0f} a second\r")
        sys.stderr.flush()
        self._count, self._shown_at = count, time.monotonic()

    def clear(self) -> None:
        """Take the line away."""
        if self._on:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()


class Sender:
    """Hands records to a producer at a pace and keeps the tally of what came back."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        tally: Tally,
        outage: Outage,
        stop: StopRequest,
        why: Undelivered,
        *,
        show: bool,
        most_bytes: int,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._tally = tally
        self._outage = outage
        self._stop = stop
        self._why = why
        self._show = show
        self._most_bytes = most_bytes
        self._progress = Progress(tally)

    def send_all(
        self, source: Iterable[Pair], *, pace: float, count: int | None, duration: float | None
    ) -> None:
        """Send until the source ends, ``count`` is reached or ``duration`` seconds have passed."""
        from confluent_kafka import KafkaException

        started = time.monotonic()
        for number, (key, value) in enumerate(source):
            if number == count or (duration is not None and time.monotonic() - started >= duration):
                return
            due = started + number / pace if pace else 0.0
            if duration is not None and due >= started + duration:
                self._serve_until(started + duration)
                return
            self._serve_until(due)
            if self._stop.code:
                return
            try:
                self._send(key, value)
            except KafkaException as error:
                size = len(key or b"") + len(value or b"")
                raise self._refusal(error, f"line {number + 1}", size) from None

    def finish(self, stopping_s: float) -> None:
        """Wait for the acknowledgements under way, no longer than that once a stop is wanted.

        Those still missing then are counted as failed.
        """
        self._progress.clear()
        began = time.monotonic()
        while left := self._producer.flush(0.2):
            self._why.look(left)
            if time.monotonic() - began > (stopping_s if self._stop.code else LAST_ANSWERS_S):
                break
        if left:
            self._producer.purge()
            self._producer.flush(1)

    def _send(self, key: bytes | None, value: bytes | None) -> None:
        while not self._stop.code:
            try:
                self._producer.produce(self._topic, value=value, key=key, on_delivery=self._delivered)
            except BufferError:  # the client's queue is full: make room, then try again
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                self._tick()
                return
            self._tick()

    def _tick(self) -> None:
        self._progress.tick()
        self._why.look(len(self._producer))

    def _refusal(self, error: KafkaException, name: str, size: int) -> RotaError:
        """What the client would not even send."""
        from confluent_kafka import KafkaError

        from rota.cluster import explain

        if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
            return explain(error, f"send {name}")
        return RotaError(
            f"{name} is {size:,} bytes; the client's message.max.bytes is {self._most_bytes:,} "
            "(--property message.max.bytes=N changes it)"
        )

    def _serve_until(self, due: float) -> None:
        while not self._stop.code and (left := due - time.monotonic()) > 0:
            self._producer.poll(min(left, 0.2))
            if self._show:
                check_reader()
            self._tick()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            unanswered = error.code() in UNANSWERED
            self._tally.fail("" if unanswered else " ".join(str(error.str()).split()))
            return
        self._outage.over()
        self._tally.add(message.partition(), message.offset())
        if self._show:
            key = message.key()
            name = "no key" if key is None else key.decode(errors="replace")
            emit(f"{name} → {self._topic}-{message.partition()} @ {message.offset()}")
            sys.stdout.flush()


def _events(seed: int, keys: int, skew: float) -> Iterator[Pair]:
    from rota.webevents import web_events

    return web_events(seed, keys, skew)


def _separator(text: str | None) -> bytes | None:
    if text == "":
        raise RotaError("--key-separator wants at least one character", exit_code=2)
    return None if text is None else CHARACTER_OF.get(text, text).encode()


def _lines(file: Path | None, separator: bytes | None) -> Iterator[Pair]:
    """Key and value of each line; without a separator there are no keys. A file is opened at once."""
    if file is None or str(file) == "-":
        return _typed(separator)
    try:
        lines = file.open("rb")
    except OSError as error:
        raise RotaError(f"cannot read {file}: {error.strerror}", exit_code=2) from None
    return _read(file, lines, separator)


def _typed(separator: bytes | None) -> Iterator[Pair]:
    if sys.stdin.isatty():
        note("One record a line; Ctrl+D ends.")
    yield from _split(sys.stdin.buffer, separator)


def _read(file: Path, lines: BinaryIO, separator: bytes | None) -> Iterator[Pair]:
    try:
        with lines:
            yield from _split(lines, separator)
    except OSError as error:
        raise RotaError(f"cannot read {file}: {error.strerror}") from None


def _split(lines: BinaryIO, separator: bytes | None) -> Iterator[Pair]:
    for number, raw in enumerate(lines, start=1):
        line = raw.rstrip(b"\r\n")
        if separator is None:
            yield None, line
            continue
        key, found, value = line.partition(separator)
        if not found:
            raise RotaError(f"line {number} holds no key separator {separator.decode()!r}")
        yield key, value


def _summarise(topic: str, tally: Tally, seconds: float, *, as_json: bool) -> None:
    entries = sorted(tally.partitions.items())
    if as_json:
        partitions = [
            {"partition": number, "records": count, "firstOffset": first, "lastOffset": last}
            for number, (count, first, last) in entries
        ]
        emit_json(
            {
                "topic": topic,
                "acknowledged": tally.acknowledged,
                "failed": tally.failed,
                "seconds": round(seconds, 3),
                "partitions": partitions,
            }
        )
        return
    speed = tally.acknowledged / seconds if seconds else 0.0
    emit(
        f"{count_of(tally.acknowledged, 'record')} acknowledged by {topic} "
        f"in {seconds:.1f} s ({speed:,.0f} a second), {tally.failed or 'none'} failed"
    )
    if entries:
        header = ("PARTITION", "RECORDS", "FIRST-OFFSET", "LAST-OFFSET")
        for line in table(header, [(number, *entry) for number, entry in entries], right=header):
            emit(line)
