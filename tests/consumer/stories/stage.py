"""Where a story takes place: a topic and a group of its own, members as processes, a producer, and the oracle."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.children import ending_with_parent
from tests.consumer.stories.member import Orders
from tests.consumer.stories.oracle import Account, Attempt, Event, Place, read_attempts, read_events
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer.core.offset_metadata import decode_done
from rota.consumer.core.progress import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

__all__ = ["Committed", "Member", "Stage", "Traffic"]

PARTITIONS = 4
_ROOT = Path(__file__).parents[3]


class Committed(NamedTuple):
    """What the group has committed of a partition."""

    offset: int
    done: tuple[Range, ...]

    def covers(self, offset: int) -> bool:
        """Whether this record will not come again."""
        return offset < self.offset or any(first <= offset < end for first, end in self.done)


class Member:
    """One process of the group."""

    def __init__(self, orders: Orders) -> None:
        self.name = orders.name
        self._directory = Path(orders.directory)
        self._said = self._directory / f"{orders.name}.log"
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                ending_with_parent(
                    [sys.executable, "-m", "tests.consumer.stories.member", json.dumps(asdict(orders))]
                ),
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    # What is done to it

    def term(self) -> None:
        """SIGTERM, and wait until it has left."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(PATIENCE_S)
        assert code == 0, f"{self.name} ended with {code}:\n{self.said[-4000:]}"

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def tell(self, command: str) -> None:
        """A line for its input; see `Orders.obeys`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def wait_ended(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it, however it is."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    # What is seen of it

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def attempts(self) -> list[Attempt]:
        return read_attempts(self._directory / f"{self.name}.records")

    def events(self, *kinds: str) -> list[Event]:
        found = read_events(self._directory / f"{self.name}.events")
        return [event for event in found if not kinds or event.words[0] in kinds]

    def holds(self) -> set[int]:
        """The partitions that it has at the moment."""
        held: set[int] = set()
        for event in self.events("assigned", "revoked", "lost"):
            partitions = set(map(int, event.words[1:]))
            held = held | partitions if event.words[0] == "assigned" else held - partitions
        return held

    def wait_for(self, what: str, condition: Any) -> None:
        """Wait, but not for a process that has ended."""

        def met() -> bool:
            assert self.runs, f"{self.name} has ended:\n{self.said[-4000:]}"
            return bool(condition())

        try:
            wait_until(f"{self.name} {what}", met)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.said[-4000:]}") from None

    def wait_working(self, more: int = 1) -> None:
        """Wait until it has finished so many more records."""
        before = len(self.attempts())
        self.wait_for("works", lambda: len(self.attempts()) >= before + more)


class Traffic:
    """Records at a steady pace, in a thread; keys in turn, each always in the same partition."""

    def __init__(self, stage: Stage, rate: float, keys: int = 40) -> None:
        self._sending = Sending(stage)
        self._rate = rate
        self._keys = keys
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more; returns when everything is acknowledged."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        self._sending.flush()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.02):
            for _ in range(max(1, int(self._rate * 0.02))):
                key = number % self._keys
                self._sending.send(f"key-{key}", b"x", key % PARTITIONS)
                number += 1


class Sending:
    """A producer; after `flush` the stage knows the ends of the partitions."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        config = {"bootstrap.servers": stage.bootstrap, "linger.ms": 2, "enable.idempotence": True}
        self._producer = Producer(config)
        self._unsent: list[str] = []

    def send(self, key: str, value: bytes, partition: int) -> None:
        topic = self._stage.topic
        self._producer.produce(topic, value, key.encode(), partition=partition, on_delivery=self._delivered)
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(PATIENCE_S) == 0
        assert not self._unsent, self._unsent
        self._stage.look_at_ends()

    def _delivered(self, error: object | None, _message: object) -> None:
        # The offset is not always told: of a batch that was sent again, brokers know only that they have it.
        if error is not None:
            self._unsent.append(str(error))


