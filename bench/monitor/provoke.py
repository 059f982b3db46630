"""Rebalances made on purpose, each with the cause that a monitor should find, on any broker.

``Stage`` is a group of three members (processes of their own, librdkafka) on a topic that a thread produces to. Its
``provoke(kind)`` does one thing to the group and says what that was; ``is_right`` judges what a monitor made of it.
``provoke_many`` does both for several groups at once, until so many rebalances have been provoked:

    with RebalanceLog(admin) as log, …:
        outcomes = provoke_many(bootstrap, 200, log.account)
    share = sum(outcome.right for outcome in outcomes) / len(outcomes)

The broker must allow short times: see ``BROKER_CONFIG``.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic
from tests.children import ending_with_parent

from rota.monitor.rebalances.broker_log import LineKind, read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rota.monitor.rebalances import Told

__all__ = [
    "BROKER_CONFIG",
    "KINDS",
    "PROTOCOLS",
    "Outcome",
    "Provoked",
    "Stage",
    "is_right",
    "judged",
    "provoke_many",
]

KINDS: Final = ("join", "leave", "killed", "poll", "static", "subscription", "partitions")
"""What can be done to a group; the last two are one kind of cause: what there is to share out has changed."""
PROTOCOLS: Final = ("classic", "cooperative", "consumer")
"""The classic protocol with an eager and a cooperative assignor, and KIP-848."""
BROKER_CONFIG: Final[Mapping[str, str]] = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
}

SESSION_MS: Final = 6_000
POLL_MS: Final = 10_000
HEARTBEAT_MS: Final = 500
PATIENCE_S: Final = 240.0
SKEW_MS: Final = 100
BEHIND_S: Final = 20.0

RIGHT: Final[Mapping[str, frozenset[str]]] = {
    "join": frozenset({"member-joined"}),
    "leave": frozenset({"member-left"}),
    "killed": frozenset({"session-expired"}),
    "poll": frozenset({"poll-interval-exceeded"}),
    "static": frozenset({"static-member-replaced"}),
    "subscription": frozenset({"subscription-changed"}),
    "partitions": frozenset({"partitions-added"}),
}


_LOGGED: Final = {"session-expired": LineKind.EXPIRED, "member-left": LineKind.LEFT}


class Provoked(NamedTuple):
    """What was done: its kind, to whom (a client id; "" for nobody in particular), and between which times."""

    kind: str
    client_id: str
    since_ms: int
    expires_ms: int
    """When the group has noticed at the latest, if all goes well."""


class Outcome(NamedTuple):
    """What was provoked, and what was made of it: ``found`` are all causes that were told of that time."""

    group: str
    protocol: str
    done: Provoked
    right: bool
    found: tuple[str, ...]


def is_right(done: Provoked, reason: str, client_id: str) -> bool:
    """Whether a rebalance for this reason (`rota.timeline.events.RebalanceReason`), by this member, is that one."""
    return reason in RIGHT[done.kind] and (not done.client_id or client_id == done.client_id)


def judged(stage: Stage, done: Provoked, told: Sequence[Told]) -> Outcome:
    """What a monitor makes of it: the first cause of the first rebalance of that time must be the right one."""
    then = [each for each in told if done.since_ms - SKEW_MS <= each.at_ms <= done.expires_ms]
    first = next((each for each in then if each.verdicts), None)
    right = first is not None and is_right(
        done, first.verdicts[0].reason.value, first.names.get(first.verdicts[0].member, "")
    )
    found = tuple(f"{each.words} [{'; '.join(each.reasons())}]" for each in then)
    return Outcome(stage.group, stage.protocol, done, right, found)


def provoke_many(
    bootstrap: str,
    count: int,
    account_of: Callable[[str], Sequence[Told]],
    *,
    protocols: Sequence[str] = PROTOCOLS,
    broker_log: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """So many rebalances in groups of these protocols, as even over kinds as can be; all groups at once.

    ``account_of`` gives what is known of a group. It is asked some seconds after the deed, for what comes later
    (a member that is back) counts. ``broker_log`` of Apache Kafka settles what really happened: on a busy machine a
    member that was asked to leave may not come to it before its session is over.
    """
    plans = [(protocol, static) for protocol in protocols for static in (False, True)]
    outcomes: list[Outcome] = []
    lock = threading.Lock()
    failures: list[BaseException] = []

    def play(protocol: str, kinds: Iterator[str], *, static: bool) -> None:
        try:
            with Stage(bootstrap, protocol, static=static) as stage:
                for kind in kinds:
                    done = stage.provoke(kind)
                    stage.restore()
                    outcome = _judged_in_time(stage, done, account_of, broker_log)
                    with lock:
                        outcomes.append(outcome)
                        verdict = (
                            "right"
                            if outcome.right
                            else f"WRONG: {'; '.join(outcome.found) or 'nothing told'}"
                        )
                        say(f"{len(outcomes)}/{count} {protocol} {kind}: {verdict}")
        except BaseException as error:
            failures.append(error)

    shares = _shares(count, plans)
    threads = [
        threading.Thread(
            target=play, args=(protocol, iter(_order(share, static=static))), kwargs={"static": static}
        )
        for (protocol, static), share in zip(plans, shares, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return outcomes


def _judged_in_time(
    stage: Stage, done: Provoked, account_of: Callable[[str], Sequence[Told]], broker_log: Path | None
) -> Outcome:
    """The verdict, once anything is told of that time: on a busy machine reading may be some seconds behind."""
    deadline = time.monotonic() + BEHIND_S
    while True:
        told = account_of(stage.group)
        outcome = judged(stage, done, told)
        if outcome.found or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    if not outcome.right and broker_log is not None and _really(stage, done, told, broker_log):
        outcome = outcome._replace(right=True)
    return outcome


def _really(stage: Stage, done: Provoked, told: Sequence[Told], broker_log: Path) -> bool:
    """Whether the broker's log says of the member's end what the monitor says, whatever had been intended."""
    first = next(
        (each.verdicts[0] for each in told if done.since_ms - SKEW_MS <= each.at_ms and each.verdicts), None
    )
    wanted = None if first is None else _LOGGED.get(first.reason.value)
    if first is None or wanted is None:
        return False
    with broker_log.open(errors="replace") as lines:
        found = [
            each.kind for each in read_log(lines) if (each.group, each.member) == (stage.group, first.member)
        ]
    return bool(found) and found[-1] == wanted


def _shares(count: int, plans: Sequence[tuple[str, bool]]) -> list[int]:
    """How many each group plays: a group of static members does one kind, the others all the rest."""
    weights = [1 if static else len(KINDS) - 1 for _, static in plans]
    shares = [count * weight // sum(weights) for weight in weights]
    shares[0] += count - sum(shares)
    return shares


def _order(share: int, *, static: bool) -> list[str]:
    kinds = ["static"] if static else [kind for kind in KINDS if kind != "static"]
    return [kinds[number % len(kinds)] for number in range(share)]


class Child:
    """One member: a process."""

    def __init__(self, config: Mapping[str, Any], topics: str) -> None:
        self.client_id = str(config["client.id"])
        self.config = dict(config)
        self.topics = topics
        self.process = subprocess.Popen(
            ending_with_parent(
                [sys.executable, "-m", "bench.monitor.member", json.dumps(self.config), topics]
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            text=True,
        )

    def tell(self, order: str) -> None:
        """One command, see `bench.monitor.member`."""
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """As ``kill -9`` does."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def leave(self) -> None:
        """Close the consumer and end."""
        self.tell("leave")
        self.process.wait(PATIENCE_S)


