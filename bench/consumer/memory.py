"""Memory: over ten million records, and while one record is stuck for an hour's worth of traffic.

The hour is an hour at 1,000 records a second, 3.6 million, handled as fast as they can be: what could grow grows with
the records that pass by, not with the time. The stuck record hangs in its handler from the first seconds until the
end; all others that do not share its key must be handled meanwhile, as fast as without it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from bench.consumer.contest import Contest, Contestant
from bench.consumer.topics import filled, key_of, occurrences
from bench.frame import Figure
from bench.servers import resident_mib

_KEY = Contestant("Rota, 64 key lanes", "Rota", "rota_consumer", "key", "key order, at least once")
_STUCK_KEY = 17
_FLAT_MIB = 8.0


def run_ten_million(contest: Contest) -> None:
    with filled(contest.bootstrap, "ten-million", contest.count(10_000_000, 1_000_000)) as (topic, count):
        _, grown = _watched(contest, "ten-million", topic, count=count)
    name = "10 million records: memory grows from the second fifth to the last"
    contest.add(Figure(name, "MiB", None, most=_FLAT_MIB), [grown])


def run_stuck(contest: Contest) -> None:
    stuck = key_of(_STUCK_KEY).decode()
    with filled(contest.bootstrap, "stuck", contest.count(3_600_000, 500_000)) as (topic, count):
        others = count - occurrences(_STUCK_KEY, count)
        free, _ = _watched(contest, "stuck: nothing", topic, count=others, stuck="nobody's key")
        beside, grown = _watched(contest, "stuck: one record", topic, count=others, stuck=stuck)
    contest.add(
        Figure("one record stuck: the others' rate : without it", "1/s", 0.9, more_is_better=True),
        [beside],
        [free],
    )
    contest.add(Figure("one record stuck: memory grows", "MiB", None, most=_FLAT_MIB), [grown])


def _watched(contest: Contest, name: str, topic: str, **orders: Any) -> tuple[float, float]:
    """Records a second, and by how much the process grew meanwhile, MiB."""
    sizes: list[float] = []
    with contest.process(_KEY, topic, **orders) as process:
        while process.poll() is None:
            try:
                sizes.append(resident_mib(process.pid))
            except (FileNotFoundError, ProcessLookupError):
                break
            time.sleep(0.1)
        out, _ = process.communicate(timeout=60)
        said = json.loads(out.splitlines()[-1])
    rate = said["records"] / said["seconds"]
    fifth = max(1, len(sizes) // 5)  # the first one is for the start, and for what the client fetches ahead
    grown = max(sizes[-fifth:]) - max(sizes[fifth : 2 * fifth])
    entry = contest.entry(name, _KEY)
    entry.add("per_s", rate)
    entry.add("cpu", said["cpu_s"] * 100_000 / said["records"])
    entry.add("rss", said["rss_mib"])
    contest.say(f"    {name}: {rate:,.0f}/s, {max(sizes):.0f} MiB at most, {grown:+.1f} MiB")
    return rate, grown
