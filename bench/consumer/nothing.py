"""A handler that does nothing: what a record costs."""

from __future__ import annotations

from bench.consumer.contest import (
    AIO_LANES,
    FOR_FRAMEWORKS,
    LIBRDKAFKA,
    ONCE,
    OURS,
    POOL,
    QUIX,
    Contest,
    Contestant,
)
from bench.consumer.topics import filled
from bench.frame import Figure

_DEFAULT = Contestant("Rota, nothing chosen", "Rota", "rota_consumer", "default", f"key order, {ONCE}")
_BATCH = Contestant("Rota, batch", "Rota", "rota_consumer", "batch", f"partition order, {ONCE}")
_PARTITION = Contestant("Rota, partition", "Rota", "rota_consumer", "partition", f"partition order, {ONCE}")
_KEY = Contestant("Rota, 64 key lanes", "Rota", "rota_consumer", "key", f"key order, {ONCE}")
_ASYNC = Contestant("Rota, async, 64 keys", "Rota", "rota_consumer", "async", f"key order, {ONCE}")
_PLAIN_CONSUME = Contestant(
    "consume(500), librdkafka's defaults", "Rota", "bare", "consume", f"partition order, {ONCE}", LIBRDKAFKA
)
_CONSUME = Contestant("consume(500)", "Rota", "bare", "batch", f"partition order, {ONCE}", OURS)
_POLL = Contestant("poll()", "Rota", "bare", "poll", f"partition order, {ONCE}", OURS)
_GETMANY = Contestant(
    "aiokafka getmany(500)", "aiokafka", "aiokafka_loops", "getmany", f"partition order, {ONCE}"
)
_ARROYO = Contestant(
    "arroyo", "arroyo", "sentry_arroyo", "serial", f"partition order, {ONCE}", FOR_FRAMEWORKS
)
_FAST_BATCH = Contestant(
    "faststream-confluent, batch",
    "faststream",
    "faststream_confluent",
    "batch",
    f"partition order, {ONCE}",
    FOR_FRAMEWORKS,
)
_FAST = Contestant(
    "faststream-confluent",
    "faststream",
    "faststream_confluent",
    "record",
    f"partition order, {ONCE}",
    FOR_FRAMEWORKS,
)

_COUNTS = {
    _DEFAULT: (1_500_000, 300_000),
    _PLAIN_CONSUME: (1_500_000, 300_000),
    _BATCH: (1_500_000, 300_000),
    _CONSUME: (1_500_000, 300_000),
    _PARTITION: (1_500_000, 300_000),
    _POLL: (1_500_000, 300_000),
    _KEY: (1_500_000, 300_000),
    POOL: (1_500_000, 300_000),
    _GETMANY: (1_000_000, 200_000),
    _ASYNC: (500_000, 100_000),
    AIO_LANES: (300_000, 50_000),
    QUIX: (300_000, 50_000),
    _ARROYO: (150_000, 30_000),
    _FAST_BATCH: (200_000, 50_000),
    _FAST: (6_000, 3_000),
}

_PAIRS = (
    ("out of the box : consume(500) at librdkafka's defaults", _DEFAULT, _PLAIN_CONSUME, 2.0),
    ("batch handler : consume(500)", _BATCH, _CONSUME, 0.85),
    ("order by partition : poll()", _PARTITION, _POLL, 0.9),
    ("order by key, 64 lanes : hand-written pool", _KEY, POOL, 1.0),
    ("order by partition : quix-streams", _PARTITION, QUIX, 2.0),
    ("order by partition : arroyo", _PARTITION, _ARROYO, 2.0),
    ("order by partition : faststream-confluent", _PARTITION, _FAST, 2.0),
    ("batch handler : faststream-confluent, batch", _BATCH, _FAST_BATCH, 2.0),
    ("batch handler : aiokafka getmany(500)", _BATCH, _GETMANY, None),
    ("async, order by key : aiokafka, hand-written key lanes", _ASYNC, AIO_LANES, None),
)
_SAME_SETTINGS = {_CONSUME, _POLL, POOL}


def run(contest: Contest) -> None:
    most = max(contest.count(*counts) for counts in _COUNTS.values())
    with filled(contest.bootstrap, "nothing", most) as (topic, _):
        for contestant in contest.turns(list(_COUNTS)):
            contest.measure("nothing", contestant, topic, count=contest.count(*_COUNTS[contestant]))
    for name, ours, theirs, target in _PAIRS:
        rate = Figure(f"{name}: rate", "1/s", target, more_is_better=True)
        contest.compare(rate, "per_s", "nothing", ours, theirs)
        if theirs in _SAME_SETTINGS:
            assert target is not None
            cpu = Figure(f"{name}: CPU per 100,000", "s", round(1 / target, 3))
            contest.compare(cpu, "cpu", "nothing", ours, theirs)
