"""Reading ``__consumer_offsets`` as it grows: a thread that feeds `rota.monitor.rebalances`.

It reads by hand: no group, no commits, nothing that anybody would notice. It begins at the beginning, so that it knows
of rebalances from before it was started; a cluster's topic may hold 100 MB, so that takes its time in the background
(`OffsetsTopic.progress`). Only the partitions of the wanted groups are read.

Offsets that an open transaction commits are read before it is decided (``read_uncommitted``): waiting for it would hold
up the news of all groups in that partition.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from rota.admin.errors import UnreachableError
from rota.admin.offsets import At
from rota.model import ErrorCode, RotaError, TopicPartition
from rota.monitor.rebalances import LogReader
from rota.watching.mistakes import Mistakes

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

    from rota.admin import Admin
    from rota.monitor.facts import Commit, GroupFacts
    from rota.monitor.rebalances import Told
    from rota.monitor.view import RebalanceView
    from rota.timeline.events import Event

log = logging.getLogger(__name__)

__all__ = ["TOPIC", "Nameless", "OffsetsTopic", "Progress", "UnreadableError"]

TOPIC: Final = "__consumer_offsets"
END_OF_PARTITION: Final = -191  # librdkafka's own code
BATCH: Final = 1_000
POLL_S: Final = 0.1
APPEARS_S: Final = 1.0
"""How often a topic that is not there yet is asked for: the first group makes it."""
NAMES_S: Final = 1.0
"""So soon names are asked for again while there are ids without one,"""
SELDOM_S: Final = 60.0
"""and so seldom in the end: of topics that are gone nobody knows the names any more."""
END_S: Final = 5.0


class UnreadableError(RotaError):
    """The topic may not be read, or cannot be; groups can still be asked about themselves."""


class Progress(NamedTuple):
    """How far the reading is: records so far, and how many of the partitions were read to their end once."""

    records: int
    partitions: int
    ended: int

    @property
    def is_caught_up(self) -> bool:
        """Whether all that had been written when it began is read."""
        return self.ended == self.partitions


class Nameless:
    """When to ask for the names of ids that have none: at once for new ones, less and less often for old ones."""

    def __init__(self) -> None:
        self._asked: frozenset[bytes] = frozenset()
        """Those that nobody could name."""
        self._due_s = 0.0
        self._rest_s = NAMES_S

    def is_due(self, ids: frozenset[bytes], now_s: float) -> bool:
        """Whether to ask about them now."""
        if ids - self._asked and self._rest_s > NAMES_S:
            self._due_s, self._rest_s = self._due_s - self._rest_s + NAMES_S, NAMES_S
        return bool(ids) and now_s >= self._due_s

    def asked(self, left: frozenset[bytes], now_s: float) -> None:
        """Somebody was asked, and these are left."""
        self._rest_s = min(2 * self._rest_s, SELDOM_S) if left and left <= self._asked else NAMES_S
        self._asked, self._due_s = left, now_s + self._rest_s


class OffsetsTopic:
    """Follows the topic until it is closed. Its answers are those of `LogReader`, and never wait for the cluster.

    ``groups``: only these; None: all of them. ``failure`` says why nothing is read any more; reading goes on by itself
    when brokers come back. ``admin`` is asked about names of topics and timeouts, in the thread.
    """

    def __init__(self, admin: Admin, groups: Collection[str] | None = None) -> None:
        self.failure: RotaError | None = None
        self.away: RotaError | None = None
        """Why nobody answers, until somebody does: before the reading has begun."""
        self._admin = admin
        self._groups = None if groups is None else frozenset(groups)
        self._reader = LogReader(self._groups)
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._number = 0
        self._closing = threading.Event()
        self._partitions: frozenset[int] | None = None
        self._ends: dict[int, int] = {}
        """Where each partition ended when the reading began."""
        self._ended: set[int] = set()
        self._nameless = Nameless()
        self._mistakes = Mistakes(log)
        self._thread = threading.Thread(target=self._run, name="rota-offsets-topic", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no further."""
        self._closing.set()
        with self._news:
            self._news.notify_all()
        self._thread.join(END_S)

    # What there is

    @property
    def progress(self) -> Progress:
        """How much was read; no partition at all while the topic is not there."""
        with self._lock:
            count = 0 if self._partitions is None else len(self._partitions)
            return Progress(sum(self._reader.records.values()), count, len(self._ended))

    @property
    def exists(self) -> bool | None:
        """Whether the topic is there; None: nobody has said yet."""
        partitions = self._partitions
        return None if partitions is None else bool(partitions)

    @property
    def is_caught_up(self) -> bool:
        """Whether all is read that had been written when it began; nothing had if the topic was not there."""
        return self._partitions is not None and self.progress.is_caught_up

    def wait(self, number: int, timeout_s: float | None = None) -> int:
        """Wait until there is more news than ``number`` counts, or a failure, or the end; how much there is."""
        with self._news:
            self._news.wait_for(
                lambda: self._number > number or self._closing.is_set() or self.failure is not None, timeout_s
            )
            return self._number

    def events(self, group: str) -> list[Event]:
        """See `LogReader.events`."""
        with self._lock:
            return self._reader.events(group)

    def account(self, group: str) -> list[Told]:
        """See `LogReader.account`."""
        with self._lock:
            return self._reader.account(group)

    def rebalance(self, group: str, now_ms: int) -> RebalanceView | None:
        """See `LogReader.rebalance`."""
        with self._lock:
            return self._reader.rebalance(group, now_ms)

    def version(self, group: str) -> int:
        """See `LogReader.version`."""
        with self._lock:
            return self._reader.version(group)

    def versions(self) -> dict[str, int]:
        """See `LogReader.versions`."""
        with self._lock:
            return self._reader.versions()

    def knows(self, group: str) -> bool:
        """Whether anything of the group is recorded."""
        with self._lock:
            return self._reader.knows(group)

    def commit_steps(self, group: str) -> dict[TopicPartition, list[tuple[int, int]]]:
        """See `LogReader.commit_steps`."""
        with self._lock:
            return self._reader.commit_steps(group)

    def timed(self, group: str, commits: Mapping[TopicPartition, Commit]) -> dict[TopicPartition, Commit]:
        """See `LogReader.timed`."""
        with self._lock:
            return self._reader.timed(group, commits)

    def completed(self, facts: GroupFacts) -> GroupFacts:
        """See `LogReader.completed`."""
        with self._lock:
            return self._reader.completed(facts)

    def look(self, facts: GroupFacts, at_ms: int, took_ms: int = 0) -> None:
        """See `LogReader.look`."""
        with self._news:
            before = self._reader.version(facts.group)
            self._reader.look(facts, at_ms, took_ms)
            if self._reader.version(facts.group) != before:
                self._tell()

    def look_at_ends(self, ends: Mapping[TopicPartition, int], at_ms: int) -> None:
        """See `LogReader.look_at_ends`."""
        with self._lock:
            self._reader.look_at_ends(ends, at_ms)

    def use(self, change: Callable[[LogReader], None]) -> None:
        """Do something to the reader while nobody else does."""
        with self._news:
            change(self._reader)
            self._tell()

    def _tell(self) -> None:
        self._number += 1
        self._news.notify_all()

    # The thread

    def _run(self) -> None:
        try:
            self._read()
        except RotaError as error:
            self._fail(
                error
                if isinstance(error, UnreadableError)
                else UnreadableError(f"cannot read {TOPIC}: {error}")
            )
        except Exception as error:
            log.exception("reading %s failed", TOPIC)
            words = f"cannot read {TOPIC}: {error!r} (a mistake of Rota's; the log tells more)"
            self._fail(UnreadableError(words))

    def _fail(self, failure: UnreadableError) -> None:
        with self._news:
            self.failure = failure
            self._news.notify_all()

    def _read(self) -> None:
        from rota.cluster import Cluster

        partitions = self._find()
        if self._closing.is_set():
            return
        self._learn_names()
        consumer = Cluster(self._admin.bootstrap, self._admin.properties).consumer(
            {
                "group.id": "rota-offsets-topic",  # librdkafka wants a name; it is never sent
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
                "fetch.queue.backoff.ms": 20,
                "queued.max.messages.kbytes": 1_024,
                "fetch.max.bytes": 4 << 20,
                "max.partition.fetch.bytes": 1 << 20,
                "topic.metadata.refresh.interval.ms": 30_000,
            }
        )
        try:
            self._assign(consumer, partitions)
            while not self._closing.is_set():
                self._take(consumer.consume(BATCH, POLL_S))
                self._learn()
        finally:
            consumer.close()

    def _find(self) -> list[int]:
        """The partitions to read, as soon as the topic is there."""
        while not self._closing.is_set():
            try:
                described = self._admin.topics([TOPIC])[TOPIC]
            except UnreachableError as error:  # a broker may come back
                self.away = error
                self._closing.wait(APPEARS_S)
                continue
            except RotaError as error:
                described = error
            self.away = None
            if not isinstance(described, RotaError):
                wanted = self._wanted(len(described.partitions))
                with self._lock:
                    self._partitions = frozenset(wanted)
                return wanted
            if getattr(described, "code", None) != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise UnreadableError(f"cannot read {TOPIC}: {described}")
            with self._lock:
                self._partitions = frozenset()
            self._closing.wait(APPEARS_S)
        return []

    def _wanted(self, count: int) -> list[int]:
        if self._groups is None:
            return list(range(count))
        from rota.coordinator import partition_for

        return sorted({partition_for(group, count) for group in self._groups})

    def _assign(self, consumer: Consumer, partitions: Collection[int]) -> None:
        """Begin at the beginning; and note where the end is now.

        That a client has come to a partition's end it says only while nothing is written there.
        """
        from confluent_kafka import OFFSET_BEGINNING
        from confluent_kafka import TopicPartition as ClientPartition

        asked = [TopicPartition(TOPIC, number) for number in partitions]
        ends = self._admin.offsets(asked, At.LATEST)
        with self._news:
            self._ends = {tp.partition: end if isinstance(end, int) else 0 for tp, end in ends.items()}
            # Of one without a leader nobody can say more now; what it has comes when it has one.
            self._ended |= {number for number, end in self._ends.items() if not end}
            self._tell()
        consumer.assign([ClientPartition(TOPIC, number, OFFSET_BEGINNING) for number in partitions])

    def _take(self, messages: list[Message]) -> None:
        if not messages:
            return
        with self._news:
            for message in messages:
                error: Any = message.error()
                number = int(message.partition() or 0)
                if error is None:
                    key: Any = message.key()
                    value: Any = message.value()
                    try:
                        self._reader.feed(number, key, value, message.timestamp()[1])
                    except Exception as mistake:  # costs this record, and no other group's
                        self._mistakes.note(f"reading a record of {TOPIC}", mistake)
                    if int(message.offset() or 0) + 1 >= self._ends.get(number, 0):
                        self._ended.add(number)
                elif error.code() == END_OF_PARTITION:
                    self._ended.add(number)
                elif error.fatal() or not error.retriable():
                    raise UnreadableError(f"cannot read {TOPIC}: {' '.join(str(error.str()).split())}")
            self._tell()

    def _learn(self) -> None:
        """What records do not tell: names of topics, timeouts of consumer groups."""
        with self._lock:
            ids = frozenset(self._reader.unknown_topics)
            there = set(self._reader.consumer_groups)
        if self._nameless.is_due(ids, time.monotonic()):
            self._learn_names()
        new = there - self._asked
        if new:
            self._learn_timeouts(new)
            self._asked = there

    def _learn_names(self) -> None:
        names: dict[bytes, str] = {}
        with suppress(RotaError):  # asked again while there are ids without a name
            names = {
                base64.urlsafe_b64decode(each.topic_id + "=="): name
                for name, each in self._admin.topics(None).items()
                if not isinstance(each, RotaError)
            }
        with self._lock:
            self._reader.learn_topics(names)
            left = frozenset(self._reader.unknown_topics)
        self._nameless.asked(left, time.monotonic())

    def _learn_timeouts(self, groups: Collection[str]) -> None:
        """Where nobody may say, Kafka's defaults are a good guess."""
        found: dict[str, tuple[int, int]] = {}
        if not self._asked:
            with suppress(RotaError):
                for settings in self._admin.broker_configs([f"group.{name}" for name in _SETTINGS]).values():
                    found[""] = _timeouts(settings, "group.") or found.get("", DEFAULTS)
        with suppress(RotaError):
            for group, settings in self._admin.group_configs(groups).items():
                own = _timeouts(settings, "")
                if own is not None:
                    found[group] = own
        with self._lock:
            for group, times in found.items():
                self._reader.learn_timeouts(group, *times)


DEFAULTS: Final = (45_000, 5_000)
_SETTINGS: Final = ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms")


def _timeouts(settings: Mapping[str, str] | RotaError, prefix: str) -> tuple[int, int] | None:
    """Session timeout and heartbeat interval in milliseconds; None where they are not told."""
    if isinstance(settings, RotaError):
        return None
    values = [settings.get(prefix + name, "") for name in _SETTINGS]
    return (int(values[0]), int(values[1])) if all(each.isdigit() for each in values) else None
