"""From handlers to a consumer: routes with their lanes and workers, the engine, the owner."""

from __future__ import annotations

import logging
import time
from queue import SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from rota.cluster import Cluster
from rota.cluster.errors import UnreachableError
from rota.consumer.clients.client_errors import client_log
from rota.consumer.clients.kafka import KafkaClient
from rota.consumer.context import Context, Effects
from rota.consumer.core.engine import Engine
from rota.consumer.core.hooks import Hooked
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ordering_for
from rota.consumer.core.owner import Owner
from rota.consumer.core.policy import policy_of
from rota.consumer.core.state import Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.effects.outputs import LARGEST_OUTPUT, Outputs
from rota.consumer.failed.circles import refuse_circles
from rota.consumer.failed.dead_letters import KafkaLetters
from rota.consumer.failed.letter_topics import connection_settings, look_at, wanted_by
from rota.consumer.failed.retry_topics import wait_ms
from rota.consumer.failed.transactional_letters import TransactionalLetters
from rota.consumer.patterns import ByTopic
from rota.consumer.workers.helped_threads import HelpedThreads
from rota.consumer.workers.runners import each, in_batches
from rota.consumer.workers.threads import Threads
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rota.consumer.clients.client import Offset
    from rota.consumer.core.policy import Policy
    from rota.consumer.core.state import Limits, Observer, Partition, Workers
    from rota.consumer.effects.eos import Transactions
    from rota.consumer.failed.letter_topics import Facts, Wanted
    from rota.consumer.handlers import HandlerSpec
    from rota.consumer.operations.observed import Watch
    from rota.consumer.workers.loop_thread import LoopThread
    from rota.model import TopicPartition

__all__ = ["Built", "build"]

log = logging.getLogger("rota.consumer")

LANES_PER_WORKER = 4
"""So many lanes for a worker that few of them are idle while another has two waiting."""

_RETRY_S = 1.0


class Built(NamedTuple):
    """Ready to run. ``closers``: to be called when the owner has ended."""

    owner: Owner
    closers: tuple[Callable[[], object], ...]


def build(
    config: Mapping[str, Any],
    specs: Sequence[HandlerSpec],
    *,
    limits: Limits,
    observer: Observer | None = None,
    watch: Watch,
) -> Built:
    """``config``: as the client wants it. ``watch``: hears of the client's doings.

    Nothing runs yet. Raises RotaError for what cannot work; waits for a
    broker if failed records are to go to other topics, to see whether these are there.
    """
    policies = [policy_of(spec, str(config["group.id"])) for spec in specs]
    refuse_circles(specs, policies)
    exactly_once = any(spec.exactly_once for spec in specs)
    client = watch.client(KafkaClient(config, client_log(), exactly_once=exactly_once))
    parts = _Parts(config)
    letters = _letters(config, specs, policies, parts)
    by_topic, hooks = _routes(specs, policies, parts)
    parts.route_of = by_topic.__getitem__
    transactions = _transactions(config, client, parts, letters)
    engine = Engine(
        client,
        by_topic,
        parts.ours,
        parts.returned,
        _monotonic_ms,
        Random(),  # noqa: S311  # spreads retries
        limits=limits,
        dead_letters=letters,
        observer=observer,
        hooks=Hooked(lambda topic: hooks[by_topic[topic]]),
        committer=watch.committer(transactions) if transactions is not None else None,
    )
    parts.partitions = engine.partitions
    helped = [route.workers for route in hooks if isinstance(route.workers, HelpedThreads)]
    owner = Owner(client, engine, list(by_topic), helped)
    if transactions is not None:
        transactions.post = lambda call: owner.ask(lambda _engine: call())
    return Built(owner, tuple(part.close for part in (letters, transactions) if part is not None))


def _routes(
    specs: Sequence[HandlerSpec], policies: Sequence[Policy], parts: _Parts
) -> tuple[ByTopic[Route], dict[Route, Any]]:
    """By topic, and the hooks of each."""
    routes: dict[str, Route] = {}
    hooks: dict[Route, Any] = {}
    for spec, policy in zip(specs, policies, strict=True):
        route = parts.route(spec, policy)
        hooks[route] = spec.hooks
        for topic in (*spec.topics, *policy.retry_topics):
            if topic in routes:
                raise RotaError(f"{topic} is read by two handlers, {routes[topic].name} and {spec.name}")
            routes[topic] = route
    return ByTopic(routes), hooks


