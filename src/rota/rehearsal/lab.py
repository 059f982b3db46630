"""``Lab``: a topic, a producer and a consumer group, all real processes, and the orders one can give them.

Nothing here waits for the group: ``start`` sets up, ``pump`` takes in what has happened since, and each order
returns at once. Who owns what, pauses, moves, repeats and losses are the timeline's to say.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Self

from rota.cluster import Cluster
from rota.model import RotaError, TopicPartition
from rota.rehearsal.folder import Folder
from rota.rehearsal.group_watch import GroupWatch
from rota.rehearsal.leavers import Leavers
from rota.rehearsal.onlooker import Onlooker
from rota.rehearsal.processes import STOP_LIMIT_S, Actor, EmbeddedBroker
from rota.rehearsal.recording import EventTail, clock_ms
from rota.rehearsal.safety import check_free, clean_up, mark_group
from rota.rehearsal.seats import Seat, SeatState
from rota.rehearsal.settings import MOST_CONSUMERS, MOST_DELAY_MS
from rota.rehearsal.story import TOO_EARLY
from rota.timeline import Timeline
from rota.timeline.events import ConsumerStarted, ConsumerStopped, Event, Fault, FaultKind

if TYPE_CHECKING:
    from types import TracebackType

    from rota.monitor.view import GroupView
    from rota.rehearsal.settings import LabSettings

__all__ = ["Lab"]

LEAST_DELAY_MS = 5.0
HANG_MORE_MS = 3_000
MOST_PARTITIONS = 100
MOST_RATE = 2_000.0


class Lab:
    """Use as a context manager: whatever happens, on leaving no child runs and no temporary file is left."""

    def __init__(self, settings: LabSettings) -> None:
        settings.check()
        self.settings = settings
        self.timeline = Timeline(settings.group)
        self.events: list[Event] = []
        self.seats: list[Seat] = []
        self.rate = settings.rate
        self.measured_from_ms: int | None = None
        """From when on a story measures, and until when; None: it does not."""
        self.measured_until_ms: int | None = None
        self._count = settings.partitions
        self._leavers = Leavers(self.seats)
        self.ending = False
        self.notes: list[str] = []
        self.trouble = ""
        """Why this lab shows nothing, whatever its figures say; empty while all is well."""
        self.bootstrap = settings.bootstrap or ""
        self._folder = Folder()
        self._directory = self._folder.path
        self._broker: EmbeddedBroker | None = None
        self._cluster: Cluster | None = None
        self._watch: GroupWatch | None = None
        self._onlooker: Onlooker | None = None
        self._producer: Actor | None = None
        self._tails: list[EventTail] = []
        self._own: list[Event] = []
        self._ours = False

    # Beginning and end

    def start(self) -> None:
        """The broker, if it is to be our own; the topic; the producer; the consumers.

        Raises:
            RotaError: the cluster cannot be reached, or group or topic belong to somebody else.
        """
        if self.settings.bootstrap is None:
            self._broker = EmbeddedBroker(self._directory, self.settings.broker_configs())
            self.bootstrap = self._broker.bootstrap
        self._cluster = Cluster(self.bootstrap, self.settings.client_properties)
        if self._broker is None:
            check_free(self._cluster, self.settings)
        # What a kept lab left is its user's until everything was found to fit; a topic made just now is ours.
        self._ours = self._cluster.create_topic(
            self.settings.topic, partitions=self.settings.partitions, if_not_exists=True
        )
        counts = self._cluster.partition_counts([self.settings.topic])
        if counts[self.settings.topic] != self.settings.partitions:
            raise RotaError(
                f"the topic {self.settings.topic} of an earlier lab has {counts[self.settings.topic]} partitions, "
                f"not {self.settings.partitions}; delete it or choose another name with --topic"
            )
        self._ours = True
        if self._broker is None:
            asking = Cluster(self.bootstrap, self.settings.client_properties)  # in a thread of its own
            self._watch = GroupWatch(asking, self.settings.group)
        self._start_producer()
        for _ in range(self.settings.consumers):
            self.add()
        self._onlooker = Onlooker(
            self.bootstrap, self.settings.client_properties, self.settings.group, self.settings.commits_ms
        )

    def partitions(self) -> list[TopicPartition]:
        """The topic's partitions, in order."""
        return [TopicPartition(self.settings.topic, number) for number in range(self._count)]

    def close(self) -> None:
        """End every child by its pid, delete what was made (unless it is to be kept), remove temporary files."""
        for seat in self.seats:
            if seat.actor is not None and seat.actor.running:
                seat.actor.signal(signal.SIGTERM)
                seat.actor.signal(signal.SIGCONT)
        deadline = time.monotonic() + STOP_LIMIT_S
        for actor in [seat.actor for seat in self.seats] + [self._producer]:
            if actor is not None:
                actor.end(deadline - time.monotonic())
        if self._onlooker is not None:
            self._onlooker.close()
        if self._watch is not None:
            self._watch.close()
        if self._cluster is not None and self._broker is None and self._ours:
            self._leave(self._cluster)
        if self._cluster is not None:
            self._cluster.close()
        if self._broker is not None:
            self._broker.end()
        self._folder.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _leave(self, cluster: Cluster) -> None:
        try:
            if self.settings.keep:
                mark_group(cluster, self.settings)
            else:
                self.notes += clean_up(cluster, self.settings)
        except RotaError as error:
            self.notes.append(str(error))

    # What happened

    def pump(self) -> list[Event]:
        """Take in what was recorded since the last time; gives it in order of time."""
        found, self._own = self._own, []
        for tail in self._tails:
            found += tail.read()
        if self._broker is not None:
            if not self._broker.running:
                raise RotaError(f"the embedded broker ended: {self._broker.last_words()}")
            found += self._leavers.explain(self._broker.read())
        if self._watch is not None:
            found += self._leavers.explain(self._watch.read())
        found += self._ended()
        self._watch_producer()
        found.sort(key=lambda event: event.at_ms)
        self.timeline.extend(found)
        self.events += found
        return found

    def _ended(self) -> list[Event]:
        """Consumers whose process is gone: as ordered, or by themselves."""
        found: list[Event] = []
        for seat in self.seats:
            if seat.actor is None or seat.actor.running or not seat.running:
                continue
            if seat.actor.exit_code == 0:
                seat.state = SeatState.AWAY if self.settings.static else SeatState.LEFT
            elif seat.actor.exit_code == -signal.SIGTERM:  # it had no handler yet
                seat.state = SeatState.LEFT
                found.append(ConsumerStopped(clock_ms(), seat.name, TOO_EARLY))
            elif (code := seat.actor.exit_code or 0) < 0:  # by somebody else's hand
                seat.state = SeatState.KILLED
                self._silence(seat, True)
                found.append(Fault(clock_ms(), seat.name, FaultKind.KILLED, f"signal {-code}"))
            else:
                seat.state = SeatState.CRASHED
                words = seat.actor.last_words() or f"exit code {code}"
                found.append(Fault(clock_ms(), seat.name, FaultKind.CRASHED, words))
        return found

    def _watch_producer(self) -> None:
        producer = self._producer
        if producer is None or producer.running or self.ending or self.trouble:
            return
        words = producer.last_words() or f"exit code {producer.exit_code}"
        self.trouble = f"the producer ended by itself: {words}"

    def view(self) -> GroupView | None:
        """The group as `rota top` shows it; None while nobody knows."""
        return None if self._onlooker is None else self._onlooker.view()

    def nothing_produced(self) -> str:
        """Why no record was acknowledged, as far as anybody knows."""
        if self.rate == 0:
            return "nothing was produced: the rate is 0"
        said = self._producer.last_words() if self._producer is not None else ""
        return f"nothing was produced: {said}" if said else "nothing was produced before the end"

    # Orders

    def add(self) -> Seat | None:
        """Start one more consumer: the first that does not run, else a new one. None: there are enough."""
        free = next((seat for seat in self.seats if not seat.running), None)
        if free is None:
            if len(self.seats) >= MOST_CONSUMERS:
                return None
            number = len(self.seats) + 1
            free = Seat(number, f"consumer-{number}", self.settings.handler_delay_ms)
            self.seats.append(free)
            self._tails.append(EventTail(self._directory / f"{free.name}.jsonl"))
        self.come_back(free)
        return free

    def come_back(self, seat: Seat) -> None:
        """Start a consumer that does not run."""
        if seat.running:
            return
        arguments = ["--name", seat.name, "--topic", self.settings.topic, "--delay", f"{seat.delay_ms:g}"]
        if self.settings.kind == "loop":
            arguments += ["--commit", self.settings.commit]
        arguments += ["--commit-interval", str(self.settings.commit_interval_ms)]
        for pair in self.settings.consumer_properties(seat.name, self.bootstrap).items():
            arguments += ["--property", "=".join(pair)]
        seat.actor = Actor(
            "consumer" if self.settings.kind == "rota" else "poll_loop",
            arguments,
            self._directory / f"{seat.name}.jsonl",
            self._directory / f"{seat.name}.log",
        )
        seat.state = SeatState.RUNNING
        seat.started_ms = clock_ms()
        self._own.append(ConsumerStarted(seat.started_ms, seat.name, seat.actor.pid))

    def kill(self, seat: Seat) -> None:
        """kill -9."""
        if seat.actor is None or not seat.running:
            return
        self._silence(seat, True)
        seat.state = SeatState.KILLED
        seat.actor.kill()
        self._fault(seat, FaultKind.KILLED)

    def stop(self, seat: Seat) -> None:
        """SIGTERM: it finishes its record, commits and leaves."""
        if seat.actor is None or not seat.running:
            return
        self.thaw(seat)
        self._silence(seat, False)
        seat.state = SeatState.STOPPING
        seat.actor.signal(signal.SIGTERM)

    def freeze(self, seat: Seat) -> None:
        """SIGSTOP: alive and silent, like a long garbage collection or a laptop put to sleep."""
        if seat.actor is None or seat.state is not SeatState.RUNNING:
            return
        self._silence(seat, True)
        seat.actor.signal(signal.SIGSTOP)
        seat.state = SeatState.FROZEN
        self._fault(seat, FaultKind.FROZEN)

    def thaw(self, seat: Seat) -> None:
        """SIGCONT."""
        if seat.actor is None or seat.state is not SeatState.FROZEN:
            return
        seat.state = SeatState.RUNNING
        self._fault(seat, FaultKind.THAWED)
        seat.actor.signal(signal.SIGCONT)

    def set_delay(self, seat: Seat, delay_ms: float) -> None:
        """How long its handler takes for one record, in milliseconds; 0 = no time at all."""
        seat.usual_delay_ms = None
        slower = delay_ms > seat.delay_ms
        seat.delay_ms = min(MOST_DELAY_MS, delay_ms) if delay_ms >= LEAST_DELAY_MS else 0.0
        if seat.actor is not None and seat.running:
            seat.actor.order(f"delay {seat.delay_ms:g}")
            self._fault(seat, FaultKind.SLOWED if slower else "sped-up", f"{seat.delay_ms:g} ms for a record")

    def hang(self, seat: Seat) -> None:
        """Have its handler take longer than max.poll.interval.ms for a record; again: as before."""
        if seat.usual_delay_ms is None:
            usual_ms = seat.delay_ms
            self.set_delay(seat, self.settings.max_poll_interval_ms + HANG_MORE_MS)
            seat.usual_delay_ms = usual_ms
        else:
            self.set_delay(seat, seat.usual_delay_ms)

    def add_partition(self) -> int | None:
        """One more partition; gives how many there are then. None: there are enough."""
        assert self._cluster is not None
        if self._count >= MOST_PARTITIONS:
            return None
        self._cluster.add_partitions(self.settings.topic, self._count + 1)
        self._count += 1
        return self._count

    def set_rate(self, rate: float) -> None:
        """The producer's records a second."""
        self.rate = min(MOST_RATE, max(0.0, rate))
        if self._producer is not None:
            self._producer.order(f"rate {self.rate:g}")

    # Finishing: what was acknowledged must be read by somebody before one can say that nothing was lost.

    def begin_ending(self) -> None:
        """Stop the producer, let everybody work at full speed; start somebody if nobody is left to read."""
        if self.ending:
            return
        self.ending = True
        if self._producer is not None:
            self._producer.end()
        for seat in self.seats:
            self.thaw(seat)
            if seat.running and seat.delay_ms:
                seat.delay_ms = 0.0
                assert seat.actor is not None
                seat.actor.order("delay 0")
        if not any(seat.state is SeatState.RUNNING for seat in self.seats) and self.seats:
            self.seats[0].delay_ms = 0.0
            self.come_back(self.seats[0])

    def unread(self) -> int:
        """Acknowledged records that nobody has processed."""
        summary = self.timeline.summary(live=True)
        return summary.waiting + summary.lost

    def stop_all(self) -> None:
        """Ask all to leave, and wait for it; afterwards ``pump`` gives their last words."""
        for seat in self.seats:
            self.stop(seat)
        deadline = time.monotonic() + STOP_LIMIT_S
        for seat in self.seats:
            if seat.actor is not None:
                seat.actor.wait(deadline - time.monotonic())

    # Underneath

    def _start_producer(self) -> None:
        settings = self.settings
        arguments = ["--topic", settings.topic, "--rate", f"{self.rate:g}", "--seed", str(settings.seed)]
        arguments += ["--users", str(settings.users), "--skew", f"{settings.skew:g}"]
        for pair in settings.producer_properties(self.bootstrap).items():
            arguments += ["--property", "=".join(pair)]
        events = self._directory / "producer.jsonl"
        self._producer = Actor("producer", arguments, events, self._directory / "producer.log")
        self._tails.append(EventTail(events))

    def _fault(self, seat: Seat, kind: str, detail: str = "") -> None:
        """Record what we did; it comes out of the next ``pump``."""
        if not self.ending or kind == FaultKind.KILLED:
            self._own.append(Fault(clock_ms(), seat.name, kind, detail))

    def _silence(self, seat: Seat, silent: bool) -> None:
        if self._watch is not None:
            (self._watch.silent.add if silent else self._watch.silent.discard)(seat.name)
