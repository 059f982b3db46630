"""One run: two partitions of orders, consumer A, and in the middle consumer B beside it."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as ClientPartition
from examples.children import Child, now_ms
from examples.cleaning import remove
from examples.orders.account import FIRST_NEW, Account, Order, listed
from examples.orders.group_log import Commit, Generation, GroupLog
from examples.paper import Paper

from rota.cluster import Cluster
from rota.model import number_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from examples.paper import Colour

__all__ = ["Kind", "Settings", "play"]

Kind = Literal["naive", "rota"]
MODULES: dict[Kind, str] = {"naive": "examples.orders.naive", "rota": "examples.orders.rota_orders"}
COLOURS: Mapping[str, Colour] = {"A": "cyan", "B": "magenta"}
PARTITIONS = (0, 1)
_COMING_UP = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
SCALE_UP_AFTER = 2
"""A has finished so many orders when B is started; with the naive loop they are not committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are seconds."""

    bootstrap: str
    order_s: float = 2.5
    new_orders: int = 6
    """For each partition."""
    max_poll_s: float = 12.0
    session_s: float = 6.0
    clean: bool = False
    """Whether topic and group are deleted at the end."""

    @property
    def limit_s(self) -> float:
        """When something that must happen has not happened."""
        return 120 + 10 * (self.new_orders * len(PARTITIONS) * self.order_s + self.max_poll_s)


def play(kind: Kind, settings: Settings) -> Account:
    """Run it once, and tell what happens while it happens."""
    name = f"orders-{kind}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    _prepare(settings, name)
    with tempfile.TemporaryDirectory(prefix="rota-orders-") as logs:
        scene = _Scene(kind, settings, name, Path(logs))
        try:
            scene.run()
        finally:
            scene.close()
            if settings.clean:
                remove(settings.bootstrap, name, settings.session_s)
    return scene.account


def _prepare(settings: Settings, name: str) -> None:
    """The topic; a hundred orders in each partition that are done and committed; the new ones."""
    cluster = Cluster(settings.bootstrap)
    cluster.create_topic(name, partitions=len(PARTITIONS))
    cluster.close()
    producer = Producer({"bootstrap.servers": settings.bootstrap, "acks": "all", "enable.idempotence": True})
    for number in range(FIRST_NEW + settings.new_orders):
        for partition in PARTITIONS:
            producer.produce(name, f"order {number}", partition=partition)
    assert producer.flush(30) == 0, "the orders were not taken"
    _commit_earlier(settings, name)


def _commit_earlier(settings: Settings, name: str) -> None:
    """A new Kafka takes a moment to make the topic in which commits are kept."""
    earlier = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": name})
    done = [ClientPartition(name, partition, FIRST_NEW) for partition in PARTITIONS]
    deadline = time.monotonic() + settings.limit_s
    while True:
        try:
            earlier.commit(offsets=done, asynchronous=False)
        except KafkaException as refused:
            if refused.args[0].code() not in _COMING_UP or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            earlier.close()
            return


class _Scene:
    def __init__(self, kind: Kind, settings: Settings, name: str, logs: Path) -> None:
        self._kind = kind
        self._settings = settings
        self._name = name
        self._logs = logs
        self._heard: SimpleQueue[tuple[str, dict[str, Any]] | Commit | Generation] = SimpleQueue()
        self._children: list[Child] = []
        self._began: set[tuple[str, int]] = set()
        self._asked: dict[str, int] = {}
        """When each member was handed its orders; a naive one has not asked for more since."""
        new = range(FIRST_NEW, FIRST_NEW + settings.new_orders)
        self.account = Account(frozenset((partition, offset) for partition in PARTITIONS for offset in new))
        self._paper = Paper(now_ms())
        self._log = GroupLog(settings.bootstrap, name, self._heard.put)

    def run(self) -> None:
        """The course of events."""
        account = self.account
        self._start("A", "A is started: it is alone")
        self._until("A works", lambda: len(account.finished) >= SCALE_UP_AFTER)
        waiting = listed(account.uncommitted())
        assert waiting or self._kind == "rota", "the naive loop has committed what it has finished"
        self._start(
            "B", f"SCALE UP: B is started. Finished and not committed at this moment: {waiting or 'none'}"
        )
        self._until("all orders are finished", lambda: self._all_finished() and self._shown())
        if self._kind == "rota":
            for child in self._children:
                self._paper.note(now_ms(), f"{child.name} is asked to stop (SIGTERM)", "bold")
                child.ask_to_end()
            for child in self._children:
                child.wait()
            end = FIRST_NEW + self._settings.new_orders
            self._until(
                "all is committed", lambda: all(account.committed(p).offset == end for p in PARTITIONS)
            )
        commits = " and ".join(str(account.committed(partition).offset) for partition in PARTITIONS)
        words = (
            f"The end: every order has been finished. The last commits of partitions 0 and 1 are {commits}"
        )
        self._paper.note(now_ms(), words, "bold")
        self._paper.show()

    def close(self) -> None:
        """Nothing goes on after it."""
        for child in self._children:
            child.end()
        self._log.close()

    def _start(self, name: str, words: str) -> None:
        settings = self._settings
        arguments = [
            "--name",
            name,
            "--bootstrap",
            settings.bootstrap,
            "--topic",
            self._name,
            "--group",
            self._name,
        ]
        arguments += [
            "--seconds",
            f"{settings.order_s:g}",
            "--max-poll-ms",
            str(int(settings.max_poll_s * 1000)),
        ]
        arguments += ["--session-ms", str(int(settings.session_s * 1000))]
        self._paper.note(now_ms(), words, "bold")
        log = self._logs / f"{name}.log"
        self._children.append(Child(name, MODULES[self._kind], arguments, log, self._report))

    def _report(self, name: str, words: dict[str, Any]) -> None:
        self._heard.put((name, words))

    def _all_finished(self) -> bool:
        return {work.order for work in self.account.finished} >= self.account.orders

    def _shown(self) -> bool:
        """Whether what A had finished when B took over and began has come again, if it must.

        With the naive loop it must; with Rota's runtime what is committed does not.
        """
        took_over = [work for work in self.account.finished if work.who == "B"]
        if not took_over:
            return False
        began_ms = min(work.began_ms for work in took_over)
        again = {work.order for work in took_over}
        return all(
            work.order in again
            or work.order[1] < self.account.committed(work.order[0], began_ms).offset
            or self.account.reader(work.order[0], began_ms) == "A"
            for work in self.account.finished
            if work.who == "A" and (work.finished_ms or 0) <= began_ms
        )

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._settings.limit_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {self._settings.limit_s:.0f} s still waiting: {what}")
            for child in self._children:
                child.check()
            with suppress(Empty):
                self._take(self._heard.get(timeout=0.1))
            self._paper.show(now_ms())

    def _take(self, heard: tuple[str, dict[str, Any]] | Commit | Generation) -> None:
        if isinstance(heard, Commit):
            self._take_commit(heard)
        elif isinstance(heard, Generation):
            self._take_generation(heard)
        else:
            name, words = heard
            order = int(words["partition"]), int(words["offset"])
            if words["what"] == "begins":
                self._take_begin(name, order, int(words["at_ms"]))
            else:
                self._take_finish(name, order, int(words["at_ms"]))

    def _take_begin(self, who: str, order: Order, at_ms: int) -> None:
        before = self.account.done_before(order)
        generations = self.account.generations
        if not generations or who in generations[-1].reads:
            self._asked.setdefault(who, at_ms)
        if (who, order[0]) not in self._began:
            self._began.add((who, order[0]))
            again = "" if before is None else " AGAIN"
            commit = self.account.committed(order[0]).offset
            words = f"{who} begins with order {_named(order)}{again}: the last commit is {commit}"
            self._paper.note(at_ms, words, COLOURS[who] if before is None else "red")
        self.account.begins(who, order, at_ms)

    def _take_finish(self, who: str, order: Order, at_ms: int) -> None:
        before = self.account.done_before(order)
        self.account.finishes(who, order, at_ms)
        if before is None:
            self._paper.note(at_ms, f"{who} has finished order {_named(order)}", COLOURS[who])
            return
        first_at = self._paper.seconds(before.finished_ms or 0)
        words = f"{who} has finished order {_named(order)} AGAIN: {before.who} had finished it at {first_at}"
        self._paper.note(at_ms, words, "red")

    def _take_commit(self, commit: Commit) -> None:
        before = self.account.committed(commit.partition)
        self.account.commits.append(commit)
        if commit.offset != before.offset:
            words = f"commit: partition {commit.partition} is done up to order {commit.offset - 1}"
            self._paper.note(commit.at_ms, words, "green")

    def _take_generation(self, generation: Generation) -> None:
        self.account.generations.append(generation)
        if generation.reads and not any(generation.reads.values()):
            if len(self.account.generations) == 1:
                members = " and ".join(sorted(generation.reads))
                words = f"generation {generation.number}: {members} in the group, nothing assigned yet"
                self._paper.note(generation.at_ms, words, "yellow")
            return  # on its way: members, and nothing assigned yet
        reads = [
            f"{who} reads partition{'s' if len(held) > 1 else ''} {' and '.join(number_runs(held))}"
            if held
            else f"{who} reads nothing"
            for who, held in sorted(generation.reads.items())
        ]
        words = f"rebalance, generation {generation.number}: {'; '.join(reads) or 'nobody is in the group'}"
        self._paper.note(generation.at_ms, words, "yellow")
        gone = [who for who in self._asked if who not in generation.reads]
        for who in gone:
            self._tell_of_absence(who, self._asked.pop(who), generation.at_ms)
        waiting = listed(self.account.uncommitted())
        if gone and waiting:
            self._paper.note(generation.at_ms, f"finished and not committed: {waiting}", "yellow")

    def _tell_of_absence(self, who: str, asked_ms: int, at_ms: int) -> None:
        """Somebody is not in the group any more: for too long without a poll, if it was that."""
        if self._kind == "naive" and at_ms - asked_ms >= 950 * self._settings.max_poll_s:
            since = self._paper.seconds(asked_ms)
            limit = f"max.poll.interval.ms, {self._settings.max_poll_s:g} s"
            words = f"{who} is out: it has asked for no more orders since {since} ({limit})"
            self._paper.note(at_ms, words, "yellow")


def _named(order: Order) -> str:
    return f"{order[1]} of partition {order[0]}"