class Stage:
    """One story. Everything that it started is ended with it."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.bootstrap = bootstrap
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.group = f"story-{uuid.uuid4().hex[:8]}"
        self.topic = self.group
        self.members: list[Member] = []
        self.ends: dict[int, int] = {}
        """The offset behind the last record, by partition, when everything was acknowledged last."""
        self._sending = Sending(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.close()

    # Topics and records

    def create_topic(self, name: str = "", partitions: int = PARTITIONS) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        new = NewTopic(name or self.topic, num_partitions=partitions, replication_factor=1)
        admin.create_topics([new])[name or self.topic].result(PATIENCE_S)
        wait_until("the topic is there", lambda: self._leads(admin, name or self.topic, partitions))

    def send(self, key: str, value: bytes, partition: int) -> None:
        """One record, acknowledged by the next `flush`."""
        self._sending.send(key, value, partition)

    def flush(self) -> None:
        """Return when everything that was sent is acknowledged."""
        self._sending.flush()

    def look_at_ends(self) -> None:
        asking = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"{self.group}-ends"})
        for partition in range(PARTITIONS):
            where = TopicPartition(self.topic, partition)
            self.ends[partition] = asking.get_watermark_offsets(where, timeout=PATIENCE_S)[1]
        asking.close()

    # Members

    def start(self, name: str, **orders: Any) -> Member:
        """A member, which hears of rebalances soon; ``config`` is added to what it needs. A name is used once."""
        assert all(member.name != name for member in self.members)
        given = orders.pop("config", {})
        soon = {} if "group.protocol" in given else {"heartbeat.interval.ms": 500}
        config = {"bootstrap.servers": self.bootstrap, "group.id": self.group, **soon, **given}
        member = Member(
            Orders(name=name, directory=str(self.directory), topic=self.topic, config=config, **orders)
        )
        self.members.append(member)
        return member

    def release(self) -> None:
        """Let records go on that hang."""
        (self.directory / "release").touch()

    # What is seen

    def account(self, dead: Iterable[Place] = ()) -> Account:
        return Account([attempt for member in self.members for attempt in member.attempts()], dead)

    def wait_finished(self, but: Iterable[Place] = ()) -> None:
        """Wait until every record that was acknowledged is finished, but for these."""
        left_out = set(but)

        def is_finished() -> bool:
            finished = not self.account().missing(self.ends) - left_out
            assert finished or any(member.runs for member in self.members), self.members[-1].said[-4000:]
            return finished

        try:
            wait_until("everything is finished", is_finished)
        except TimeoutError as error:
            missing = sorted(self.account().missing(self.ends) - left_out)
            raise TimeoutError(
                f"{error}: {len(missing)} are not, {missing[:20]}\n{self._all_said()}"
            ) from None

    def committed(self) -> dict[int, Committed]:
        """What the group has committed, by partition."""
        asking = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        wanted = [TopicPartition(self.topic, partition) for partition in range(PARTITIONS)]
        deadline = time.monotonic() + PATIENCE_S
        try:
            while True:
                with contextlib.suppress(KafkaException):
                    found = asking.committed(wanted, timeout=10)
                    if all(each.error is None for each in found):
                        return {each.partition: _told(each) for each in found}
                assert time.monotonic() < deadline, "the coordinator does not answer"
        finally:
            asking.close()

    def not_committed(self, attempts: Sequence[Attempt]) -> set[Place]:
        """What of these was finished and may come again."""
        committed = self.committed()
        return {
            each.place
            for each in attempts
            if each.finished and not committed[each.partition].covers(each.offset)
        }

    def check_all_committed(self) -> None:
        """Every record acknowledged is covered by the group's commits."""
        committed = {partition: each.offset for partition, each in self.committed().items()}
        assert committed == self.ends, f"{committed} is committed, {self.ends} is the end\n{self._all_said()}"

    def _all_said(self) -> str:
        return "\n".join(f"{member.name}: {member.said[-2000:]}" for member in self.members)

    def _leads(self, admin: AdminClient, name: str, partitions: int) -> bool:
        topic = admin.list_topics(name, timeout=PATIENCE_S).topics.get(name)
        return (
            topic is not None
            and len(topic.partitions) == partitions
            and all(part.leader >= 0 for part in topic.partitions.values())
        )


def _told(answer: TopicPartition) -> Committed:
    offset = max(0, answer.offset)  # negative where nothing is committed
    return Committed(offset, decode_done(offset, answer.metadata))
