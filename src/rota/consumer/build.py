"""From handlers to a consumer: routes with their lanes and workers, the engine, the owner."""

from __future__ import annotations

import logging
import time
from queue import SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any

from rota.consumer.context import Context
from rota.consumer.engine import Engine
from rota.consumer.kafka import KafkaClient
from rota.consumer.lanes import Lanes
from rota.consumer.ordering import ordering_for
from rota.consumer.owner import Owner
from rota.consumer.policy import Policy, Retry
from rota.consumer.runners import each, in_batches
from rota.consumer.state import Limits, Observer, Ours, Route
from rota.consumer.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.consumer.handlers import HandlerSpec
    from rota.consumer.work import Task

__all__ = ["build"]

LANES_PER_WORKER = 4
"""So many lanes for a worker that few of them are idle while another has two waiting."""


def build(
    config: Mapping[str, Any],
    specs: Sequence[HandlerSpec],
    *,
    limits: Limits | None = None,
    observer: Observer | None = None,
) -> Owner:
    """``config``: as the client wants it. Nothing is started."""
    returned: SimpleQueue[Task] = SimpleQueue()
    ours = Ours()
    routes: dict[str, Route] = {}
    for spec in specs:
        routes.update(dict.fromkeys(spec.topics, _route(spec, ours, returned)))
    client = KafkaClient(config, logging.getLogger("rota.consumer.client"))
    engine = Engine(
        client,
        routes,
        ours,
        returned,
        _monotonic_ms,
        Random(),  # noqa: S311  # spreads retries
        limits=limits,
        observer=observer,
    )
    return Owner(client, engine, list(routes))


def _route(spec: HandlerSpec, ours: Ours, returned: SimpleQueue[Task]) -> Route:
    runner = in_batches if spec.batch is not None else each
    work = runner(spec.function, spec.decode, lambda task: Context(ours, task))
    workers = Threads(spec.concurrency, work, returned, spec.name)
    ordering = ordering_for(spec.order, LANES_PER_WORKER * spec.concurrency, spec.null_key)
    lanes = Lanes(ordering, workers.ready, ours.owns)
    return Route(spec.name, lanes, workers, policy(spec), batch=spec.batch is not None)


def policy(spec: HandlerSpec) -> Policy:
    """What becomes of records that the handler cannot handle."""
    return Policy(spec.retry or Retry(attempts=1), spec.dead_letter, spec.on_failure == "skip")


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
