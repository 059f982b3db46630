"""The state of a consumer as data: each partition, and which record it waits for.

`take` reads the engine, so it runs on the owner's thread (`Owner.ask`); what it returns belongs to nobody and
can be shown by any. It looks at every record that is under way once: some milliseconds at 10,000 of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from rota.model import TopicPartition, count_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rota.consumer.clients.client import Message
    from rota.consumer.core.engine import Engine
    from rota.consumer.core.lanes import Blocked
    from rota.consumer.core.state import Route
    from rota.consumer.core.work import Task
    from rota.consumer.operations.counts import Counts, Failure

__all__ = [
    "About",
    "BlockingRecord",
    "HandlerState",
    "Memory",
    "PartitionState",
    "State",
    "key_preview",
    "take",
    "to_json",
]

LONGEST_KEY = 60


@dataclass(frozen=True, slots=True)
class BlockingRecord:
    """The first record of a partition that is not done: nothing beyond it can be committed as an offset."""

    offset: int
    key: str | None
    """The beginning of it, for people."""
    timestamp_ms: int
    """The record's own, in milliseconds since 1970; -1: it has none."""
    state: str
    """running, retry (waits for its next attempt), sending (to a dead-letter or retry topic), behind (another
    record of its order), queued (for a worker), waiting (for its time, its turn or its batch).
    """
    age_ms: int
    """How long the partition has waited for it, as far as was seen."""
    attempts: int
    """Attempts that have begun."""
    running_ms: int | None
    """How long it has been running, as far as was seen."""
    failing_ms: int | None
    """How long ago it failed for the first time."""
    failure: str | None
    """How it failed last."""
    words: str


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition that is ours. Offsets are of the next record to read, to commit, to be written."""

    topic: str
    partition: int
    handler: str
    assigned_since_ms: int | None
    position: int | None
    committed: int | None
    end: int | None
    """As the last answer to a fetch said."""
    lag: int | None
    """From what is committed (or done, where nothing was committed yet) to the end."""
    in_flight: int
    paused: str | None
    """Why it is not fetched, in words."""
    blocking: BlockingRecord | None

    @property
    def name(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    @property
    def done_to(self) -> int | None:
        """The first offset that is not done."""
        return self.position if self.blocking is None else self.blocking.offset


@dataclass(frozen=True, slots=True)
class HandlerState:
    """One handler."""

    name: str
    topics: tuple[str, ...]
    concurrency: int
    busy: int
    """How many of its workers are at a task."""
    in_flight: int
    done: int
    """Records that its workers have finished since the start."""
    longest_ms: int
    """How long the one of its records has been running that has been for longest, as far as was seen."""
    longest: str | None
    """Its name."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything, at one moment: ``at_ms`` is milliseconds since 1970."""

    at_ms: int
    group: str
    client_id: str
    stopping: str | None
    joined: bool
    """Whether it is known what is ours, be it nothing."""
    partitions: tuple[PartitionState, ...]
    handlers: tuple[HandlerState, ...]
    in_flight_limit: int
    commits: int
    commits_failed: int
    last_commit_ms: int | None
    last_commit_problem: str | None
    rebalances: Mapping[str, int]
    last_rebalance_ms: int | None

    def of(self, partition: TopicPartition) -> PartitionState | None:
        """One partition, if it is ours."""
        return next((state for state in self.partitions if state.name == partition), None)


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while a consumer runs. ``concurrency``: by the handler's name."""

    group: str
    client_id: str
    concurrency: Mapping[str, int]


def take(
    engine: Engine,
    counts: Counts,
    about: About,
    memory: Memory,
    positions: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    now_ms: int,
    wall_ms: int,
    *,
    joined: bool,
) -> State:
    """What is, by the engine's clock ``now_ms``.

    ``positions`` and ``joined``: what the client says. ``ends``: the offset behind the last record, where it is known.
    """
    memory.keep(engine.partitions)
    view = _View(engine, counts, memory, now_ms)
    paused = engine.gates.reasons(now_ms)
    partitions = tuple(
        view.partition(partition, positions.get(partition), ends.get(partition), paused.get(partition))
        for partition in sorted(engine.partitions)
    )
    return State(
        at_ms=wall_ms,
        group=about.group,
        client_id=about.client_id,
        stopping=engine.stopping,
        joined=joined,
        partitions=partitions,
        handlers=tuple(view.handler(route, about) for route in view.routes),
        in_flight_limit=engine.limits.in_flight,
        commits=counts.commits,
        commits_failed=counts.commits_failed,
        last_commit_ms=counts.last_commit_ms,
        last_commit_problem=counts.last_commit_problem,
        rebalances=dict(counts.rebalances),
        last_rebalance_ms=counts.last_rebalance[1] if counts.last_rebalance else None,
    )


