"""One of two members goes while 5,000 records a second come: by SIGTERM, and by kill -9.

Counted: records that nobody handled, records that were handled more than once, and the longest silence of a partition.
After kill -9 the group is asked what it has committed: only what the dead member had finished beyond that may come
again.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.consumer.contest import FOR_FRAMEWORKS, LIBRDKAFKA, OURS, Contest, Contestant
from bench.consumer.logs import Handled, longest_silence, read_log, repeated, unhandled
from bench.consumer.topics import PARTITIONS, fresh
from bench.frame import Figure
from bench.load import Client, log_end
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.children import ending_with_parent

from rota.consumer.core.offset_metadata import decode_done

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 5_000
SESSION = {"session.timeout.ms": 6_000}
BEATS_MS = 2_000
"""``heartbeat.interval.ms`` of the peers: a third of the session, as Kafka's documentation advises. Rota's members have
what the runtime chooses.
"""
_OUR_BEATS_MS: int = OURS["heartbeat.interval.ms"]
_BEFORE_S = 4.0
"""Between the group's becoming stable and the signal, and half a heartbeat besides. The other member hears of it with
its next heartbeat: the signal comes in the middle between two of them, for everybody.
"""
_AFTER_S = {signal.SIGTERM: 5.0, signal.SIGKILL: 11.0}
_LIMIT_S = 60.0
_ROOT = Path(__file__).parents[2]

_ONCE = "at least once"
_OURS = Contestant("Rota, 64 key lanes", "Rota", "rota_consumer", "key", f"key order, {_ONCE}")
_LOOP = Contestant("consume(500)", "Rota", "bare", "consume", f"partition order, {_ONCE}", LIBRDKAFKA)
_PEERS = (
    _LOOP,
    Contestant("hand-written pool, 64 lanes", "Rota", "pool", "", f"key order, {_ONCE}", LIBRDKAFKA),
    Contestant(
        "aiokafka, hand-written key lanes", "aiokafka", "aiokafka_loops", "lanes", f"key order, {_ONCE}"
    ),
    Contestant(
        "faststream-confluent, batch",
        "faststream",
        "faststream_confluent",
        "batch",
        f"partition order, {_ONCE}",
        FOR_FRAMEWORKS,
    ),
    Contestant("quix-streams", "quix-streams", "quix", "", f"partition order, {_ONCE}", FOR_FRAMEWORKS),
    Contestant("arroyo", "arroyo", "sentry_arroyo", "serial", f"partition order, {_ONCE}", FOR_FRAMEWORKS),
)


def run_term(contest: Contest) -> None:
    _run(contest, "sigterm", signal.SIGTERM)
    for metric in ("lost", "repeated"):
        figure = Figure(f"SIGTERM to one of two: {metric}", "records", None, most=0)
        contest.compare(figure, metric, "sigterm", _OURS)
    for peer in _PEERS:
        figure = Figure(f"SIGTERM to one of two: stall : {peer.name}", "s", 1.0)
        contest.compare(figure, "stall", "sigterm", _OURS, peer)


def run_kill(contest: Contest) -> None:
    _run(contest, "kill", signal.SIGKILL)
    for metric, words, most in (
        ("lost", "lost", 0),
        ("repeated", "repeated", 250),
        ("needless", "repeated, though committed", 0),
    ):
        figure = Figure(f"kill -9 of one of two: {words}", "records", None, most=most)
        contest.compare(figure, metric, "kill", _OURS)


def _run(contest: Contest, name: str, number: signal.Signals) -> None:
    for contestant in contest.turns([_OURS, *_PEERS], 1 if number == signal.SIGKILL else None):
        _turn(contest, name, contestant, number)
    if (
        number == signal.SIGKILL
    ):  # slow, for the session must end; where in a commit interval it falls is chance
        for contestant in [_OURS] * (contest.rounds - 1):
            _turn(contest, name, contestant, number)


@dataclass(slots=True)
class _Pair:
    """Two members and their logs; ``first`` is the one that goes."""

    first: subprocess.Popen[str]
    second: subprocess.Popen[str]
    files: tuple[Path, Path]

    def handled(self) -> list[Handled]:
        return [each for file in self.files for each in read_log(file)]


def _turn(contest: Contest, name: str, contestant: Contestant, number: signal.Signals) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="rota-bench-") as scratch,
        fresh(contest.bootstrap, name) as topic,
        _traffic(contest.bootstrap, topic) as producing,
        contextlib.ExitStack() as stack,
    ):
        files = (Path(scratch) / "first", Path(scratch) / "second")
        beats_ms = _OUR_BEATS_MS if contestant is _OURS else BEATS_MS
        client = SESSION if contestant is _OURS else {**SESSION, "heartbeat.interval.ms": beats_ms}
        members = [
            stack.enter_context(contest.process(contestant, topic, group=topic, client=client, log=str(file)))
            for file in files
        ]
        pair = _Pair(members[0], members[1], files)
        _wait_for("both members to have partitions", lambda: _is_stable(contest.bootstrap, topic))
        stable_s = time.monotonic()
        _wait_for(
            "both members to handle records",
            lambda: all(file.exists() and file.stat().st_size for file in files),
        )
        time.sleep(max(0.0, stable_s + _BEFORE_S + beats_ms / 2000 - time.monotonic()))
        at_s = time.monotonic()
        pair.first.send_signal(number)
        finished: set[tuple[int, int]] = set()
        if number == signal.SIGKILL:
            pair.first.wait()
            time.sleep(0.3)  # a commit that was on its way still counts
            finished = _not_committed(contest.bootstrap, topic, read_log(files[0]))
        time.sleep(max(0.0, at_s + _AFTER_S[number] - time.monotonic()))
        producing.terminate()
        produced: dict[str, Any] = json.loads(producing.communicate(timeout=_LIMIT_S)[0])
        with Client(contest.bootstrap) as asking:
            ends = {partition: log_end(asking, topic, partition) or 0 for partition in range(PARTITIONS)}
        with contextlib.suppress(TimeoutError):  # what is missing then is lost
            _wait_for("everything to be handled", lambda: not unhandled(pair.handled(), ends), 20.0, 0.5)
        _note(contest, name, contestant, pair, ends, finished, (at_s, produced["last"]))


def _note(
    contest: Contest,
    name: str,
    contestant: Contestant,
    pair: _Pair,
    ends: dict[int, int],
    finished: set[tuple[int, int]],
    span: tuple[float, float],
) -> None:
    handled = pair.handled()
    again = repeated(handled)
    entry = contest.entry(name, contestant)
    lost, stall = unhandled(handled, ends), longest_silence(handled, PARTITIONS, *span)
    entry.add("lost", lost)
    entry.add("repeated", len(again))
    entry.add("stall", stall)
    if name == "kill":
        entry.add("needless", len(again - finished))
    contest.say(f"    {contestant.name}: {lost} lost, {len(again)} repeated, stall {stall:.2f} s")


def _is_stable(bootstrap: str, group: str) -> bool:
    """Whether the group has two members, and both have partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    try:
        found = admin.describe_consumer_groups([group], request_timeout=_LIMIT_S)[group].result(_LIMIT_S)
    except KafkaException:
        return False
    having = [member for member in found.members if member.assignment.topic_partitions]
    return found.state == ConsumerGroupState.STABLE and len(found.members) == len(having) == 2


def _not_committed(bootstrap: str, topic: str, handled: list[Handled]) -> set[tuple[int, int]]:
    """What was finished and is not covered by the group's commits, metadata included."""
    asking = Consumer({"bootstrap.servers": bootstrap, "group.id": topic})
    wanted = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    committed = {each.partition: each for each in asking.committed(wanted, timeout=_LIMIT_S)}
    asking.close()
    done = {}
    for partition, each in committed.items():
        offset = max(0, each.offset)
        done[partition] = (offset, decode_done(offset, each.metadata))
    return {
        (partition, offset)
        for _, partition, offset in handled
        if offset >= done[partition][0]
        and not any(first <= offset < end for first, end in done[partition][1])
    }


@contextlib.contextmanager
def _traffic(bootstrap: str, topic: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.consumer.traffic", bootstrap, topic, str(RATE)]
    process = subprocess.Popen(ending_with_parent(command), cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _wait_for(what: str, condition: Any, limit_s: float = _LIMIT_S, every_s: float = 0.02) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:g} s for {what}")
        time.sleep(every_s)
