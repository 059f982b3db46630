"""What operators see of a consumer: its state, health, metrics, spans and timeline, put together.

Nothing of it is on the way of a record unless it was asked for: the state is read from the engine when somebody
wants it, by the owner's thread, between two turns.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import threading
import time
from concurrent.futures import TimeoutError as NotInTimeError
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from rota.consumer.operations.counts import Counts, Durations
from rota.consumer.operations.ends import Ends
from rota.consumer.operations.harmless import Harmless
from rota.consumer.operations.health import Health, Movement, Verdict, live, ready
from rota.consumer.operations.instrument import instrument
from rota.consumer.operations.observed import observed
from rota.consumer.operations.observers import Observers
from rota.consumer.operations.snapshot import About, Memory, State, take, to_json
from rota.consumer.patterns import ByTopic
from rota.consumer.settings import visible
from rota.http_server import Request, Response, Server
from rota.model import RotaError
from rota.recording import clock_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rota.consumer.clients.kafka import KafkaClient
    from rota.consumer.core.engine import Engine
    from rota.consumer.core.owner import Owner
    from rota.consumer.core.state import Committer, Observer
    from rota.consumer.handlers import HandlerSpec
    from rota.consumer.operations.metrics import ConsumerCollector
    from rota.consumer.otel import OpenTelemetry

__all__ = ["Operations", "Wishes", "told"]

C = TypeVar("C", bound="Committer")
T = TypeVar("T")

ANSWER_S = 1.0
"""How long somebody who asks waits for the owner thread."""
FRESH_MS = 200
MOST_WORDS = 50
"""Lines on a page of health; who has a thousand partitions wants to know that, not each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What an application asks for; nothing unless it does. ``metrics``: None means with a port, if
    prometheus-client is installed.
    """

    port: int | None = None
    host: str = "127.0.0.1"
    health: Health | None = None
    metrics: bool | None = None
    otel: OpenTelemetry | None = None
    timeline: Path | str | None = None

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65535:
            raise RotaError(f"App: port is {self.port}; it is a number from 0 (any free one) to 65535")
        if self.otel is not None and type(self.otel).__name__ != "OpenTelemetry":
            raise RotaError(f"App: otel is {self.otel!r}; it wants rota.consumer.otel.OpenTelemetry(…)")


class Operations:
    """Made before the consumer, told when it has begun (`started`) and when it has ended (`close`).

    ``specs`` are the handlers, watched; ``observer`` is for the engine. Raises RotaError for what cannot be: a port
    that is taken, a timeline that cannot be written, an extra that is not installed.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        specs: Sequence[HandlerSpec],
        wishes: Wishes,
        observer: Observer | None = None,
    ) -> None:
        self._config = config
        self._health = wishes.health or Health()
        metrics = _wants_metrics(wishes)
        name = consumer_name(config)
        self.about = About(config["group.id"], name, {spec.name: spec.concurrency for spec in specs})
        fetches = metrics or wishes.otel is not None
        self.counts = Counts(_monotonic_ms, clock_ms, fetches=fetches, only_topic=_only_topic(specs))
        self._durations = {spec.name: Durations() for spec in specs} if metrics else {}
        self._telemetry = _telemetry(wishes.otel, self.about)
        self._timeline = _timeline(wishes.timeline, name, specs)
        if self._telemetry is not None:
            self.counts.on_commit = partial(Harmless("OpenTelemetry"), self._telemetry.committed)
        self.specs = [self._watched(spec) for spec in specs]
        told = (self.counts, self._timeline, observer)
        self.observer: Observer = Observers([each for each in told if each is not None])
        self._memory = Memory()
        self._movement = Movement(self._health.partition_stuck)
        self._judging = threading.Lock()
        self._ends = Ends(config, self._health.partition_stuck // 8)
        self._last: tuple[int, State] | None = None
        self._unanswered_ms = -1_000_000
        self._owner: Owner | None = None
        self._client: KafkaClient | None = None
        self._server: Server | None = None
        if wishes.port is not None:
            self._server = self._listening(wishes.host, wishes.port)

    @property
    def port(self) -> int | None:
        """Where it listens."""
        return self._server.port if self._server is not None else None

    def client(self, client: KafkaClient) -> KafkaClient:
        """The consumer's client, watched."""
        self._client = client
        return observed(client, self.counts)

    def committer(self, committer: C) -> C:
        """Who takes the commits instead of the client, watched."""
        return observed(committer, self.counts)

    def started(self, owner: Owner) -> None:
        """The consumer has begun."""
        self._owner = owner
        if self._telemetry is not None:
            self._telemetry.observe(self.recent, self.counts)
        if self._server is not None:
            self._server.start()

    def close(self, how: str) -> None:
        """The consumer has ended; ``how``, in words."""
        self._ends.close()
        if self._server is not None:
            self._server.close()
        if self._telemetry is not None:
            self._telemetry.close()
        if self._timeline is not None:
            self._timeline.stopped(how)

    # What can be asked, by any thread.

    def state(self) -> State | None:
        """The state now; None if the owner does not answer, because it is stuck, or has ended."""
        state = self._ask(self._take)
        if state is not None:
            self._last = _monotonic_ms(), state
        else:
            self._unanswered_ms = _monotonic_ms()
        return state

    def recent(self) -> State | None:
        """The same, or one that is hardly older: who asks often does not keep the owner from its work."""
        now_ms = _monotonic_ms()
        last = self._last
        if last is not None and now_ms - last[0] < FRESH_MS:
            return last[1]
        if now_ms - self._unanswered_ms < 1000 * ANSWER_S and self.silent_ms() >= 1000 * ANSWER_S:
            return None  # it did not answer a moment ago, and has not turned since
        return self.state()

    def silent_ms(self) -> int:
        """Since the owner last turned."""
        return max(0, _monotonic_ms() - self._running_owner.turned_ms)

    def live(self) -> Verdict:
        """Whether a restart would help."""
        state = self.recent()
        if state is None and self.silent_ms() < 1000 * ANSWER_S:
            state = self._last[1] if self._last is not None else None  # it turns, but has much to do
        stuck = self._stuck(state) if state is not None else []
        return live(state, stuck, self.silent_ms(), self._health, self._doing())

    def ready(self) -> Verdict:
        """Whether it takes part in its group."""
        return ready(self.recent(), self._running_owner.ending)

    def collector(self) -> ConsumerCollector:
        """For a registry of prometheus-client."""
        if importlib.util.find_spec("prometheus_client") is None:
            raise RotaError("metrics need prometheus-client: pip install 'rota[metrics]'")
        from rota.consumer.operations.metrics import ConsumerCollector

        return ConsumerCollector(self.about.group, self.recent, self.silent_ms, self.counts, self._durations)

    # At the start.

    def _watched(self, spec: HandlerSpec) -> HandlerSpec:
        durations = self._durations.get(spec.name)
        return instrument(spec, durations=durations, telemetry=self._telemetry, timeline=self._timeline)

    def _listening(self, host: str, port: int) -> Server:
        try:
            return Server(self._answer, host, port)
        except RotaError as error:
            self.close(str(error))  # the timeline is open by now
            raise

    # On the owner's thread.

    def _take(self, engine: Engine) -> State:
        assert self._client is not None
        partitions = list(engine.partitions)
        return take(
            engine,
            self.counts,
            self.about,
            self._memory,
            self._client.positions(partitions),
            self._client.ends(partitions),
            _monotonic_ms(),
            clock_ms(),
            joined=self._client.joined(),
        )

    # On those of whoever asks.

    @property
    def _running_owner(self) -> Owner:
        assert self._owner is not None, "the consumer has begun"
        return self._owner

    def _ask(self, question: Callable[[Engine], T]) -> T | None:
        future = self._running_owner.ask(question)
        try:
            return future.result(ANSWER_S)
        except NotInTimeError:
            future.cancel()
        except RotaError:
            pass  # it has ended
        return None

    def _stuck(self, state: State) -> list[str]:
        with self._judging:
            now_ms = _monotonic_ms()
            quiet = self._movement.quiet(state, now_ms)
            return self._movement.stuck(state, self._ends.of(quiet, now_ms), now_ms)

    def _doing(self) -> str | None:
        now = self.counts.rebalance_now
        if now is None:
            return None
        kind, since_ms = now
        return f"partitions are being {kind} for {(_monotonic_ms() - since_ms) / 1000:.1f} s"

    # Over HTTP.

    def _answer(self, request: Request) -> Response:
        if request.path == "/health/live":
            return told(self.live(), "live", "not live")
        if request.path == "/health/ready":
            return told(self.ready(), "ready", "not ready")
        if request.path == "/state":
            return Response(HTTPStatus.OK, json.dumps(self._shown(), indent=1).encode(), "application/json")
        if request.path == "/metrics":
            return self._metrics(request.headers.get("accept", ""))
        known = "/health/live, /health/ready, /metrics, /state"
        return Response.of(HTTPStatus.NOT_FOUND, f"here are {known}")

    def _metrics(self, accept: str) -> Response:
        try:
            collector = self.collector()
        except RotaError as missing:
            return Response.of(HTTPStatus.NOT_IMPLEMENTED, str(missing))
        from rota.consumer.operations.metrics import exposition

        return Response(HTTPStatus.OK, *exposition(collector, accept))

    def _shown(self) -> dict[str, Any]:
        """The state as JSON; the last one that is known, if the owner does not answer."""
        state = self.recent()
        shown = state or (self._last[1] if self._last is not None else None)
        verdicts = {"live": self.live(), "ready": self.ready()}
        return {
            **{name: {"ok": verdict.ok, "words": verdict.words} for name, verdict in verdicts.items()},
            "owner": {"answers": state is not None, "silent_ms": self.silent_ms(), "doing": self._doing()},
            "state": to_json(shown) if shown is not None else None,
            "config": visible(self._config),
        }


def consumer_name(config: Mapping[str, Any]) -> str:
    """How a consumer is called in spans and timelines: as it calls itself, or by host and process."""
    for name in ("client.id", "group.instance.id"):
        if config.get(name):
            return str(config[name])
    return f"{socket.gethostname()}-{os.getpid()}"


def _only_topic(specs: Sequence[HandlerSpec]) -> str | None:
    """The topic of all records, if there is but one."""
    topics = {topic for spec in specs for topic in spec.topics}
    several = len(topics) > 1 or any(spec.retry_topics is not None for spec in specs)
    (first, *_) = topics
    return None if several or first.startswith("^") else first


def _wants_metrics(wishes: Wishes) -> bool:
    there = importlib.util.find_spec("prometheus_client") is not None
    if wishes.metrics and not there:
        raise RotaError("metrics=True needs prometheus-client: pip install 'rota[metrics]'")
    return wishes.metrics if wishes.metrics is not None else wishes.port is not None and there


def _telemetry(wish: OpenTelemetry | None, about: About) -> Any:
    if wish is None:
        return None
    from rota.consumer.otel import Telemetry

    return Telemetry(wish, about.group, about.client_id)


def _timeline(path: Path | str | None, name: str, specs: Sequence[HandlerSpec]) -> Any:
    if path is None:
        return None
    from rota.consumer.operations.timeline_observer import TimelineObserver

    handlers = ByTopic({topic: spec for spec in specs for topic in spec.topics})

    def elsewhere(topic: str) -> bool:
        spec = handlers.get(topic)
        return spec is not None and spec.workers == "processes"

    return TimelineObserver(path, name, elsewhere)


def told(verdict: Verdict, yes: str, no: str) -> Response:
    """A page of health."""
    shown, more = verdict.words[:MOST_WORDS], len(verdict.words) - MOST_WORDS
    words = "\n".join((yes if verdict.ok else no, *shown, *([f"and {more} more"] if more > 0 else [])))
    return Response.of(HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE, words)


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
