"""A handler that waits for 5 ms: what runs at once, and whether a key ever runs twice at once or out of order."""

from __future__ import annotations

from bench.consumer.contest import AIO_LANES, FOR_FRAMEWORKS, ONCE, OURS, POOL, QUIX, Contest, Contestant
from bench.consumer.topics import filled
from bench.frame import Figure

_LANES = 64
_WAIT_MS = 5.0
_THREADS = Contestant("Rota, 64 threads", "Rota", "rota_consumer", "key", f"key order, {ONCE}")
_ASYNC = Contestant("Rota, async, 64 at once", "Rota", "rota_consumer", "async", f"key order, {ONCE}")
_SERIAL = Contestant("consume(500), serial", "Rota", "bare", "consume", f"partition order, {ONCE}", OURS)
_ARROYO_THREADS = Contestant(
    "arroyo, 64 threads", "arroyo", "sentry_arroyo", "threads", f"no order, {ONCE}", FOR_FRAMEWORKS
)
_FAST_WORKERS = Contestant(
    "faststream-confluent, 64 workers",
    "faststream",
    "faststream_confluent",
    "workers",
    "no order, at most once",
    FOR_FRAMEWORKS,
)
_AT_ONCE = (_THREADS, _ASYNC, POOL, AIO_LANES, _ARROYO_THREADS, _FAST_WORKERS)
_ONE_BY_ONE = (_SERIAL, QUIX)


def run(contest: Contest) -> None:
    most = contest.count(20_000, 5_000)
    few = contest.count(600, 200)
    with filled(contest.bootstrap, "waiting", most) as (topic, _):
        for contestant in contest.turns([*_AT_ONCE, *_ONE_BY_ONE]):
            count = most if contestant in _AT_ONCE else few
            if contestant is _FAST_WORKERS:
                count //= 4
            contest.measure("waiting", contestant, topic, count=count, wait_ms=_WAIT_MS, lanes=_LANES)
    ideal = [_LANES * rate for rate in contest.entry("waiting", _SERIAL).samples["per_s"]]
    for ours in (_THREADS, _ASYNC):
        name = f"5 ms, {ours.name.removeprefix('Rota, ')}"
        rate = Figure(f"{name} : 64 x serial", "1/s", 0.9, more_is_better=True)
        contest.add(rate, contest.entry("waiting", ours).samples["per_s"], ideal)
        contest.compare(
            Figure(f"{name}: a key twice at once", "records", None, most=0), "overlaps", "waiting", ours
        )
        contest.compare(Figure(f"{name}: out of order", "records", None, most=0), "disorder", "waiting", ours)