class Stage:
    """A group with three members, dynamic or static, and steady traffic; a context manager."""

    def __init__(
        self, bootstrap: str, protocol: str, *, static: bool = False, name: str = "", members: int = 3
    ) -> None:
        self.bootstrap, self.protocol, self.static = bootstrap, protocol, static
        self.group = name or f"provoked-{protocol}-{uuid.uuid4().hex[:6]}"
        self.topic, self.other = f"{self.group}-t", f"{self.group}-u"
        self.partitions = 6
        self.members: list[Child] = []
        self._count = members
        self._names = itertools.count(1)
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._stop = threading.Event()
        self._traffic = threading.Thread(target=self._produce, daemon=True)

    def __enter__(self) -> Self:
        try:
            for topic in (self.topic, self.other):
                self._admin.create_topics([NewTopic(topic, self.partitions, 1)])[topic].result(PATIENCE_S)
            self._traffic.start()
            for _ in range(self._count):
                self._start()
            self.settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.members:
            if child.process.poll() is None:
                child.process.kill()
            child.process.wait(PATIENCE_S)
        self._stop.set()
        if self._traffic.is_alive():
            self._traffic.join(PATIENCE_S)

    # What can be done

    def provoke(self, kind: str) -> Provoked:
        """Do it to a member in the middle of the list, and make the group whole again before the next one.

        Returns when the group has noticed and shared out its partitions anew.
        """
        self.settle()
        since_ms = now_ms()
        before = self._assignment()
        who = _DEEDS[kind](self)
        self._wait_for_another(f"a rebalance after {kind}", before)
        self.settle()
        return Provoked(kind, who, since_ms, now_ms())

    def restore(self) -> None:
        """As many members as at first, all with the first subscription, and all polling."""
        while len(self.members) > self._count:
            self.members.pop().leave()
            self.settle()
        while len(self.members) < self._count:
            self._start()
            self.settle()
        for child in self.members:
            if child.topics != self.topic:
                before = self._assignment()
                self._subscribe(child, self.topic)
                self._wait_for_another("the first subscription", before)
                self.settle()

    def join(self) -> str:
        """One more member."""
        return self._start().client_id

    def leave(self) -> str:
        """A member closes."""
        child = self.members.pop(1)
        child.leave()
        return child.client_id

    def kill(self) -> str:
        """``kill -9``: the group notices when the session is over."""
        child = self.members.pop(1)
        child.kill()
        return child.client_id

    def stall(self) -> str:
        """A member that heartbeats but does not poll, for longer than ``max.poll.interval.ms``; then it goes on."""
        child = self.members[1]
        before = self._assignment()
        child.tell("stall")
        self._wait_for_another("the end of the poll interval", before)
        self.settle(count=len(self.members) - 1)
        child.tell("go")
        return child.client_id

    def restart(self) -> str:
        """A static member ends and comes back at once, as in a rolling deployment.

        It is killed where the classic protocol is spoken. A consumer group (KIP-848) would refuse its successor until
        the session of a killed member is over, so there it is closed.
        """
        child = self.members[1]
        child.leave() if self.protocol == "consumer" else child.kill()
        self.members[1] = Child(child.config, child.topics)
        return child.client_id

    def subscribe(self) -> str:
        """A member wants another topic too."""
        child = self.members[1]
        self._subscribe(child, f"{self.topic},{self.other}")
        return child.client_id

    def grow(self) -> str:
        """The topic gets two more partitions."""
        self.partitions += 2
        self._admin.create_partitions([NewPartitions(self.topic, self.partitions)])[self.topic].result(
            PATIENCE_S
        )
        return ""

    # How it is done

    def _subscribe(self, child: Child, topics: str) -> None:
        child.topics = topics
        child.tell(f"topics {topics}")

    def _start(self) -> Child:
        name = f"m{next(self._names)}"
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "group.id": self.group,
            "client.id": name,
            "log_level": 0,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 200,
            "max.poll.interval.ms": POLL_MS,
            "topic.metadata.refresh.interval.ms": 1_000,
        }
        if self.static:
            config["group.instance.id"] = name
        if self.protocol == "consumer":
            config["group.protocol"] = "consumer"
        else:
            config["session.timeout.ms"] = SESSION_MS
            config["heartbeat.interval.ms"] = HEARTBEAT_MS
            config["partition.assignment.strategy"] = (
                "cooperative-sticky" if self.protocol == "cooperative" else "range"
            )
        self.members.append(Child(config, self.topic))
        return self.members[-1]

    def settle(self, count: int | None = None) -> None:
        """Until the group is stable, with as many members as there are and every partition in somebody's hands."""
        self._wait("a stable group", lambda: self._is_settled(len(self.members) if count is None else count))
        time.sleep(1.0)  # some commits, so that their rhythm is known

    def _is_settled(self, count: int) -> bool:
        found = self._describe()
        held = [tp for member in found.members for tp in member.assignment.topic_partitions]
        return found.state.name == "STABLE" and len(found.members) == count and len(held) >= self.partitions

    def _assignment(self) -> object:
        return sorted(
            (each.member_id, sorted((tp.topic, tp.partition) for tp in each.assignment.topic_partitions))
            for each in self._describe().members
        )

    def _describe(self) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._admin.describe_consumer_groups([self.group])[self.group].result(PATIENCE_S)
            except KafkaException:  # a busy broker may be slow to answer
                if time.monotonic() > deadline:
                    raise

    def _wait_for_another(self, what: str, before: object) -> None:
        self._wait(what, lambda: self._assignment() != before)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.group}: {what} did not come, but {self._assignment()}")
            time.sleep(0.1)

    def _produce(self) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0, "linger.ms": 5})
        for number in itertools.count():
            if self._stop.wait(0.02):
                break
            with suppress(KafkaException):  # a partition that the producer has not heard of yet
                producer.produce(self.topic, b"x", partition=number % self.partitions)
            producer.poll(0)
        producer.flush(5)


_DEEDS: Final[Mapping[str, Callable[[Stage], str]]] = {
    "join": Stage.join,
    "leave": Stage.leave,
    "killed": Stage.kill,
    "poll": Stage.stall,
    "static": Stage.restart,
    "subscription": Stage.subscribe,
    "partitions": Stage.grow,
}


def now_ms() -> int:
    """The wall clock."""
    return int(time.time() * 1000)