def to_json(state: State) -> dict[str, Any]:
    """For ``json.dumps``."""
    return asdict(state)


def key_preview(key: bytes | None) -> str | None:
    """A key for people: text where it is text, else as Python writes bytes, and never long."""
    if key is None:
        return None
    cut = key[: 4 * LONGEST_KEY + 4]
    try:
        text = cut.decode()
    except UnicodeDecodeError as error:
        within = error.start < len(cut) - 3 or len(cut) == len(key)
        text = "\0" if within else cut[: error.start].decode()
    if not text.isprintable():
        text = repr(cut)[2:-1]
    return text if len(text) <= LONGEST_KEY else text[:LONGEST_KEY] + "…"


class Memory:
    """What one snapshot remembers of those before: since when partitions have waited for the records they wait
    for, and how many records handlers have done.
    """

    def __init__(self) -> None:
        self._seen: dict[TopicPartition, tuple[int, int]] = {}
        self._done: dict[Route, int] = {}

    def first_seen(self, partition: TopicPartition, offset: int, now_ms: int) -> int:
        before = self._seen.get(partition)
        if before is None or before[0] != offset:
            before = self._seen[partition] = offset, now_ms
        return before[1]

    def done(self, route: Route) -> int:
        """With those of tasks that are still being worked at; never less than before, for counters only grow.

        A task that ends between the two looks is left out this time, so nothing is counted twice.
        """
        ended = route.workers.completed
        found = ended + sum(task.running for task in route.workers.current())
        self._done[route] = max(found, self._done.get(route, 0))
        return self._done[route]

    def keep(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget all others."""
        self._seen = {name: seen for name in partitions if (seen := self._seen.get(name)) is not None}


class _First(NamedTuple):
    """The first record of a partition that is not done, and where it is."""

    message: Message
    offset: int
    task: Task | None = None
    """It is in this task of a lane ..."""
    entry: Blocked | None = None
    """... or it is this blocked record, or waits behind it ..."""
    words: str = ""
    """... or it waits for this, before the lanes."""


class _View:
    """The records that are under way, each looked at once."""

    def __init__(self, engine: Engine, counts: Counts, memory: Memory, now_ms: int) -> None:
        self.routes: list[Route] = list(dict.fromkeys(engine.routes.values()))
        self._by_topic = engine.routes
        self._partitions = engine.partitions
        self._counts = counts
        self._memory = memory
        self._now_ms = now_ms
        self._waiting = {id(each.message): each for each in engine.failures.waiting()}
        self._running_now = engine.watch.running()
        self._since = {id(message): since for message, since, _ in self._running_now}
        self._at = {task for route in self.routes for task in route.workers.current()}
        self._at_lane: dict[tuple[Route, int], Task] = {}
        """The task that a lane's worker is at; after a recall the lane that replaces it waits for that too."""
        self._first: dict[tuple[str, int], _First] = {}
        self._under_way: Counter[tuple[str, int]] = Counter()
        self._in_flight: Counter[Route] = Counter()
        self._blocked = {route for route in self.routes if getattr(route.workers, "blocked", False)}
        """Handlers on an event loop that one of their records keeps from going on."""
        for route in self.routes:
            self._look(route)

    def partition(
        self, name: TopicPartition, position: int | None, end: int | None, paused: str | None
    ) -> PartitionState:
        state = self._partitions[name]
        committed = state.committed.offset if state.committed is not None else None
        first = self._first.get(name)
        reached = position if position is not None else committed
        done_to = first.offset if first is not None else reached
        base = committed if committed is not None else done_to
        return PartitionState(
            topic=name.topic,
            partition=name.partition,
            handler=self._by_topic[name.topic].name,
            assigned_since_ms=self._counts.assigned_since.get(name),
            position=reached,
            committed=committed,
            end=end,
            lag=max(0, end - base) if end is not None and base is not None else None,
            in_flight=self._under_way[name],
            paused=paused,
            blocking=self._blocking(name, first) if first is not None else None,
        )

    def handler(self, route: Route, about: About) -> HandlerState:
        running = [
            (since, message) for message, since, _ in self._running_now if self._routed(message) is route
        ]
        since_ms, longest = min(running, key=itemgetter(0), default=(self._now_ms, None))
        return HandlerState(
            name=route.name,
            topics=tuple(topic for topic, found in self._by_topic.items() if found is route),
            concurrency=about.concurrency.get(route.name, 0),
            busy=sum(1 for _ in route.workers.current()),
            in_flight=self._in_flight[route],
            done=self._memory.done(route),
            longest_ms=self._now_ms - since_ms,
            longest=_name(longest) if longest is not None else None,
        )

    def _routed(self, message: Message) -> Route | None:
        return self._by_topic.get(message.topic())

    def _look(self, route: Route) -> None:
        apart = set()
        for entry in route.lanes.blocked.values():
            apart.add(entry.task)
            if not entry.stale:
                self._note(route, (entry.message,), entry=entry)
            self._note(route, entry.behind, entry=entry)
        for task in route.lanes.running():
            if task not in apart:
                self._note(route, task.messages[task.running :], task=task)
                if task in self._at:
                    self._at_lane[route, task.lane.index] = task
        for words, messages in route.lanes.outside():
            self._note(route, messages, words=words)
        # Records that are not due are the partition's, but not in flight: no limit is for them.
        self._in_flight[route] -= route.lanes.not_due_in_all()

    def _note(
        self,
        route: Route,
        messages: Collection[Message],
        task: Task | None = None,
        entry: Blocked | None = None,
        words: str = "",
    ) -> None:
        self._in_flight[route] += len(messages)
        for message in messages:
            where = (message.topic(), message.partition())
            self._under_way[where] += 1
            first = self._first.get(where)
            if first is None or message.offset() < first.offset:
                self._first[where] = _First(message, message.offset(), task, entry, words)

    def _blocking(self, name: TopicPartition, first: _First) -> BlockingRecord:
        message = first.message
        failure = self._counts.failures.get(name, {}).get(first.offset)
        found = self._where(first, failure)
        failing_ms = self._now_ms - failure.since_ms if failure is not None else None
        seen_ms = self._memory.first_seen(name, first.offset, self._now_ms)
        return BlockingRecord(
            offset=first.offset,
            key=key_preview(message.key()),
            timestamp_ms=message.timestamp()[1],
            state=found.state,
            age_ms=max(self._now_ms - seen_ms, found.running_ms or 0, failing_ms or 0),
            attempts=found.attempts,
            running_ms=found.running_ms,
            failing_ms=failing_ms,
            failure=failure.words if failure is not None else None,
            words=found.words + (f"; it failed at last with {failure.words}" if failure is not None else ""),
        )

    def _where(self, first: _First, failure: Failure | None) -> _Found:
        if first.entry is not None:
            if first.entry.message is first.message:
                return self._apart(first.entry, failure)
            return _Found("behind", 0, f"waits behind {_name(first.entry.message)}, which is not done")
        if first.words:
            return _Found("waiting", 0, first.words)
        assert first.task is not None, "a record is in a lane, apart from them, or not there yet"
        return self._in_lane(first.task, first.message)

    def _apart(self, entry: Blocked, failure: Failure | None) -> _Found:
        attempts = failure.attempt if failure is not None else 1
        if entry.task is not None and entry.task in self._at:
            return self._running(entry.message, entry.task)
        if entry.task is not None:
            words = f"waits for a worker for attempt {entry.task.attempt}"
            return self._queued(entry.message, attempts, words)
        if entry.sending:
            times = count_of(attempts, "attempt")
            return _Found("sending", attempts, f"is on its way to another topic after {times}")
        waiting = self._waiting.get(id(entry.message))
        if waiting is None:
            return _Found("retry", attempts, "waits for its time")
        due = _seconds(waiting.due_ms - self._now_ms)
        return _Found("retry", waiting.attempt - 1, f"waits for attempt {waiting.attempt}, due in {due}")

    def _in_lane(self, task: Task, message: Message) -> _Found:
        lane = self._by_topic[message.topic()], task.lane.index
        first = task if task in self._at else self._at_lane.get(lane)
        if first is None:
            return self._queued(message, 0, "waits for a worker")
        at = first.running
        if first is task and not any(each is message for each in task.messages[at + 1 :]):
            return self._running(message, task)  # or has just been done
        ahead = _name(first.messages[at]) if at < len(first.messages) else "another"
        return _Found("behind", 0, f"waits in its lane behind {ahead}, which is running")

    def _queued(self, message: Message, attempts: int, words: str) -> _Found:
        if self._by_topic[message.topic()] not in self._blocked:
            return _Found("queued", attempts, words)
        culprits = (task for route in self._blocked for task in route.workers.current())
        names = [_name(task.messages[task.running]) for task in culprits if not task.done]
        return _Found(
            "behind", attempts, f"waits for the event loop, which {', '.join(names) or 'a task'} blocks"
        )

    def _running(self, message: Message, task: Task) -> _Found:
        since_ms = self._since.get(id(message))
        ran_ms = max(0, self._now_ms - since_ms) if since_ms is not None else 0
        words = f"is running for {_seconds(ran_ms)}, attempt {task.attempt}"
        return _Found("running", task.attempt, words, ran_ms)


class _Found(NamedTuple):
    """What a blocking record is at, and in words."""

    state: str
    attempts: int
    words: str
    running_ms: int | None = None


def _name(message: Message) -> str:
    return f"{message.topic()}-{message.partition()} at offset {message.offset()}"


def _seconds(ms: int) -> str:
    return f"{max(0, ms) / 1000:.1f} s"