class _Parts:
    """What routes share: the queue of what comes back, what is ours, the event loop."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._group = str(config["group.id"])
        self.partitions: Mapping[TopicPartition, Partition] = {}
        self.outputs: list[Outputs] = []
        self.route_of: Callable[[str], Route] | None = None
        self.returned: SimpleQueue[Task] = SimpleQueue()
        self.ours = Ours()
        self._loop: LoopThread | None = None

    def route(self, spec: HandlerSpec, policy: Policy) -> Route:
        count, one_topic = LANES_PER_WORKER * spec.concurrency, _is_one(spec.topics, policy)
        ordering = ordering_for(spec.order, count, spec.null_key, one_topic=one_topic)
        outputs = self._outputs_of(spec)
        workers = self._workers(spec, outputs, policy.retry_topics)
        delays_ms = policy.delays_ms
        lanes = Lanes(
            ordering,
            workers.ready,
            self.ours.owns,
            batch=spec.batch,
            rate=spec.rate,
            due_ms=(lambda message: wait_ms(message, delays_ms, _wall_ms())) if delays_ms else None,
            task=_task_type(spec),
        )
        return Route(spec.name, lanes, workers, policy, outputs=outputs)

    def _outputs_of(self, spec: HandlerSpec) -> Outputs | None:
        if not spec.exactly_once:
            return None
        from rota.consumer.effects.eos import check

        check(spec, self._config)
        self.outputs.append(Outputs())
        return self.outputs[-1]

    def _workers(self, spec: HandlerSpec, outputs: Outputs | None, retry_topics: Sequence[str]) -> Workers:
        if spec.workers == "loop":
            return self._on_the_loop(spec, outputs, retry_topics)
        if spec.workers == "processes":
            return self._in_processes(spec, retry_topics)
        runner = each if spec.batch is None else in_batches
        work = runner(spec.function, spec.decode, self._contexts(spec), outputs, retry_topics)
        # What a handler works with may belong to its thread if there is only one.
        threads = HelpedThreads if spec.concurrency > 1 else Threads
        return threads(spec.concurrency, work, self.returned, spec.name)

    def _on_the_loop(
        self, spec: HandlerSpec, outputs: Outputs | None, retry_topics: Sequence[str]
    ) -> Workers:
        from rota.consumer.workers.aio import LoopWorkers
        from rota.consumer.workers.async_runners import each_async, in_batches_async
        from rota.consumer.workers.loop_thread import LoopThread

        self._loop = self._loop or LoopThread()
        runner = each_async if spec.batch is None else in_batches_async
        work = runner(spec.function, spec.decode, self._contexts(spec), outputs, retry_topics)
        return LoopWorkers(spec.concurrency, work, self.returned, spec.name, self._loop)

    def _in_processes(self, spec: HandlerSpec, retry_topics: Sequence[str]) -> Workers:
        from rota.consumer.workers.processes import ProcessWorkers
        from rota.consumer.workers.recipes import recipe_of

        return ProcessWorkers(
            spec.concurrency,
            recipe_of(spec, self._group, retry_topics),
            self.ours.owns,
            self.returned,
            spec.name,
            batch=spec.batch is not None,
            committed=self.committed,
        )

    def _contexts(self, spec: HandlerSpec) -> Callable[[Task], Context]:
        largest = int(self._config.get("message.max.bytes", LARGEST_OUTPUT)) if spec.exactly_once else 0
        effects = Effects(
            self._group, batch=spec.batch is not None, largest=largest, committed=self.committed
        )
        return lambda task: Context(self.ours, task, effects)

    def outputs_of(self, topic: str) -> Any:
        """Where outputs of its records go, if its handler is exactly-once."""
        assert self.route_of is not None
        return self.route_of(topic).outputs

    def committed(self, partition: TopicPartition) -> Offset | None:
        """What the group has committed of a partition that is ours; asked by any thread."""
        known = self.partitions.get(partition)
        return None if known is None else known.committed


def _is_one(topics: Sequence[str], policy: Policy) -> bool:
    """Whether a handler cannot be given records of several topics."""
    return len(topics) == 1 and not topics[0].startswith("^") and not policy.retry_topics


def _transactions(
    config: Mapping[str, Any], client: KafkaClient, parts: _Parts, letters: KafkaLetters | None
) -> Transactions | None:
    """Who commits for exactly-once handlers, if there are any."""
    if not parts.outputs:
        return None
    from confluent_kafka import Producer

    from rota.consumer.effects.eos import Transactions, producer_config
    from rota.consumer.effects.in_vain import Waiting, is_another_answered, is_answered

    connection = connection_settings(config)
    settings = producer_config(config, connection)
    if letters is not None:
        settings |= letters.batch_size()
    producer = Producer(settings, logger=client_log())
    waiting = Waiting(lambda: is_answered(producer), lambda: is_another_answered(connection))
    transactions = Transactions(
        producer, parts.outputs, client.group_metadata, parts.committed, waiting=waiting
    )
    transactions.start()
    return transactions


def _task_type(spec: HandlerSpec) -> type[Task]:
    if spec.workers != "processes":
        return Task
    from rota.consumer.workers.process_tasks import ProcessTask

    return ProcessTask


def _letters(
    config: Mapping[str, Any], specs: Sequence[HandlerSpec], policies: Sequence[Policy], parts: _Parts
) -> KafkaLetters | None:
    """Who writes what failed to other topics, if anybody wants that."""
    wanted = wanted_by((spec.topics, policy) for spec, policy in zip(specs, policies, strict=True))
    if not wanted:
        return None
    retry_topics = {topic for policy in policies for topic in policy.retry_topics}
    facts = _facts(config, wanted)
    if any(spec.exactly_once for spec in specs):
        return TransactionalLetters(config, parts.outputs_of, retry_topics=retry_topics, facts=facts)
    return KafkaLetters(config, retry_topics=retry_topics, facts=facts)


def _facts(config: Mapping[str, Any], wanted: Sequence[Wanted]) -> dict[str, Facts]:
    bootstrap = str(config["bootstrap.servers"])
    told = False
    while True:
        cluster = Cluster(bootstrap, connection_settings(config))
        try:
            return look_at(cluster, wanted)
        except UnreachableError as error:
            if not told:
                log.warning("waiting: %s; going on as soon as one answers", error)
            told = True
            time.sleep(_RETRY_S)
        finally:
            cluster.close()


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
